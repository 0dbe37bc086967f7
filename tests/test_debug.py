"""The debug mode: the op that makes a NaN or an infinity is named, and no other."""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import nn, optim, viz
from gradgraph.mode import current
from gradgraph.viz import engine, theme

any_engine = pytest.mark.skipif(
    not (engine._port() or shutil.which("dot")), reason="no layout engine here"
)


@pytest.fixture(autouse=True)
def pictures_go(monkeypatch, tmp_path):
    """The folders of pictures lie where pytest tidies up."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def here():
    """The caller's line, as errors write it."""
    frame = sys._getframe(1)
    path = frame.f_code.co_filename
    near = os.path.relpath(path) if path.startswith(os.getcwd() + os.sep) else path
    return f"{near}:{frame.f_lineno}"


def tensor(*values, dtype=float, **options):
    return gg.Tensor(np.array(values, dtype), requires_grad=True, **options)


def fault(function, *args):
    """The error of a function in debug mode; outside it, none is raised."""
    with np.errstate(all="ignore"):
        function(*args)
    with gg.debug(), pytest.raises(gg.NonFiniteError) as caught:
        function(*args)
    return caught.value


# The forward pass


@pytest.mark.parametrize(
    ("name", "function", "args", "kind", "place"),
    [
        ("log", gg.log, ([1.0, 0.0],), "-inf", [1]),
        ("log", gg.log, ([1.0, -1.0],), "nan", [1]),
        ("divide", lambda x, y: x / y, ([1.0, 1.0], [1.0, 0.0]), "inf", [1]),
        ("divide", lambda x, y: x / y, ([[0.0, 1.0]], [0.0, 2.0]), "nan", [0, 0]),
        ("exp", gg.exp, ([1000.0, 1.0],), "inf", [0]),
        ("power", lambda x: x**-1.0, ([2.0, 0.0],), "inf", [1]),
        ("multiply", lambda x: x * 1e200, ([1.0, 1e200],), "inf", [1]),
    ],
)
def test_the_forward_pass(name, function, args, kind, place):
    error = fault(function, *(tensor(*a) for a in args))
    assert (error.op, error.rule, error.vertex.op.name) == (name, "forward", name)
    values = np.size(error.vertex._data)
    assert f"1 of {values} values of its result is {kind}, the first at {place}" in error.problem
    assert "in the forward pass" in error.problem
    assert [stat.name for stat in error.stats] == list(error.vertex.op.args)


def test_the_parameters_of_the_op_are_named():
    error = fault(lambda x: gg.sum(x, axis=0), tensor(1e308, 1e308))
    assert error.op == f"sum({error.vertex.op.label()})"
    assert "its result is inf" in error.problem


def test_several_kinds_at_once():
    error = fault(gg.log, tensor(0.0, -1.0, 1.0))
    assert "2 of 3 values of its result are -inf or nan" in error.problem


def test_an_operand_in_the_statistics():
    (stat,) = fault(gg.log, gg.Tensor(np.array([[4.0, 0.0, 0.0, 2.0]], np.float32))).stats
    assert (stat.name, stat.shape, stat.dtype) == ("x", (1, 4), np.float32)
    assert (stat.least, stat.most, stat.mean, stat.zeros) == (0, 4, 1.5, 2)
    assert str(stat) == "x: 1×4 float32, 0 to 4, mean 1.5, 2 zeros"


def test_each_operand_of_many():
    bad = gg.custom(lambda x, y: x / y, vjp=lambda g, out, x, y: (g / y, -g * out / y))
    error = fault(bad, tensor(1.0), tensor(0.0))
    assert [(stat.name, stat.zeros) for stat in error.stats] == [("xs[0]", 0), ("xs[1]", 1)]


class Ratio(nn.Module):
    """A loss that is NaN on the forward pass, inside a network."""

    def __init__(self):
        self.head = nn.Linear(2, 2, rng=0)

    def forward(self, x):
        y = self.head(x)
        y = y - y
        self.place, y = here(), y / y.sum()
        return y


