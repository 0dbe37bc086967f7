"""Regressions: faults that reviews of the engine found, each by what a user would see."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import nn, optim, viz

from .extra_ops import unregistered


@pytest.fixture(autouse=True)
def _registry():
    with unregistered():
        yield


def define(name="Mine", **changes):
    """A user's op, x ↦ 2x with right rules but for the changes."""
    body = {
        "forward": lambda self, x: x * 2,
        "vjp_x": lambda self, g, out, x: g * 2,
        "jvp_x": lambda self, t, out, x: t * 2,
        "spec": lambda self, x: x,
        "reference": lambda self, x: x * 2,
        "sample": classmethod(lambda cls, draw: (cls(), (draw.normal(()),))),
    }
    return type(gg.Op)(name, (gg.Op,), {"__module__": __name__, **body, **changes})


# Wrong numbers


@pytest.mark.parametrize("condition", [False, True, 0, 1, np.True_, np.array(0), gg.Tensor(1)])
def test_where_with_one_condition(condition):
    expected = 0.0 if bool(np.asarray(getattr(condition, "data", condition))) else 1.0
    assert gg.grad(lambda x: gg.where(condition, 2.0, x))(3.0) == expected
    assert gg.jvp(lambda x: gg.where(condition, 2.0, x), 3.0, 1.0)[1] == expected
    assert gg.grad(lambda x: gg.where(condition, x, 2.0))(3.0) == 1 - expected


@pytest.mark.parametrize(
    ("f", "recorded", "replayed", "expected"),
    [
        (lambda x: (gg.relu(x) * x).sum(), [-1.0, 2], [3.0, -4], [6, 0]),
        (lambda x: (gg.absolute(x) * x).sum(), [1.0, 2], [-4.0, 3], [8, 6]),
        (lambda x: gg.max(x * x), [1.0, 2], [4.0, 3], [8, 0]),
        (lambda x: gg.maximum(x * x, 4.0).sum(), [1.0, 3], [5.0, 1], [10, 0]),
        (lambda x: (gg.max_pool(x.reshape(1, 4, 1), 2) ** 2).sum(), [1.0, 2, 3, 4],
         [4.0, 3, 2, 1], [8, 0, 4, 0]),
        (lambda x: (x**2.0).sum(), [1.0, 2], [0.0, 3], [0, 6]),
    ],
)  # fmt: skip
def test_a_recorded_backward_pass_replays_at_other_values(f, recorded, replayed, expected):
    x = gg.Tensor(recorded, requires_grad=True)
    f(x).backward(create_graph=True)
    assert gg.Graph.of(x.grad, [x]).replay(np.array(replayed)).tolist() == expected


def test_mixed_derivative_of_a_power_with_exponent_zero():
    hessian = gg.hessian(lambda v: gg.power(v[0], v[1]))(np.array([2.0, 0.0]))
    np.testing.assert_allclose(hessian, [[0, 0.5], [0.5, np.log(2) ** 2]])
    assert gg.grad(gg.power, (0, 1))(0.0, 0.0) == (0, 0)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i4", "?"])
def test_integers_do_not_wrap(dtype):
    values = np.array([0, 1, 1]).astype(dtype)
    floats = values.astype(float)
    for f in (gg.softmax, gg.log_softmax):
        np.testing.assert_allclose(f(values), f(floats))
    np.testing.assert_allclose(gg.sigmoid(values), gg.sigmoid(floats), rtol=1e-3)
    np.testing.assert_allclose(
        gg.cross_entropy(values[None], [1]), gg.cross_entropy(floats[None], [1])
    )
    np.testing.assert_allclose(gg.mse_loss(values, values[::-1]), gg.mse_loss(floats, floats[::-1]))


def test_extreme_integers():
    assert gg.mse_loss(np.array([100], "i1"), np.array([-100], "i1")) == 40000
    assert gg.softmax(np.array([-128, 127], "i1")).round(3).tolist() == [0, 1]
    white = np.full((1, 28, 28, 1), 255, "u1")
    assert gg.avg_pool(white, 28).item() == 255
    assert gg.avg_pool(np.full((1, 4, 1), 30000, "f2"), 4).item() == 30000
    assert gg.avg_pool(np.ones((1, 4096, 1), "f2"), 4096).dtype == np.float16


