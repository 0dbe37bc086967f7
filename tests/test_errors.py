"""Golden texts: the op, the argument, the shapes, the axis, the module, the line, one fix."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import errors

from .extra_ops import unregistered

HERE = os.path.relpath(__file__) if __file__.startswith(os.getcwd() + os.sep) else __file__
ones = np.ones


def tensor(*shape):
    return gg.Tensor(ones(shape), requires_grad=True)


def mutated():
    w = gg.Tensor(2.0, requires_grad=True, name="w")
    y = w * w
    w.assign(3.0)
    return y


def incomplete():
    with unregistered():

        class Cube(gg.Op):
            def forward(self, x):
                return x**3

            def vjp_x(self, g, out, x):
                return 3 * x * x * g


# Each lambda is one line, so that its line is that of the failing call.
GOLDEN = [
    (
        gg.ShapeError,
        lambda: tensor(2, 3) @ ones((4, 5)),
        "matmul (net.conv2): x is 2×3 and y is 4×5: the last axis of x (3) must be as long as axis"
        " -2 of y (4). Give y 3 rows, or x 4 columns.",
    ),
    (
        gg.ShapeError,
        lambda: tensor(2, 3) @ ones((4, 3)),
        "matmul (net.conv2): x is 2×3 and y is 4×3: the last axis of x (3) must be as long as axis"
        " -2 of y (4). Transpose y: x @ y.T.",
    ),
    (
        gg.ShapeError,
        lambda: tensor(8, 4, 4, 2) @ ones((32, 5)),
        "matmul (net.conv2): x is 8×4×4×2 and y is 32×5: the last axis of x (2) must be as long as"
        " axis -2 of y (32). Flatten x first: x.reshape(8, -1) @ y.",
    ),
    (
        gg.ShapeError,
        lambda: tensor(3, 4) + ones(3),
        "add (net.conv2): x is 3×4 and y is (3,): axis -1 has 4 against 3, and only lengths that"
        " are equal or 1 broadcast. To line y up with axis 0 of x, use y[:, None].",
    ),
    (
        gg.ShapeError,
        lambda: ones((2, 4)) * tensor(3, 4),
        "multiply (net.conv2): x is 2×4 and y is 3×4: axis -2 has 2 against 3, and only lengths"
        " that are equal or 1 broadcast. Reshape x or y, or insert axes of length 1 with [None].",
    ),
    (
        gg.ShapeError,
        lambda: gg.conv(ones((1, 8, 8, 3)), tensor(3, 3, 1, 8)),
        "conv (net.conv2): x has 3 channels but w expects 1 (x is 1×8×8×3; w is 3×3×1×8, so"
        " groups=1 needs C_in = 1). Did you swap two layers?",
    ),
    (
        gg.ShapeError,
        lambda: gg.conv(ones((1, 3, 8, 8)), tensor(3, 3, 3, 8)),
        "conv (net.conv2): x has 8 channels but w expects 3 (x is 1×3×8×8; w is 3×3×3×8, so"
        " groups=1 needs C_in = 3). Are the channels of x last?",
    ),
    (
        gg.ShapeError,
        lambda: gg.conv(ones((1, 2, 8, 3)), tensor(3, 3, 3, 8)),
        "conv (net.conv2): the kernel is 3×3 but the image is 2×8: along axis 1 (H) it spans 3 and"
        ' there are only 2. Use padding="same", a smaller kernel, or pool less before.',
    ),
    (
        gg.DomainError,
        lambda: gg.conv(ones((1, 8, 8, 3)), tensor(3, 3, 3, 8), padding="full"),
        'conv (net.conv2): padding \'full\' is unknown. Use "same", "valid", ints or pairs.',
    ),
    (
        gg.DomainError,
        lambda: gg.conv(ones((1, 8, 8, 3)), tensor(3, 3, 3, 8), padding=(1, 2, 3)),
        "conv (net.conv2): padding is (1, 2, 3); for 2 spatial axes it may be an int ≥ 0, 2 ints,"
        " 2 (before, after) pairs, 'same' or 'valid'. Use padding=0 for none.",
    ),
    (
        gg.ShapeError,
        lambda: tensor(2, 3).reshape(4, 2),
        "reshape (net.conv2): x is 2×3 (6 elements) and cannot become 4×2 (8 elements). Choose"
        " lengths whose product is 6, or -1 for one of them.",
    ),
    (
        gg.ShapeError,
        lambda: tensor(5, 4, 4, 2).reshape(5, 16),
        "reshape (net.conv2): x is 5×4×4×2 (160 elements) and cannot become 5×16 (80 elements)."
        " To flatten all but the first axis, use reshape(5, 32).",
    ),
    (
        gg.GradError,
        lambda: (tensor(3) * 2).backward(),
        "backward (net.conv2): the tensor is (3,), and a gradient starts from one number. Reduce"
        " it with .sum() or .mean(), or pass a cotangent of its shape.",
    ),
    (
        gg.DTypeError,
        lambda: gg.Tensor([1, 2], requires_grad=True),
        "Tensor (net.conv2): a tensor of int64 cannot require grad; derivatives need floats. Write"
        " 2.0 instead of 2, or convert with .astype(float).",
    ),
    (
        gg.DTypeError,
        lambda: gg.grad(lambda x: x * x)(3),
        "grad (net.conv2): argument 0 is int64; only floats have derivatives. Write 2.0 instead of"
        " 2, or convert with .astype(float).",
    ),
    (
        gg.DomainError,
        lambda: gg.cross_entropy(tensor(2, 3), np.array([0, 7])),
        "cross_entropy (net.conv2): label 7 at position 1 is outside 0 to 2 (logits are 2×3, so"
        " there are 3 classes). Count labels from 0, or give the last layer more outputs.",
    ),
    (
        gg.DomainError,
        lambda: gg.cross_entropy(tensor(2, 3), np.array([3, 7])),
        "cross_entropy (net.conv2): label 3 at position 0 is outside 0 to 2 (logits are 2×3, so"
        " there are 3 classes). Count labels from 0, or give the last layer more outputs.",
    ),
    (
        gg.DomainError,
        lambda: gg.cross_entropy(tensor(2, 3), np.array([-1, 0])),
        "cross_entropy (net.conv2): label -1 at position 0 is outside 0 to 2 (logits are 2×3, so"
        " there are 3 classes). Count labels from 0, or give the last layer more outputs.",
    ),
    (
        gg.ShapeError,
        lambda: gg.cross_entropy(tensor(2, 3), np.eye(3, dtype=int)[:2]),
        "cross_entropy (net.conv2): logits are 2×3, so labels must be (2,) (one class number per"
        " item), but they are 2×3. Turn one-hot rows into numbers: labels.argmax(-1).",
    ),
    (
        gg.MutationError,
        lambda: mutated().backward(),
        "multiply (net.conv2): its input w (scalar, version 1) was changed by assign() or an"
        " optimiser's step after multiply in net.conv2 had used it, so the recorded graph no longer"
        " matches its value. Compute the forward pass again, or change it after the sweep.",
    ),
    (
        gg.GradError,
        lambda: bool(tensor(2)),
        "bool (net.conv2): the tensor is (2,) (2 elements), and only one element has a truth value."
        " Use (t > 0).any() or .all().",
    ),
    (
        gg.GradError,
        lambda: np.asarray(tensor(2) * 2),
        "np.asarray (net.conv2): the tensor requires grad, and a plain array would silently drop"
        " its graph. Use t.detach() to leave the graph on purpose, or a function of gradgraph.",
    ),
    (
        gg.ShapeError,
        lambda: gg.mse_loss(tensor(4), ones((4, 1))),
        "mse_loss (net.conv2): guess is (4,) but actual is 4×1; a loss does not broadcast,"
        " because that pairs every guess with every truth. Use actual.reshape(4,).",
    ),
    (
        gg.IndexingError,
        lambda: tensor(2, 3)[0, 5],
        "getitem (net.conv2): x is 2×3: index 5 is out of bounds for axis 1 with size 3. Indices"
        " of an axis of length n run from -n to n-1.",
    ),
    (
        gg.IndexingError,
        lambda: tensor(2, 3)[0, 1, 2],
        "getitem (net.conv2): x is 2×3: too many indices for array: array is 2-dimensional, but 3"
        " were indexed. Give at most 2 indices; None adds an axis.",
    ),
    (
        gg.IndexingError,
        lambda: tensor(2, 3)[::0],
        "getitem (net.conv2): x is 2×3: slice step cannot be zero. Index as in numpy.",
    ),
    (
        gg.ShapeError,
        lambda: gg.max_pool(tensor(1, 2, 8, 1), 3),
        "max_pool (net.conv2): the window is 3×3 but the image is 2×8: axis 1 has only 2 pixels"
        " with padding. Use a smaller window, or pool less before.",
    ),
    (
        gg.ShapeError,
        lambda: gg.sum(tensor(2, 3), axis=2),
        "sum (net.conv2): axis 2 is out of range for 2 axes. Use an axis from -2 to 1.",
    ),
    (
        gg.ShapeError,
        lambda: gg.sum(tensor(2, 3), axis=(0, -2)),
        "sum (net.conv2): axis (0, -2) names an axis twice. Name each axis once.",
    ),
    (
        gg.ShapeError,
        lambda: gg.sum(tensor(2, 3), axis=1.5),
        "sum (net.conv2): axis is 1.5, not an integer. Pass an int, a tuple of ints or None.",
    ),
    (
        gg.ShapeError,
        lambda: gg.mean(tensor(), axis=0),
        "mean (net.conv2): axis 0 is out of range for 0 axes. A scalar has no axes.",
    ),
    (
        gg.DomainError,
        lambda: gg.var(tensor(1, 3), axis=0, ddof=1),
        "var (net.conv2): ddof is 1, but n = 1 (x is 1×3, folded over axis -2): n - ddof must be"
        " positive. Use ddof=0, or fold more elements.",
    ),
    (
        gg.DomainError,
        lambda: gg.norm(tensor(2, 3), "fro"),
        "norm (net.conv2): ord is 'fro', not a number. Use 1, 2, inf or another number > 0.",
    ),
    (
        gg.ShapeError,
        lambda: gg.batch_norm(tensor(8, 3, 4, 4), ones(3), ones(3)),
        "batch_norm (net.conv2): gamma is (3,), but x is 8×3×4×4 and has 4 channels. Give gamma the"
        " shape (4,); channels of x are last.",
    ),
    (
        gg.DomainError,
        lambda: gg.batch_norm(tensor(8, 4), ones(4), ones(4), training=False),
        "batch_norm (net.conv2): training is False, but running_mean and running_var were not both"
        " given. Pass the statistics that were collected in training, or training=True.",
    ),
    (
        gg.ShapeError,
        lambda: gg.group_norm(tensor(8, 4, 4, 6), 4),
        "group_norm (net.conv2): x is 8×4×4×6: its 6 channels cannot be divided into 4 groups of"
        " equal size. Use a divisor of 6.",
    ),
    (
        gg.ShapeError,
        lambda: gg.softmax(tensor(2, 3), axis=-3),
        "softmax (net.conv2): axis -3 is out of range for 2 axes. Use an axis from -2 to 1.",
    ),
    (
        gg.DomainError,
        lambda: gg.mse_loss(tensor(3), ones(3), reduction="avg"),
        "mse_loss (net.conv2): reduction 'avg' is unknown. Use one of ('mean', 'sum', 'none').",
    ),
    (
        gg.ShapeError,
        lambda: gg.stack([tensor(2), ones(3)]),
        "stack (net.conv2): the parts are (2,), (3,), and must have one shape. Use concatenate for"
        " parts of different lengths.",
    ),
    (
        gg.ShapeError,
        lambda: gg.concatenate([tensor(2, 3), ones((3, 3))], axis=1),
        "concatenate (net.conv2): the parts are 2×3, 3×3; besides axis -1 all axes must agree, and"
        " axis -2 does not. Reshape the parts, or concatenate along another axis.",
    ),
    (
        gg.ShapeError,
        lambda: gg.huber_loss(tensor(4, 1), ones(4)),
        "huber_loss (net.conv2): guess is 4×1 but actual is (4,); a loss does not broadcast,"
        " because that pairs every guess with every truth. Use actual.reshape(4, 1).",
    ),
    (
        gg.DomainError,
        lambda: gg.binary_cross_entropy(3 * tensor(2), ones(2)),
        "binary_cross_entropy (net.conv2): probability 3 at position 0 is outside 0 to 1. Apply"
        " sigmoid, or use binary_cross_entropy_with_logits.",
    ),
    (
        gg.DomainError,
        lambda: gg.hinge_loss(tensor(2), np.array([1, 0])),
        "hinge_loss (net.conv2): actual holds 0 (it is (2,)), neither -1 nor 1. Turn 0 and 1 into"
        " -1 and 1: 2 * actual - 1.",
    ),
    (
        gg.DTypeError,
        lambda: gg.dropout(tensor(2), 0.5, rng=None),
        "dropout (net.conv2): rng is None, neither a numpy Generator nor a seed ≥ 0. Pass rng=0,"
        " or one rng = np.random.default_rng(0) to all.",
    ),
    (
        gg.DomainError,
        lambda: gg.dropout(tensor(2), 50, rng=0),
        "dropout (net.conv2): rate is 50. Use a number from 0 to 1.",
    ),
    (
        gg.DTypeError,
        lambda: tensor(2) + "a",
        "add (net.conv2): an operand is str 'a', not numbers. Pass a Tensor, a numpy array or a"
        " Python number.",
    ),
    (
        gg.ShapeError,
        lambda: gg.einsum("ij,jk->ik", tensor(2, 3), ones((4, 5))),
        "einsum (net.conv2): subscripts 'ij,jk->ik': label 'j' is 3 long in operand 0 (2×3) and 4"
        " long in operand 1 (4×5). Give axes of different lengths different labels.",
    ),
    (
        gg.ShapeError,
        lambda: gg.einsum("ij,j->i", tensor(8, 2, 3), ones(3)),
        "einsum (net.conv2): operand 0 is 8×2×3 (3 axes), but has 2 labels, 'ij'. Give one label to"
        " each axis, or write ... for those in front.",
    ),
    (
        gg.DomainError,
        lambda: gg.solve(tensor(2, 2), ones(2)),
        "solve (net.conv2): a is singular: one row is a combination of the others. Add a little to"
        " its diagonal: a + 1e-6 * np.eye(2).",
    ),
    (
        gg.ShapeError,
        lambda: gg.attention(tensor(4, 8), tensor(3, 8), tensor(4, 8)),
        "attention (net.conv2): q is 4×8, k is 3×8, v is 4×8: there are 3 keys, but 4 values. Give"
        " each key one value: axis -2 of k and v must agree.",
    ),
    (
        gg.ShapeError,
        lambda: gg.glu(tensor(2, 3)),
        "glu (net.conv2): x is 2×3: axis -1 has the odd length 3, and is cut into halves. Give it"
        " twice as many elements as the result shall have.",
    ),
    (
        gg.ShapeError,
        lambda: gg.prelu(tensor(2, 4), ones(3)),
        "leaky_relu (net.conv2): x is 2×4 and slope is (3,): axis -1 has 4 against 3, and only"
        " lengths that are equal or 1 broadcast. Reshape x or slope, or insert axes of length 1"
        " with [None].",
    ),
    (
        gg.DTypeError,
        lambda: gg.gelu(tensor(2), approximate="tanh"),
        "gelu (net.conv2): approximate is 'tanh', not a bool. Use approximate=True for the form"
        " with tanh.",
    ),
    (
        gg.DomainError,
        lambda: gg.softplus(tensor(2), beta=0),
        "softplus (net.conv2): beta is 0, and must be a positive number. Try 1.0.",
    ),
    (
        gg.ShapeError,
        lambda: gg.conv_transpose(ones((1, 4, 4, 8)), tensor(3, 3, 8, 3)),
        "conv_transpose (net.conv2): x has 8 channels but w expects 3 (x is 1×4×4×8; w is 3×3×8×3,"
        " kernel×C_out×C_in). The filter is that of the conv it transposes: swap its last two axes,"
        " w.swapaxes(-1, -2).",
    ),
    (
        gg.DomainError,
        lambda: gg.conv_transpose(ones((1, 4, 4, 3)), tensor(3, 3, 8, 3), output_padding=1),
        "conv_transpose (net.conv2): output_padding is 1 and the stride 1×1: the conv that this"
        " transposes would have more positions than x has pixels. Use an output_padding less than"
        " the stride, or pad the result.",
    ),
    (
        gg.ShapeError,
        lambda: gg.depthwise_conv(ones((1, 4, 4, 8)), tensor(3, 3, 1, 8)),
        "depthwise_conv (net.conv2): x is 1×4×4×8 and w is 3×3×1×8, but x has the axes"
        " batch×image×channels and w kernel×channels×multiplier, with as many channels. Filters of"
        " a conv are turned into these by swapaxes(-1, -2).",
    ),
    (
        gg.ShapeError,
        lambda: gg.max_pool(tensor(1, 4, 4, 1), 3, dilation=2),
        "max_pool (net.conv2): the window is 3×3 (dilation 2: it spans 5 pixels) but the image is"
        " 4×4: axis 1 has only 4 pixels with padding. Use a smaller window, or pool less before.",
    ),
    (
        gg.ShapeError,
        lambda: gg.fold(tensor(1, 3, 3, 9), 4, 3),
        "fold (net.conv2): columns are 1×3×3×9, but an image of 4×4 has 2×2 windows of 9 taps:"
        " N×2×2×9·C. Pass the arguments that unfold was given.",
    ),
    (
        gg.DomainError,
        lambda: gg.embedding([3, 17], tensor(10, 4)),
        "embedding (net.conv2): index 17 names no row: the rows of the table are 10, counted from 0"
        " to 9. Check the indices, or make room for them.",
    ),
    (
        gg.IndexingError,
        lambda: gg.take(tensor(2, 3), [0, 3], axis=1),
        "take (net.conv2): an index is out of range: axis -1 of x (2×3) has 3 elements, and the"
        " indices go from 0 to 3. Indices of an axis of length n run from -n to n-1.",
    ),
    (
        gg.ShapeError,
        lambda: gg.put(tensor(4), [0, 1], ones(3)),
        "put (net.conv2): x[index] is (2,), and values of shape (3,) do not broadcast to it. Pass"
        " one number, or an array of the shape of x[index].",
    ),
    (
        gg.ShapeError,
        lambda: gg.topk(tensor(2, 3), 4),
        "topk (net.conv2): k is 4, and axis -1 of x (2×3) has 3 elements. Use k from 0 to 3.",
    ),
]


@pytest.mark.parametrize(
    ("kind", "call", "text"), GOLDEN, ids=lambda v: getattr(v, "__name__", "")[:0]
)
def test_golden(kind, call, text):
    with pytest.raises(gg.GradgraphError) as caught, gg.scope("net"), gg.scope("conv2"):
        call()
    error = caught.value
    assert type(error) is kind
    # a lambda inside the call starts on the call's own line
    assert str(error) == f"{text} at {HERE}:{call.__code__.co_firstlineno}"


def test_a_missing_rule_at_class_definition():
    with pytest.raises(gg.OpDefinitionError) as caught:
        incomplete()
    line = incomplete.__code__.co_firstlineno + 3
    assert str(caught.value) == (
        "class Cube: argument 'x' has no jvp_x. Add `def jvp_x(self, t, out, x)` (or say"
        ' linear = ("x",) if it is), or say constant = ("x",) if it has no derivative. at'
        f" {HERE}:{line}"
    )


def test_without_a_scope_there_are_no_brackets():
    with pytest.raises(gg.ShapeError, match=r"^matmul: x is 2×3"):
        tensor(2, 3) @ ones((4, 5))


def test_the_same_text_for_arrays_and_tensors():
    texts = set()
    for x in (ones((2, 3)), gg.Tensor(ones((2, 3))), tensor(2, 3)):
        with pytest.raises(gg.ShapeError) as caught:
            gg.matmul(x, ones((4, 5)))
        texts.add(str(caught.value))
    assert len(texts) == 1


def test_the_line_is_that_of_the_innermost_call_of_the_users():
    def model(x):
        return gg.relu(x) @ ones((4, 5))

    with pytest.raises(gg.ShapeError) as caught:
        gg.grad(lambda x: model(x).sum())(ones((2, 3)))
    assert caught.value.line == f"{HERE}:{model.__code__.co_firstlineno + 1}"


def test_the_line_of_an_error_in_a_sweep():
    f = gg.custom(lambda x: x * 2)
    with pytest.raises(gg.GradError) as caught:
        f(tensor(2)).sum().backward()
    assert caught.value.line.startswith(HERE)


def test_a_file_elsewhere_is_named_in_full(tmp_path, monkeypatch):
    script = tmp_path / "train.py"
    script.write_text("import gradgraph as gg\n\ngg.Tensor('text')\n")
    code = compile(script.read_text(), str(script), "exec")
    with pytest.raises(gg.DTypeError, match=r"train\.py:3") as caught:
        exec(code, {"__name__": "__main__"})
    assert caught.value.line == f"{script}:3"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(gg.DTypeError) as caught:
        exec(code, {"__name__": "__main__"})
    assert caught.value.line == "train.py:3"


def test_no_user_frame_no_line(monkeypatch):
    monkeypatch.setattr(errors, "_is_pythons", lambda path: True)
    error = gg.ShapeError("op", "problem", "Fix.")
    assert str(error) == "op: problem. Fix."
    assert str(gg.ShapeError("op", "problem")) == "op: problem."


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        (gg.ShapeError, ValueError),
        (gg.DTypeError, TypeError),
        (gg.DomainError, ValueError),
        (gg.IndexingError, IndexError),
        (gg.GradError, RuntimeError),
        (gg.MutationError, RuntimeError),
        (gg.NonFiniteError, FloatingPointError),
        (gg.OpDefinitionError, TypeError),
        (gg.MissingExtraError, ImportError),
    ],
)
def test_errors_are_pythons_too(kind, base):
    assert issubclass(kind, base)
    assert issubclass(kind, gg.GradgraphError)
    error = pickle.loads(pickle.dumps(kind("op", "problem", "Fix.")))
    assert (error.op, error.problem, error.fix) == ("op", "problem", "Fix.")


def test_errors_carry_their_parts():
    with pytest.raises(gg.ShapeError) as caught, gg.scope("head"):
        tensor(2) + ones(3)
    error = caught.value
    assert (error.op, error.scope) == ("add", "head")
    assert "(2,)" in error.problem
    assert error.fix.endswith(".")
    assert Path(error.line.rpartition(":")[0]).name == "test_errors.py"