def test_a_loss_that_is_nan_at_once_inside_a_module():
    net = nn.Sequential(first=nn.Linear(2, 2, rng=1), ratio=Ratio())
    error = fault(lambda: net(gg.Tensor([[1.0, 2.0]])).mean().backward())
    assert error.op == "divide"
    assert error.scope == error.vertex.scope == "sequential.ratio"
    assert error.line == error.vertex.line == net.ratio.place
    assert "divide (sequential.ratio): " in str(error)
    assert f" at {net.ratio.place}\n" in str(error)


def test_what_is_not_recorded_is_named_too():
    def untracked():
        with gg.scope("metrics"):
            gg.log(gg.Tensor([0.0]))

    def off():
        with gg.no_grad(), gg.scope("metrics"):
            gg.log(tensor(0.0))

    def arrays():
        with gg.scope("metrics"):
            gg.log(np.zeros(1))

    def captured():
        with gg.capture(), gg.scope("metrics"):
            gg.log(gg.Tensor([0.0]))

    for function in (untracked, off, arrays, captured):
        error = fault(function)
        assert (error.op, error.scope, error.vertex.op.name) == ("log", "metrics", "log")
        assert error.vertex.inputs[0]._data.tolist() == [0]
        assert error.line == error.vertex.line
        assert Path(error.line.rpartition(":")[0]).name == "test_debug.py"


def test_an_op_of_the_user():
    def reciprocal(x):
        return 1 / x

    bad = gg.custom(reciprocal, vjp=lambda g, out, x: -g * out * out, name="reciprocal")
    error = fault(bad, tensor(0.0, 1.0))
    assert error.op == "reciprocal"


def test_numpy_errors_that_the_user_asked_for_give_way():
    with np.errstate(all="raise"), gg.debug(), pytest.raises(gg.NonFiniteError):
        gg.log(tensor(0.0))


# The reverse sweep


def root(x):
    with gg.scope("norm"):
        return gg.sqrt(x)


def test_a_rule_of_the_reverse_sweep():
    places = []

    def function(x):
        with gg.scope("norm"):
            places[:], y = [here()], gg.sqrt(x)
        (y * 2.0).sum().backward()

    error = fault(function, tensor(4.0, 0.0))
    assert (error.op, error.rule, error.scope) == ("sqrt", "vjp_x", "norm")
    assert error.line == places[0]
    assert "in the reverse sweep, 1 of 2 values of its rule vjp_x is inf" in error.problem
    assert "the first at [1]" in error.problem
    assert [stat.name for stat in error.stats] == ["g", "out", "x"]
    assert error.stats[0].mean == 2


def test_the_operand_whose_rule_is_wrong():
    x, y = tensor(1e200), tensor(1e-200)
    error = fault(lambda: (x / y * 0.0 + y).sum().backward())
    assert (error.op, error.rule) == ("divide", "forward")
    x = tensor(1e100)
    error = fault(lambda: (x / y).sum().backward())
    assert (error.op, error.rule) == ("divide", "vjp_y")


def test_one_operand_twice_names_the_right_rule():
    bad = gg.custom(
        lambda x, y: x + y,
        vjp=lambda g, out, x, y: (g, g / (x - y)),
        name="bad",
    )
    x = tensor(1.0)
    error = fault(lambda: bad(x, x).sum().backward())
    assert (error.op, error.rule) == ("bad", "vjp_xs[1]")


@pytest.mark.parametrize("scale", [1e308, -1e308])
def test_cotangents_that_add_up_to_infinity(scale):
    x = tensor(0.0, name="x")
    error = fault(lambda: (x * scale + x * scale).sum().backward())
    assert (error.op, error.rule, error.vertex) == ("x", "sum", x)
    assert "sum of the cotangents that arrive at it are" not in error.problem
    assert "1 of 1 values of the sum of the cotangents that arrive at it is" in error.problem
    assert error.stats[0].mean == scale