def test_mask_chooses_and_does_not_scale():
    x = np.array([1.0, 1.0], np.float32)
    assert gg.mask(x, np.array([2, 0])).tolist() == [1, 0]
    assert gg.mask(x, np.array([2, 0])).dtype == np.float32


@pytest.mark.parametrize("f", [lambda x: gg.absolute(x * (3 + 4j)).sum(), lambda x: (x * 1j).sum()])
def test_complex_numbers_have_no_silent_gradient(f):
    with pytest.raises(gg.DTypeError, match="complex"):
        gg.grad(f)(np.ones(2))
    with pytest.raises(gg.DTypeError, match="complex"):
        f(gg.Tensor([1.0, 2.0], requires_grad=True)).backward()


def test_a_tracked_cotangent_is_remembered():
    x, c = (gg.Tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    gg.alias(x).backward(c, create_graph=True)
    assert x.grad.requires_grad
    assert not np.shares_memory(x.grad.data, c.data)


def test_a_gradient_is_not_the_users_buffer():
    buffer = np.ones(2)
    f = gg.custom(lambda x: x * 1, vjp=lambda g, out, x: buffer)
    gradient = gg.grad(lambda x: f(x).sum())(np.ones(2))
    gradient[:] = 55
    assert buffer.tolist() == [1, 1]


@pytest.mark.parametrize("argnums", [(0, 0), (0, -2)])
def test_an_argument_is_named_once(argnums):
    with pytest.raises(gg.GradError, match="twice"):
        gg.grad(lambda x, y: x * y, argnums)(2.0, 3.0)


def test_replay_does_not_hand_out_its_argument():
    x = gg.Tensor(np.ones(4), requires_grad=True)
    given = np.ones(4)
    result = gg.Graph.of(x.reshape(2, 2), [x]).replay(given)
    assert not np.shares_memory(result, given)


def test_other_byte_orders_become_native():
    x = gg.Tensor(np.array([1.0, 2.0], ">f8"), requires_grad=True)
    (x * x).sum().backward()
    assert x.dtype.isnative
    assert x.grad.dtype == x.dtype


# Threads


@pytest.fixture
def _switching():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(work, count=4):
    errors = []

    def run():
        try:
            work()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors


@pytest.mark.usefixtures("_switching")
def test_gradients_of_several_threads_add_up():
    w = gg.Tensor(1.0, requires_grad=True)

    def work():
        for _ in range(100):
            (w * 1.0).backward()

    in_threads(work)
    assert w.grad.item() == 400


@pytest.mark.usefixtures("_switching")
def test_one_pull_serves_several_threads():
    x = gg.Tensor([1.0, 2.0], requires_grad=True)
    _, pull = gg.vjp(lambda x: x * x, x)

    def work():
        for _ in range(50):
            assert pull(np.ones(2)).tolist() == [2, 4]

    in_threads(work)


# Users' ops


@pytest.mark.parametrize(
    "rule",
    [
        lambda self, g, out, x: (2 * g).T,
        lambda self, g, out, x: (2 * g).ravel(),
        lambda self, g, out, x: np.stack([g, g]),
        lambda self, g, out, x: (g,),
        lambda self, g, out, x: g[0],
        lambda self, g, out, x: None,
        lambda self, g, out, x: g * 1j,
    ],
)
def test_a_vjp_of_the_wrong_shape_is_refused(rule):
    op = define(vjp_x=rule)()
    wrong = pytest.raises(gg.GradError, match=r"mine \(net\): its rule vjp_x")
    with wrong as caught, gg.scope("net"):
        gg.grad(lambda x: op(x).sum())(np.ones((2, 3)))
    assert "2×3" in str(caught.value)


def test_a_jvp_of_the_wrong_shape_is_refused():
    op = define(jvp_x=lambda self, t, out, x: t[0])()
    with pytest.raises(gg.GradError, match="jvp_x"):
        gg.jvp(op, np.ones((2, 3)), np.ones((2, 3)))


def test_users_rules_cannot_write_to_what_they_are_given():
    def in_place(self, g, out, x):
        g *= 2
        return g

    op = define(vjp_x=in_place)()
    p, q = (gg.Tensor(np.ones(3), requires_grad=True) for _ in range(2))
    with pytest.raises(ValueError, match="read-only"):
        (op(q) + p).backward(np.ones(3))

    def change(self, x):
        x *= 2
        return x

    with pytest.raises(ValueError, match="read-only"):
        define("Other", forward=change)()(q)
    assert q.tolist() == [1, 1, 1]


@pytest.mark.parametrize("result", [None, "a", {}, (1.0, 2.0), np.array(["a"])])
def test_a_forward_that_returns_no_array(result):
    with pytest.raises(gg.DTypeError, match="its forward returned"):
        define(forward=lambda self, x: result)()(1.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"forward": 3}, "forward is no function"),
        ({"vjp_x": 3}, "vjp_x is no function"),
        ({"linear": "x"}, "not a tuple"),
        ({"vjp_y": lambda self, g, out, x: g}, "'y' misspelt"),
        ({"__annotations__": {"name": str}}, "'name'"),
    ],
)
def test_more_mistakes_in_an_op_class(changes, words):
    with pytest.raises(gg.OpDefinitionError, match=words):
        define(**changes)


