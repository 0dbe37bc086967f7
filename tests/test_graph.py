"""Graph: a flat snapshot that replays, counts and remembers where a step comes from."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import gradgraph as gg
from gradgraph import Graph

from . import extra_ops


def leaf(value, **kwargs):
    return gg.Tensor(value, requires_grad=True, **kwargs)


def network():
    rng = np.random.default_rng(0)
    x = gg.Tensor(rng.normal(size=(2, 6, 6, 1)), name="x")
    w = leaf(rng.normal(size=(3, 3, 1, 4)), name="w")
    v = leaf(rng.normal(size=(16, 3)), name="v")
    with gg.scope("net"):
        with gg.scope("conv"):
            h = gg.max_pool(gg.relu(gg.conv(x, w)), 2)
        with gg.scope("head"):
            out = gg.cross_entropy(h.reshape(2, -1) @ v, np.array([0, 2]))
    return x, w, v, out


def test_default_inputs_are_the_leaves_that_require_grad():
    x, *_, out = network()
    graph = Graph.of(out)
    assert [graph.names[i] for i in graph.inputs] == ["w", "v"]
    assert graph.vertices[graph.outputs[0]] is out
    constants = [graph.vertices[i] for i in graph.constants]
    assert any(c is x for c in constants)  # by reference
    assert len(constants) == 2  # and the labels
    assert len(graph) == len(graph.steps) == 6
    assert repr(graph) == "Graph(6 steps, 2 inputs, 2 constants, 1 outputs)"


def test_steps_read_what_was_written_before():
    *_, out = network()
    graph = Graph.of(out)
    written = {*graph.inputs, *graph.constants}
    for step in graph.steps:
        assert written.issuperset(step.inputs)
        written.add(step.output)
    assert written == set(range(len(graph.vertices)))


def test_explicit_inputs_and_outputs():
    x, w, v, out = network()
    graph = Graph.of([[out], (out * 2,)], inputs=[x, w, v])
    assert [graph.names[i] for i in graph.inputs] == ["x", "w", "v"]
    a, b = graph.replay(x, w, v)
    assert_allclose(b, 2 * a)


def test_an_inner_tensor_as_input_cuts_the_graph():
    a = leaf(2.0)
    b = a * 3
    c = b * b
    graph = Graph.of(c, inputs=b)
    assert [s.op.name for s in graph.steps] == ["multiply"]
    assert graph.replay(5.0) == 25.0


def test_nested_lists_and_object_arrays():
    a, b = leaf(1.0), leaf(2.0)
    cells = np.empty((2,), object)
    cells[0], cells[1] = a * 2, b * 3
    assert Graph.of(cells).replay(10.0, 10.0) == (20.0, 30.0)
    assert Graph.of([[a * 2], [b * 3]]).replay(1.0, 1.0) == (2.0, 3.0)


def test_what_is_no_tensor():
    with pytest.raises(gg.GradError, match="float is no tensor"):
        Graph.of([1.0])
    with pytest.raises(gg.GradError, match="str is no tensor"):
        Graph.of("text")
    with pytest.raises(gg.GradError, match=r"other \(scalar float64\) is not part of the graph"):
        Graph.of(leaf(1.0) * 2, inputs=leaf(1.0, name="other"))


def test_replay_on_new_values():
    x, w, v, out = network()
    graph = Graph.of(out, inputs=[x, w, v])
    assert_array_equal(graph.replay(x, w, v), out.data)
    rng = np.random.default_rng(1)
    values = [rng.normal(size=t.shape) for t in (x, w, v)]

    def plain(x, w, v):
        h = gg.max_pool(gg.relu(gg.conv(x, w)), 2)
        return gg.cross_entropy(h.reshape(2, -1) @ v, np.array([0, 2]))

    assert_allclose(graph.replay(*values), plain(*values))


def test_replay_reads_constants_as_they_are_now():
    k, x = gg.Tensor(2.0), leaf(1.0)
    graph = Graph.of(x * k)
    k.assign(5.0)
    assert graph.replay(3.0) == 15.0


def test_replay_casts_and_checks():
    x = leaf(np.ones(2, np.float32), name="x")
    graph = Graph.of(x * 2)
    assert graph.replay([1.0, 2.0]).dtype == np.float32
    with pytest.raises(gg.GradError, match=r"x was recorded as \(2,\) float32, got \(3,\) float32"):
        graph.replay(np.ones(3))
    with pytest.raises(gg.GradError, match="2 values for 1 inputs"):
        graph.replay(1.0, 2.0)


def test_replay_of_several_outputs_and_saved_arrays():
    sin_cos, leaky, x_exp = extra_ops.sin_cos(), extra_ops.leaky(), extra_ops.x_exp()
    x = leaf([0.3, -0.4])
    s, c = sin_cos(x)
    graph = Graph.of(leaky(s) * c + x_exp(x))
    y = np.array([-0.7, 0.9])
    expected = np.where(y > 0, 1, 0.1) * np.sin(y) * np.cos(y) + y * np.exp(y)
    assert_allclose(graph.replay(y), expected)
    assert any(isinstance(spec, tuple) for spec in graph.specs)
    assert graph.flops() > 10


def test_flops():
    x, w = leaf(np.ones((2, 5, 5, 3))), leaf(np.ones((3, 3, 3, 4)))
    assert Graph.of(gg.conv(x, w)).flops() == 2 * (2 * 3 * 3 * 4) * (3 * 3 * 3)
    a, b = leaf(np.ones((2, 3))), leaf(np.ones((3, 4)))
    assert Graph.of(a @ b).flops() == 2 * 2 * 3 * 4
    assert Graph.of((a @ b) * 2.0).flops() == 2 * 2 * 3 * 4 + 8
    assert Graph.of(a.reshape(6)).flops() == 0


def test_scopes():
    *_, out = network()
    scopes = [step.scope for step in Graph.of(out).steps]
    assert scopes == ["net.conv"] * 3 + ["net.head"] * 3


def test_capture_records_untracked_graphs():
    x = gg.Tensor([1.0, 2.0])
    with gg.capture():
        y = (x * 2).sum()
    graph = Graph.of(y, inputs=x)
    assert graph.replay([3.0, 4.0]) == 14.0
    assert Graph.of(y).inputs == ()


def test_a_backward_pass_is_a_graph_that_replays():
    x, w, v, out = network()
    out.backward(create_graph=True)
    graph = Graph.of([out, w.grad, v.grad], inputs=[x, w, v])
    w.grad, v.grad = None, None
    assert len(graph.steps) > 6
    rng = np.random.default_rng(3)
    # other values, but the winners of max-pooling are those of the recorded pass
    values = [t.data * rng.uniform(1.0, 1.0 + 1e-9, t.shape) for t in (x, w, v)]
    loss, gw, gv = graph.replay(*values)
    t = [leaf(a) for a in values]
    h = gg.max_pool(gg.relu(gg.conv(t[0], t[1])), 2)
    again = gg.cross_entropy(h.reshape(2, -1) @ t[2], np.array([0, 2]))
    again.backward()
    assert_allclose(loss, again.data)
    assert_allclose(gw, t[1].grad.data, rtol=1e-6)
    assert_allclose(gv, t[2].grad.data, rtol=1e-6)


def test_origins_of_a_backward_pass():
    x, w = leaf([1.0, 2.0], name="x"), leaf([3.0, 4.0], name="w")
    with gg.scope("layer"):
        product = x * w
    loss = gg.exp(product).sum()
    loss.backward(create_graph=True)
    graph = Graph.of([loss, x.grad])
    x.grad = w.grad = None
    place = next(i for i, v in enumerate(graph.vertices) if v is product)
    backward = [s for s in graph.steps if s.origin is not None]
    assert all(s.origin is None for s in graph.steps[:3])
    assert (place, "vjp_x") in {s.origin for s in backward}
    of_product = [s for s in backward if s.origin[0] == place]
    assert {s.scope for s in of_product} == {"layer"}
    only_backward = Graph.of([v for v in graph.vertices if v.origin][-1], inputs=[x, w])
    assert all(s.origin is None or s.origin[0] >= -1 for s in only_backward.steps)


def test_origins_of_a_forward_sweep():
    x = leaf(2.0)
    y, t = gg.jvp(lambda x: x * x, x, gg.Tensor(1.0))
    rules = {v.origin[1] for v in Graph.of(t).vertices if v.origin}
    assert rules == {"jvp"}
    assert y.origin is None


def test_origins_under_capture():
    with gg.capture():
        x = gg.Tensor([1.0, 2.0])
        gradient = gg.grad(lambda x: (x * x * x).sum())(x)
    graph = Graph.of(gradient)
    assert {s.origin[1] for s in graph.steps if s.origin} >= {"vjp_x", "vjp_y"}


def test_a_graph_is_immutable():
    graph = Graph.of(leaf(1.0) * 2)
    with pytest.raises(AttributeError):
        graph.steps = ()