def test_the_third_cotangent_makes_the_sum_overflow():
    x = tensor(0.0)
    y = x * 1.0
    error = fault(lambda: sum((y * 7e307 for _ in range(3)), gg.Tensor([0.0])).sum().backward())
    assert (error.op, error.rule, error.vertex) == ("multiply", "sum", y)


def test_an_index_that_adds_into_a_buffer():
    x = tensor(1.0, 2.0)
    error = fault(lambda: (x[:1] * 1e308 + x[:1] * 1e308 - 3e307).sum().backward())
    assert error.rule == "forward"
    x = tensor(0.0, 2.0)
    error = fault(lambda: (x[:1] * 1e308 + x[0] * 1e308).sum().backward())
    assert (error.rule, error.vertex) == ("sum", x)


@pytest.mark.parametrize("graph", [False, True])
def test_recorded_sweeps(graph):
    error = fault(lambda x: root(x).sum().backward(create_graph=graph), tensor(0.0, 4.0))
    assert (error.op, error.rule, error.scope) == ("sqrt", "vjp_x", "norm")


def test_operators_on_functions():
    at = np.array([0.0, 1.0])
    ones = np.ones(2)
    cases = {
        "grad": lambda: gg.grad(lambda x: root(x).sum())(at),
        "vjp": lambda: gg.vjp(root, at)[1](ones),
        "jacobian": lambda: gg.jacobian(root)(at),
        "hvp": lambda: gg.hvp(lambda x: root(x).sum(), at, ones),
        "hessian": lambda: gg.hessian(lambda x: root(x).sum())(at),
    }
    for name, case in cases.items():
        error = fault(case)
        assert (error.op, error.rule, error.scope) == ("sqrt", "vjp_x", "norm"), name


def test_the_second_derivative_alone():
    error = fault(lambda: gg.hvp(lambda x: (x**1.5).sum(), np.zeros(2), np.ones(2)))
    assert (error.op, error.rule) == ("power", "jvp")
    assert "it is a step of vjp_x of power" in error.problem


def test_the_backward_pass_has_the_lines_of_the_forward_pass():
    x = tensor(1.0)
    with gg.debug():
        line, y = here(), x * x * x
        y.backward(create_graph=True)
    inner = [v for v in gg.Graph.of(x.grad).vertices if v.origin is not None]
    assert inner
    assert {v.line for v in inner} == {line}


# The forward sweep


@pytest.mark.parametrize("tracked", [False, True])
def test_the_forward_sweep(tracked):
    at, ones = np.array([0.0, 1.0]), np.ones(2)
    at = tensor(*at) if tracked else at
    error = fault(lambda: gg.jvp(root, (at,), (ones,)))
    assert (error.op, error.rule, error.scope) == ("sqrt", "jvp", "norm")
    assert "in the forward sweep, 1 of 2 values of its tangent" in error.problem
    assert [stat.name for stat in error.stats] == ["t of x", "out", "x"]


# A graph that was recorded before


def test_a_graph_from_outside_is_examined_by_the_sweep():
    x = tensor(0.0, 1.0)
    with np.errstate(all="ignore"):
        loss = gg.log(x).sum()
    places = []
    with gg.debug(), pytest.raises(gg.NonFiniteError) as caught:
        (places.append(here()), loss.backward())
    error = caught.value
    assert (error.op, error.rule, error.vertex) == ("log", "forward", loss.inputs[0])
    assert error.line == places[0]  # of the sweep: the line that applied the op was not kept
    assert "Run the forward pass inside gg.debug()" in error.fix


# Not accused


def test_what_passes_on_a_value_is_not_accused():
    image = np.array([[[[1.0], [-np.inf]], [[0.0], [2.0]]]])
    mask = np.array([0.0, -np.inf])
    nan = tensor(np.nan, 1.0)
    with gg.debug():
        assert gg.exp(gg.Tensor([np.inf])).data == np.inf
        assert gg.max_pool(gg.Tensor(image, requires_grad=True), 2).item() == 2
        assert gg.softmax(tensor(1.0, 2.0) + mask).data.tolist() == [1, 0]
        (nan * 2.0).sum().backward()
        assert np.isnan(gg.jvp(gg.exp, (nan.data,), (np.ones(2),))[1][0])
        assert gg.vjp(lambda x: x * 2.0, np.ones(1))[1](np.array([np.inf])) == np.inf
    assert nan.grad.data.tolist() == [2, 2]