def test_a_users_op_may_have_the_name_of_ours():
    op = define("Add")()
    assert gg.Op.registry["add"].__module__ == "gradgraph.ops.arithmetic"
    assert gg.Op.registry[f"{__name__}.add"] is type(op)
    w = gg.Tensor(np.ones((2, 2)), requires_grad=True)
    y = op(np.ones((2, 2)) @ w).sum()
    y.backward()
    assert w.grad.tolist() == [[4, 4], [4, 4]]
    assert "add" in viz.draw(y, flow=True).dot


def test_a_field_that_cannot_be_hashed():
    cls = define(__annotations__={"factor": object})
    for make in (cls, cls.of):
        with pytest.raises(gg.DTypeError, match="mine: field factor is list"):
            make([1.0])


def test_the_number_of_arguments():
    with pytest.raises(TypeError, match=r"mine takes \(x\), but was given 2"):
        define()()(1.0, 2.0)


# Refusals


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.transpose(0.5, 1),
        lambda x: gg.pad(x, 1.7),
        lambda x: gg.softmax(x, 1.7),
        lambda x: gg.softmax(x, None),
        lambda x: gg.broadcast_to(x, (2.5, 3)),
        lambda x: gg.broadcast_to(x, "23"),
        lambda x: gg.stack([x, x], axis=None),
        lambda x: gg.concatenate([x, x], axis=(0, 1)),
        lambda x: gg.concatenate(3),
        lambda x: x.sum(axis=np.array([0, 1])),
        lambda x: x[0:1.5],
        lambda x: x["a":],
        lambda x: x[[[1], [1, 2]]],
        lambda x: gg.conv(x[None, ..., None], np.ones((1, 1, 1, 1)), stride=10**30),
        lambda x: gg.conv(x[None, ..., None], np.ones((1, 1, 1, 1)), stride=np.array([1, 1])),
        lambda x: gg.conv(x[None, ..., None], np.ones((1, 1, 1, 1)), padding=10**12),
        lambda x: gg.max_pool(np.zeros((1, 2, 2, 1), bool), 2),
        lambda x: x + np.array([None, 1, 2]),
        lambda x: x + np.array(["a", "b", "c"]),
        lambda x: gg.relu(np.array(["a"])),
        lambda x: gg.grad(3),
        lambda x: gg.grad(gg.relu, "a"),
        lambda x: gg.jvp(gg.relu, (1.0,), None),
        lambda x: gg.custom(3),
        lambda x: gg.Tensor(1.0, name=3),
        lambda x: gg.Tensor([1, 2]).assign(1.7),
        lambda x: gg.Tensor([1.0, 2.0]).assign(np.array([1j, 2j])),
        lambda x: gg.asarray(np.array([None]), copy=False),
        lambda x: gg.scalars(lambda x: (x, x), x),
        lambda x: nn.Sequential(nn.ReLU(), **{"0": nn.Tanh()}),
        lambda x: nn.Sequential(nn.ReLU),
        lambda x: nn.MaxPool(0),
        lambda x: nn.MaxPool("a"),
        lambda x: viz.draw(nn.ReLU()),
        lambda x: viz.draw(x, budget="a"),
        lambda x: viz.draw(x, timeout=None),
        lambda x: viz.draw(x, title=3),
        lambda x: viz.draw(x, flow="yes"),
    ],
)
def test_refused_with_an_explanation(call):
    x = gg.Tensor(np.ones((2, 3)), requires_grad=True)
    with pytest.raises(gg.GradgraphError) as caught:
        call(x)
    assert caught.value.line.startswith("tests/test_reviews.py:")
    assert caught.value.fix


