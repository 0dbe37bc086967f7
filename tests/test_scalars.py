"""Unfolding into scalars: the same values and gradients, with every weight shared in sight."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import gradgraph as gg

from . import extra_ops

rng = np.random.default_rng(0)
LABELS = np.array([2, 0])


def lenet(x, w, b, v):
    h = gg.max_pool(gg.relu(gg.conv(x, w, b, padding="same")), 2)
    return gg.cross_entropy(h.reshape(2, -1) @ v, LABELS)


CASES = {
    "multiply": (gg.multiply, [(2, 1), (3,)]),
    "divide": (lambda x, y: x / (y * y + 1), [(2,), (2,)]),
    "relu": (gg.relu, [(2, 3)]),
    "maximum": (gg.maximum, [(4,), ()]),
    "getitem": (lambda x: x[[0, 0, -1], 1:] * 2, [(3, 3)]),
    "matmul": (gg.matmul, [(2, 3), (3, 2)]),
    "softmax": (gg.softmax, [(2, 3)]),
    "cross entropy": (lambda x: gg.cross_entropy(x, LABELS), [(2, 3)]),
    "composite": (lambda x: gg.cross_entropy(gg.softmax(x * 2), LABELS), [(2, 3)]),
    "conv": (lambda x, w: gg.conv(x, w, stride=2, padding=1), [(1, 4, 4, 2), (3, 3, 2, 2)]),
    "conv 1-d": (lambda x, w: gg.conv(x, w, groups=2), [(2, 5, 2), (2, 1, 2)]),
    "max_pool": (lambda x: gg.max_pool(x, 2, stride=1), [(1, 3, 3, 2)]),
    "avg_pool": (lambda x: gg.avg_pool(x, 2, padding=1), [(1, 3, 3, 1)]),
    "reductions": (lambda x: x.max(axis=0) + x.mean(axis=1) * x.sum(), [(3, 3)]),
    "shapes": (lambda x: gg.concatenate([gg.pad(x, 1), gg.stack([x[0]] * 6).T]), [(2, 4)]),
    "activations": (lambda x: gg.tanh(x) + gg.sigmoid(x) * gg.sin(x) - gg.cos(x), [(3,)]),
    "where": (lambda x, y: gg.where(x > 0, x * y, gg.absolute(x)), [(4,), (4,)]),
    "mse": (gg.mse_loss, [(2, 2), (2, 2)]),
    "lenet": (lenet, [(2, 4, 4, 1), (3, 3, 1, 2), (2,), (8, 3)]),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name):
    f, shapes = CASES[name]
    arrays = [rng.normal(size=s) for s in shapes]
    unfolded = gg.scalars(f, *arrays)
    tensors = [gg.Tensor(a, requires_grad=True) for a in arrays]
    out = f(*tensors)
    cells = np.asarray(unfolded.output, dtype=object)
    assert cells.shape == out.shape
    values = np.reshape([float(c) for c in cells.ravel()], out.shape)
    assert_allclose(values, out.data, rtol=1e-12, atol=1e-13)
    cotangent = rng.normal(size=out.shape)
    out.backward(cotangent)
    total = 0.0
    for cell, c in zip(cells.ravel(), cotangent.ravel(), strict=True):
        total = total + cell * float(c)
    total.backward()
    for t, leaves in zip(tensors, unfolded.inputs, strict=True):
        assert leaves.shape == t.shape
        gradient = [0.0 if v.grad is None else v.grad.item() for v in leaves.ravel()]
        assert_allclose(np.reshape(gradient, t.shape), t.grad.data, rtol=1e-11, atol=1e-12)


def test_a_shared_weight_is_one_leaf_with_many_edges():
    x, w = np.arange(6.0).reshape(1, 6, 1), np.array([1.0, 2.0]).reshape(2, 1, 1)
    unfolded = gg.scalars(gg.conv, x, w)
    first = unfolded.inputs[1][0, 0, 0]
    uses = sum(any(v is first for v in vertex.inputs) for vertex in unfolded.graph.vertices)
    assert uses == 5  # once for each position


def test_every_op_is_a_scalar_op():
    unfolded = gg.scalars(lenet, *(np.ones(s) for s in CASES["lenet"][1]))
    assert {spec.shape for spec in unfolded.graph.specs} == {()}
    assert unfolded.output.shape == ()


def test_integers_stay_constants():
    unfolded = gg.scalars(lambda x, i: x[i], np.array([1.0, 2.0]), np.array([1, 1, 0]))
    assert [v.item() for v in unfolded.output] == [2.0, 2.0, 1.0]
    assert unfolded.inputs[1].dtype.kind == "i"


def test_ties_as_in_the_tensor_engine():
    for f in (gg.relu, gg.absolute, lambda x: x.max(), lambda x: gg.maximum(x, 0.0)):
        x = np.zeros(3)
        (leaves,) = (unfolded := gg.scalars(f, x)).inputs
        total = 0.0
        for cell in np.asarray(unfolded.output, dtype=object).ravel():
            total = total + cell
        total.backward()
        expected = gg.grad(lambda x, f=f: f(x).sum())(x)
        gradient = [0.0 if v.grad is None else v.grad.item() for v in leaves]
        assert_allclose(gradient, expected)


def test_several_outputs_unfold():
    with extra_ops.unregistered():
        op = extra_ops.sin_cos()
        cls = type(op)
        cls.reference = lambda self, x: (
            np.frompyfunc(gg.sin, 1, 1)(x),
            np.frompyfunc(gg.cos, 1, 1)(x),
        )
        unfolded = gg.scalars(lambda x: op(x)[0] * op(x)[1], np.array([0.3, 0.4]))
    assert_allclose([v.item() for v in unfolded.output], np.sin([0.6, 0.8]) / 2)


def test_scalar_functions_on_floats():
    from gradgraph import scalar

    assert scalar.exp(1000.0) == np.inf
    assert scalar.log(0.0) == -np.inf
    assert np.isnan(scalar.log(-1.0))
    assert np.isnan(scalar.sqrt(-1.0))
    assert scalar.largest([1.0, 3.0, 2.0]) == 3.0
    assert scalar.tied_mean([1.0, 3.0, 3.0]) == 3.0
    assert scalar.maximum(1.0, 1.0) == 1.0
    assert scalar.maximum(2.0, 1.0) == 2.0
    assert scalar.where(False, 1, 2) == 2
    assert scalar.total([]) == 0.0