def test_a_sum_with_a_value_that_was_passed_on_is_not_accused():
    x = tensor(1.0)
    inf = gg.Tensor([np.inf])
    with gg.debug():
        (x * 2.0 + x * inf).sum().backward()
        _, pull = gg.vjp(lambda v: ((y := v * 2.0), y * 3.0), np.ones(1))
        assert pull(np.array([np.inf]), np.ones(1)) == np.inf
    assert x.grad.data == np.inf


def test_an_infinity_inside_a_rule_is_not_its_result():
    def slope(g, out, x):
        return gg.where(x > 0, g / x, 0.0 * g)

    safe = gg.custom(lambda x: np.log(np.maximum(x, 1.0)), vjp=slope, name="safe")
    x = tensor(0.0, 2.0)
    with gg.debug():
        safe(x).sum().backward(create_graph=True)
        first = x.grad
        assert first.data.tolist() == [0, 0.5]
        first.sum().backward()


def test_a_graph_from_outside_that_passes_on_a_value_is_not_accused():
    x = tensor(np.nan)
    loss = gg.exp(x * 2.0).sum()
    with gg.debug():
        loss.backward()
        gg.jvp(lambda v: v * x, np.ones(1), np.ones(1))
    assert np.isnan(x.grad.data)


def test_a_later_op_is_accused_although_another_value_was_passed_on():
    x = tensor(0.0, name="x")
    inf = gg.Tensor([np.inf])
    error = fault(lambda: (gg.sqrt(x) + x * inf).sum().backward())
    assert (error.op, error.rule) == ("sqrt", "vjp_x")


def step():
    """One training step of a LeNet: its loss, gradients and new weights."""
    rng = np.random.default_rng(0)
    net = nn.LeNet(rng=0)
    images = gg.Tensor(rng.normal(size=(4, 28, 28, 1)).astype(np.float32))
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    loss = gg.cross_entropy(net(images), np.array([1, 2, 3, 4]))
    loss.backward()
    grads = [p.grad.data.copy() for p in net.parameters()]
    optimizer.step()
    return [loss.data, *grads, *(p.data for p in net.parameters())]