def test_lists_are_arrays_everywhere():
    assert gg.pad([1.0, 2.0], 1).tolist() == [0, 1, 2, 0]
    assert gg.swapaxes([[1.0, 2.0]], 0, 1).shape == (2, 1)
    assert gg.moveaxis([[1.0, 2.0]], 0, 1).shape == (2, 1)
    assert gg.cross_entropy(np.zeros(3), 1).round(3) == 1.099


@pytest.mark.parametrize("bad", [np.full(3, "zz"), np.full(3, None), np.full(3, 1j)])
def test_state_is_loaded_whole_or_not_at_all(bad):
    net = nn.Linear(2, 3, rng=0)
    before, state = net.state_dict(), nn.Linear(2, 3, rng=1).state_dict()
    with pytest.raises(gg.DTypeError, match="load_state_dict"):
        net.load_state_dict(state | {"b": bad})
    for name, value in net.state_dict().items():
        assert np.array_equal(value, before[name])


def test_momentum_may_be_switched_on():
    w = gg.Tensor(1.0, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)
    optimizer.momentum = 0.9
    for _ in range(2):
        optimizer.zero_grad()
        (w * 1.0).backward()
        optimizer.step()
    assert w.item() == pytest.approx(0.71)
    with pytest.raises(gg.DTypeError, match="momentum"):
        optimizer.momentum = "a"


def test_a_slice_of_layers():
    net = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Flatten())
    part = net[0:2]
    assert len(part) == 2
    assert part(np.array([-1.0, 1.0])).tolist() == [0, np.tanh(1.0)]


def test_an_empty_batch_passes_a_lenet():
    assert nn.LeNet(rng=0)(np.zeros((0, 28, 28, 1), np.float32)).shape == (0, 10)


# Unfolding, drawing, the command line


def test_constants_in_an_unfolded_result():
    unfolded = gg.scalars(lambda x: gg.pad(x, 1), [2.0])
    assert [v.item() for v in unfolded.output] == [0, 2, 0]
    assert len(unfolded.graph.outputs) == 3
    both = gg.scalars(lambda x, unused: x * 2, [2.0], [3.0])
    assert both.output[0].item() == 4
    assert gg.scalars(gg.grad(lambda x: (x * x).sum()), [3.0]).output[0].item() == 6


@pytest.mark.parametrize("name", [".", ".a", "..", ""])
def test_scopes_of_dots_lose_nothing(name):
    w = gg.Tensor([1.0, -2.0], requires_grad=True, name="weight")
    with gg.scope(name):
        y = gg.relu(w).sum()
    dot = viz.draw(y).dot
    assert "relu" in dot
    assert "weight" in dot


def test_a_drawing_shows_the_values_of_its_moment():
    w, c = gg.Tensor(2.0, requires_grad=True), gg.Tensor(2.0)
    drawing = viz.draw((w * c).sum())
    c.assign(7777.0)
    assert "7,777" not in drawing.dot


def test_no_grad_without_brackets():
    @gg.no_grad
    def f(x):
        return x * 2

    assert not f(gg.Tensor(1.0, requires_grad=True)).requires_grad


def test_the_line_is_not_pythons_own():
    import functools

    with pytest.raises(gg.ShapeError) as caught:
        functools.reduce(gg.matmul, [np.ones((2, 3)), np.ones((2, 3))])
    assert caught.value.line.startswith("tests/test_reviews.py:")


def demo(*args, **options):
    command = [sys.executable, "-m", "gradgraph", "demo", "--epochs", "1", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_the_demo_finds_out_first_that_it_cannot_write(tmp_path):
    (tmp_path / "graph.svg").mkdir()
    (tmp_path / "file").write_text("")
    for out in (tmp_path, tmp_path / "file"):
        done = demo("--out", str(out))
        assert done.returncode == 1
        assert "--out" in done.stderr
        assert "epoch" not in done.stdout


# The second review


def test_a_derived_rule_is_derived_anew_for_a_subclass():
    sine = gg.Op.registry["sin"]
    child = type(gg.Op)(
        "SinOfDouble",
        (sine,),
        {
            "__module__": __name__,
            "forward": lambda self, x: np.sin(2 * x),
            "vjp_x": lambda self, g, out, x: 2 * g * gg.cos(2 * x),
        },
    )()
    assert gg.jvp(child, 1.0, 1.0)[1] == pytest.approx(2 * np.cos(2))


def test_linear_in_another_place_in_a_subclass():
    product = gg.Op.registry["multiply"]
    child = type(gg.Op)(
        "Scaled",
        (product,),
        {
            "__module__": __name__,
            "linear": ("x",),
            "forward": lambda self, y, x: x * np.exp(y),
            "vjp_x": lambda self, g, out, y, x: g * gg.exp(y),
            "vjp_y": lambda self, g, out, y, x: g * out,
            "jvp_y": lambda self, t, out, y, x: t * out,
        },
    )()
    assert gg.jvp(lambda x: child(0.5, x), 3.0, 1.0)[1] == pytest.approx(np.exp(0.5))


def test_an_op_with_a_mixin():
    class Mixin:
        factor = 2.0

    cls = type(gg.Op)(
        "Mixed",
        (gg.Op, Mixin),
        {k: v for k, v in vars(define()).items() if k in ("forward", "vjp_x", "jvp_x", "spec",
                                                          "reference", "sample")}
        | {"__module__": __name__, "__annotations__": {"factor": float}},
    )  # fmt: skip
    assert cls(3.0).factor == 3.0


def test_a_users_jvp_cannot_write_to_what_it_is_given():
    def rule(tangents, out, x):
        tangents[0][...] = 5
        return tangents[0]

    t = np.ones(2)
    with pytest.raises(ValueError, match="read-only"):
        gg.jvp(gg.custom(lambda x: x * 1.0, jvp=rule), np.ones(2), t)
    assert t.tolist() == [1, 1]


def test_a_replay_that_begins_after_what_it_needs():
    x = gg.Tensor(np.arange(8.0).reshape(1, 8, 1), requires_grad=True)
    y = gg.max_pool(x * 1.0, 2)
    (y * y).sum().backward(create_graph=True)
    with pytest.raises(gg.GradError, match="begin before that op"):
        gg.Graph.of(x.grad, inputs=[y]).replay(y.data * 2)


def conv(c_in, c_out, kernel, **options):
    return nn.Conv(c_in, c_out, kernel, rng=0, **options)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: conv(1, 1, (5, 1), padding="same")(x) + conv(1, 1, (1, 5), padding="same")(x),
        lambda x: (
            conv(1, 1, 2, padding=((1, 0), (1, 0)))(x) + conv(1, 1, 2, padding=((0, 1), (0, 1)))(x)
        ),
        lambda x: 1.0 - conv(1, 1, 3, padding=1)(x),
        lambda x: gg.concatenate([x, conv(1, 1, 3, padding=1)(x)], -1),
        lambda x: gg.pad(conv(1, 2, 3, stride=2)(x), ((0, 0), (1, 1), (1, 1), (0, 0))),
        lambda x: nn.Linear(4, 2, rng=0)(conv(1, 4, 3)(x)),
        lambda x: x.astype(np.float32) * 2,
    ],
)
def test_receptive_fields_through_branches(f):
    """The field of a 1×1 layer after it equals the support of the gradient."""
    shape = (1, 17, 17, 1)
    x = gg.Tensor(np.random.default_rng(0).uniform(1, 2, shape), requires_grad=True)
    channels = f(x).shape[-1]

    def net(x):
        return conv(channels, 1, 1)(f(x))

    y = net(x)
    y[0, y.shape[1] // 2, y.shape[2] // 2].sum().backward()
    seen = np.argwhere(x.grad.data[0, ..., 0] != 0)
    assert gg.summary(net, shape).rows[-1].field == tuple(seen.max(0) - seen.min(0) + 1)


def test_a_derivative_unfolds():
    unfolded = gg.scalars(gg.grad(lambda x: (x * x * x).sum()), np.array([1.0, 2.0]))
    assert [v.item() for v in unfolded.output] == [3, 12]
    graph = gg.Graph.of(list(unfolded.output), inputs=list(unfolded.inputs[0]))
    assert graph.replay(3.0, 4.0) == (27, 48)


def test_an_alias_is_released_whatever_happens():
    kept = []

    def f(x):
        kept.append(x)
        raise KeyError

    for operator in (gg.grad(f), gg.jacobian(f), lambda x: gg.vjp(f, x)):
        with pytest.raises(KeyError):
            operator(1.0)
    assert [x.requires_grad for x in kept] == [False] * 3


def test_fields_that_are_not_known_are_not_guessed():
    shape = (1, 16, 16, 1)
    last = conv(1, 1, 1)
    mixed = gg.summary(lambda x: last(gg.matmul(np.ones((16, 16), np.float32), x)), shape)
    assert mixed.rows[-1].field == ()
    two, nine, three = conv(1, 1, 2, stride=2), conv(1, 1, 9), conv(1, 1, 3)
    apart = gg.summary(lambda x: three(two(x) + nine(x)), shape)
    assert apart.rows[-1].field == ()
    assert "  all" not in str(apart)  # as a dense layer says it


def test_weights_outside_the_layers_are_told():
    w = gg.Tensor(np.ones((3, 3, 1, 2), np.float32), requires_grad=True)
    gain = gg.Tensor(np.ones(2, np.float32), requires_grad=True)
    table = gg.summary(lambda x: gg.conv(x, w * gain), (1, 8, 8, 1))
    assert table.weights == 20
    assert "outside these layers" in str(table)


@pytest.mark.parametrize(
    ("f", "shape", "names"),
    [
        (lambda x: gg.matmul(x, np.ones(4)), (3, 4), ["input", "matmul"]),
        (lambda x: conv(1, 2, 3)(x).mean(axis=(1, 2)), (1, 8, 8, 1), ["input", "conv", "output"]),
        (lambda x: conv(1, 1, 1)(x) + gg.relu(x), (1, 8, 8, 1), ["input", "conv"]),
    ],
)
def test_blocks_of_unusual_networks(f, shape, names):
    drawing = viz.cuboids(f, shape)
    assert [b.name for b in drawing.blocks] == names
    assert all(b.then == () for b in drawing.blocks[1:])
    assert "<svg" in drawing.svg


def test_the_squared_loss_of_a_plain_number():
    for reduction, loss in (("sum", gg.squared_loss), ("mean", gg.mse_loss)):
        x = gg.Tensor(1.0, requires_grad=True)
        loss(2.0, x).backward()
        assert x.grad.item() == -2.0, reduction
        y = gg.Tensor(1.0, requires_grad=True)
        loss(y, 2.0).backward()
        assert y.grad.item() == -2.0, reduction