def test_a_training_step_is_the_same_bit_for_bit():
    with gg.debug():
        inside = step()
    for a, b in zip(step(), inside, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize(
    "derivative",
    [
        lambda f, x: gg.jacobian(f)(x),
        lambda f, x: gg.hessian(lambda v: f(v).sum())(x),
        lambda f, x: gg.jvp(f, (x,), (x,))[1],
        lambda f, x: gg.grad(lambda v: f(v).sum())(x),
    ],
)
def test_derivatives_are_the_same_bit_for_bit(derivative):
    def f(x):
        return gg.tanh(x) * x + gg.concatenate([x[1:], x[:1]]) / 3.0 + gg.max(x) * gg.softmax(x)

    x = np.array([0.3, -1.7, 2.2])
    with gg.debug():
        inside = derivative(f, x)
    assert derivative(f, x).tobytes() == inside.tobytes()


# The mode


def test_lines_are_kept_inside_only():
    x = tensor(1.0)
    outside = x * 2.0
    with gg.debug():
        line, inside = here(), x * 2.0
        both = (here(), gg.concatenate([x, x]))
        made = gg.Tensor([1.0])
    assert (outside.line, inside.line, made.line, (x * 2.0).line) == ("", line, "", "")
    assert both[0] == both[1].line


def test_decorators():
    @gg.debug
    def plain(x):
        return gg.log(x)

    @gg.debug()
    def called(x):
        return gg.log(x)

    @gg.debug()
    def generator(x):
        yield x
        yield gg.log(x)

    zero = tensor(0.0)
    for function in (plain, called, lambda x: list(generator(x))):
        with pytest.raises(gg.NonFiniteError):
            function(zero)
    with np.errstate(all="ignore"):
        for _ in generator(tensor(1.0)):
            assert gg.log(zero).item() == -np.inf  # the consumer is not debugging
        assert gg.log(zero).item() == -np.inf


def test_it_ends_with_its_block_and_nests():
    zero = tensor(0.0)
    with gg.debug():
        with gg.debug(), gg.no_grad(), gg.scope("a"):
            assert gg.exp(zero).scope == "a"
            with gg.enable_grad():
                y = gg.exp(zero)
        assert (y.scope, y.requires_grad) == ("a", True)
        with pytest.raises(gg.NonFiniteError):
            gg.log(zero)
        with pytest.raises(gg.NonFiniteError):  # after an error it goes on
            gg.log(zero)
    assert current() == type(current())()
    with np.errstate(all="ignore"):
        assert gg.log(zero).item() == -np.inf


def test_threads_do_not_debug_each_other():
    caught = []
    entered, done = threading.Event(), threading.Event()

    def debugging():
        with gg.debug():
            entered.set()
            done.wait(10)
            try:
                gg.log(tensor(0.0))
            except gg.NonFiniteError as error:
                caught.append(error.op)

    thread = threading.Thread(target=debugging)
    thread.start()
    entered.wait(10)
    with np.errstate(all="ignore"):
        gg.log(tensor(0.0))
    done.set()
    thread.join()
    assert caught == ["log"]


# The picture


def marked(error):
    """The texts of the cards with a red header."""
    root = ElementTree.fromstring(error.drawing().svg)
    space = "{http://www.w3.org/2000/svg}"
    cards = [g for g in root.iter(f"{space}g") if g.get("class") == "node"]
    red = [c for c in cards if any(p.get("class") == "f-alarm" for p in c.iter(f"{space}polygon"))]
    return [" ".join(t.text or "" for t in card.iter(f"{space}text")) for card in red]


@any_engine
def test_the_picture_has_the_culprit_in_red():
    error = fault(lambda x: (root(x) * 2.0).sum().backward(), tensor(4.0, 0.0))
    (words,) = marked(error)
    assert "norm sqrt" in words
    assert "vjp_x made inf" in words
    text = Path(error.picture).read_text(encoding="utf-8")
    assert text == error.drawing().svg
    assert str(error).endswith(f"picture: {error.picture}")
    assert all(name in text for name in ("sqrt", "multiply", "sum"))
    assert "#a3261c" in text
    assert theme.COLOURS["alarm"] == ("#a3261c", "#ff9d94")


@any_engine
def test_the_picture_of_an_op_that_was_not_recorded():
    error = fault(lambda: gg.log(np.zeros(2)))
    (words,) = marked(error)
    assert "made -inf" in words


@any_engine
def test_a_leaf_in_the_picture():
    x = tensor(0.0, name="x")
    (words,) = marked(fault(lambda: (x * 1e308 + x * 1e308).sum().backward()))
    assert words.startswith("x")
    assert "sum made inf" in words


def test_a_gradient_flow_is_drawn_as_it_is():
    x = tensor(0.0, 4.0)
    with gg.debug():
        seen = viz.flow(gg.sqrt(x).sum())
        assert gg.sqrt(x).line
    assert seen.norms[x] == np.inf


def test_without_a_picture_there_is_the_message(monkeypatch):
    error = fault(gg.log, tensor(0.0))

    def fail(*args, **kwargs):
        raise RuntimeError("no engine")

    monkeypatch.setattr(viz, "draw", fail)
    assert error.picture == ""
    assert str(error).startswith("log: in the forward pass")
    assert "picture" not in str(error)


def test_an_error_travels_to_another_process(monkeypatch):
    monkeypatch.delattr(viz, "draw")
    error = fault(gg.log, tensor(0.0))
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.rule, copy.stats) == (str(error), error.rule, error.stats)
    assert copy.vertex is None
