"""Shapes, indices, padding, sorting: every function against numpy, and what other engines lose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn
from numpy.testing import assert_allclose, assert_array_equal

import gradgraph as gg
from gradgraph.kernels import scatter
from gradgraph.ops.index import Scatter, parsed, result_ndim
from gradgraph.testing import check

RNG = np.random.default_rng(0)
A = RNG.normal(size=(2, 3, 4))
ROWS = np.array([1, 0, 2])

# name: (function of a module that has numpy's names, and its argument)
AS_NUMPY = {
    "reshape": lambda m, x: m.reshape(x, (4, -1)),
    "ravel": lambda m, x: m.ravel(x),
    "transpose": lambda m, x: m.transpose(x, (1, -1, 0)),
    "swapaxes": lambda m, x: m.swapaxes(x, 0, -1),
    "moveaxis": lambda m, x: m.moveaxis(x, (0, 1), (-1, 0)),
    "expand_dims": lambda m, x: m.expand_dims(x, 1),
    "expand_dims, several": lambda m, x: m.expand_dims(x, (0, -1, 2)),
    "squeeze": lambda m, x: m.squeeze(x[None, :, :1]),
    "squeeze, one": lambda m, x: m.squeeze(x[None, :, :1], 0),
    "squeeze, several": lambda m, x: m.squeeze(x[None, :, :1], (0, -2)),
    "broadcast_to": lambda m, x: m.broadcast_to(x, (2, 2, 3, 4)),
    "concatenate": lambda m, x: m.concatenate([x, x[:, :1], np.ones((2, 2, 4))], 1),
    "concatenate, flat": lambda m, x: m.concatenate([x, x[0]], None),
    "stack": lambda m, x: m.stack([x, 2 * x], -1),
    "vstack": lambda m, x: m.vstack([x, x[:1]]),
    "vstack, vectors": lambda m, x: m.vstack((x[0, 0], x[0])),
    "vstack, numbers": lambda m, x: m.vstack([x[0, 0, 0], x[0, 1, 0]]),
    "hstack": lambda m, x: m.hstack([x, x[:, 1:]]),
    "hstack, vectors": lambda m, x: m.hstack((x[0, 0], x[0, 1, :2], x[0, 0, 0])),
    "hstack, numbers": lambda m, x: m.hstack([x[0, 0, 0], x[0, 1, 0]]),
    "diff, axis": lambda m, x: m.diff(x, 1, 0),
    "diff": lambda m, x: m.diff(x),
    "diff, twice": lambda m, x: m.diff(x, n=2, axis=1),
    "diff, no times": lambda m, x: m.diff(x, 0),
    "diff, nothing left": lambda m, x: m.diff(x, 3, 1),
    "split": lambda m, x: m.split(x, 2, -1)[1],
    "split, one": lambda m, x: m.split(x, 1)[0],
    "split at": lambda m, x: m.split(x, [1, -1], 2)[1],
    "split at, last": lambda m, x: m.split(x, np.array([1, 3]), axis=2)[2],
    "split at, beyond": lambda m, x: m.split(x, (1, 9), 1)[2],
    "tile": lambda m, x: m.tile(x, 2),
    "tile, several": lambda m, x: m.tile(x, (2, 1, 3)),
    "tile, more axes": lambda m, x: m.tile(x, (2, 1, 1, 2)),
    "tile, none": lambda m, x: m.tile(x, (0, 2)),
    "repeat": lambda m, x: m.repeat(x, 2),
    "repeat, axis": lambda m, x: m.repeat(x, 3, 1),
    "repeat, each": lambda m, x: m.repeat(x, [0, 2, 1], -2),
    "repeat, array": lambda m, x: m.repeat(x, np.array([2, 1, 0, 4]), axis=-1),
    "repeat, array of one": lambda m, x: m.repeat(x, np.array([2]), axis=-1),
    "repeat, none": lambda m, x: m.repeat(x, 0, axis=0),
    "flip": lambda m, x: m.flip(x),
    "flip, axis": lambda m, x: m.flip(x, -1),
    "flip, several": lambda m, x: m.flip(x, (0, 2)),
    "roll": lambda m, x: m.roll(x, 5),
    "roll, axis": lambda m, x: m.roll(x, -1, 1),
    "roll, several": lambda m, x: m.roll(x, (1, -2), (0, -1)),
    "roll, one shift": lambda m, x: m.roll(x, 1, (0, 1)),
    "roll, one axis": lambda m, x: m.roll(x, (1, 1), 2),
    "tril": lambda m, x: m.tril(x),
    "tril, below": lambda m, x: m.tril(x, -1),
    "tril, vector": lambda m, x: m.tril(x[0, 0], 1),
    "triu": lambda m, x: m.triu(x),
    "triu, above": lambda m, x: m.triu(x, k=2),
    "triu, below": lambda m, x: m.triu(x, -2),
    "diag of a matrix": lambda m, x: m.diag(x[0]),
    "diag of a matrix, below": lambda m, x: m.diag(x[0], -1),
    "diag of a matrix, outside": lambda m, x: m.diag(x[0], 9),
    "diag of a matrix, outside below": lambda m, x: m.diag(x[0], -9),
    "diag of a vector": lambda m, x: m.diag(x[0, 0]),
    "diag of a vector, above": lambda m, x: m.diag(x[0, 0], 2),
    "diag of a vector, below": lambda m, x: m.diag(x[0, 0], k=-1),
    "diagonal": lambda m, x: m.diagonal(x),
    "diagonal, axes": lambda m, x: m.diagonal(x, 1, 2, 0),
    "diagonal, negative": lambda m, x: m.diagonal(x, -1, axis1=-2, axis2=-1),
    "pad": lambda m, x: m.pad(x, 1),
    "pad, value": lambda m, x: m.pad(x, ((0, 1), (2, 0), (0, 0)), constant_values=2.5),
    "pad, reflect": lambda m, x: m.pad(x, ((0, 1), (2, 0), (1, 1)), "reflect"),
    "pad, edge": lambda m, x: m.pad(x, 2, "edge"),
    "pad, wrap": lambda m, x: m.pad(x, (2, 1), mode="wrap"),
    "pad, reflect beyond": lambda m, x: m.pad(x, 7, "reflect"),
    "pad, wrap beyond": lambda m, x: m.pad(x, 9, "wrap"),
    "take": lambda m, x: m.take(x, [5, 5, -1]),
    "take, axis": lambda m, x: m.take(x, np.array([[0, -1], [1, 1]]), 1),
    "take, one": lambda m, x: m.take(x, 2, axis=-1),
    "take, none": lambda m, x: m.take(x, [], 0) if m is gg else x[:0],
    "take_along_axis": lambda m, x: m.take_along_axis(x, np.array([[[0], [1], [-1], [0]]]), 1),
    "take_along_axis, flat": lambda m, x: m.take_along_axis(x, np.array([3, 3, 0]), None),
    "sort": lambda m, x: m.sort(x),
    "sort, axis": lambda m, x: m.sort(x, 0),
    "sort, flat": lambda m, x: m.sort(x, axis=None),
}


@pytest.mark.parametrize("name", AS_NUMPY)
def test_as_numpy(name):
    f = AS_NUMPY[name]
    expected = f(np, A)
    for x in (A, np.asfortranarray(A), A[:, ::-1][:, ::-1]):
        assert_array_equal(f(gg, x), expected)
        assert_array_equal(f(gg, gg.Tensor(x)).data, expected)
    for dtype in (np.float32, np.float16, np.int32, np.uint8, bool):
        if dtype in (np.int32, np.uint8, bool) and name in ("pad, value", "stack", "concatenate"):
            continue
        x = A.astype(dtype)
        assert f(gg, x).dtype == f(gg, gg.Tensor(x)).dtype == f(np, x).dtype
        assert_array_equal(f(gg, x), f(np, x))


@pytest.mark.parametrize("name", AS_NUMPY)
def test_numpys_functions_of_tensors_record(name):
    f = AS_NUMPY[name]
    if name != "take, none":
        assert_array_equal(f(np, gg.Tensor(A)).data, f(np, A))


@pytest.mark.parametrize("name", AS_NUMPY)
def test_derivatives(name):
    report = check(lambda x: AS_NUMPY[name](gg, x), A, examples=20)
    assert report.verdict == "passed"


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap"])
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("width", [(0, 0), (1, 0), (0, 2), (5, 7)])
def test_what_was_padded_is_folded_back(mode, n, width):
    sources = np.pad(np.arange(n), width, mode)
    g = RNG.normal(size=len(sources))
    pull = gg.vjp(lambda x: gg.pad(x, width, mode), np.zeros(n))[1]
    assert_allclose(pull(g), np.bincount(sources, g, n))


@pytest.mark.parametrize("value", [-1, 256, 0.5, np.nan, np.inf])
def test_integers_are_padded_with_their_own_kind(value):
    x = np.array([1, 2], np.uint8)
    with pytest.raises(gg.DomainError, match="does not fit into an array of uint8"):
        gg.pad(x, 1, constant_values=value)
    assert gg.pad(x, 1, constant_values=255).tolist() == [255, 1, 2, 255]
    assert gg.pad(x > 1, 1, constant_values=1).tolist() == [True, False, True, True]
    with pytest.raises(gg.DomainError, match="does not fit into an array of bool"):
        gg.pad(x > 1, 1, constant_values=2)
    assert gg.pad(np.array([True]), 1).tolist() == [False, True, False]
    with pytest.raises(gg.DomainError, match="does not fit"):
        gg.pad(np.array([True]), 1, constant_values=-1)


def test_padding_can_be_differentiated_row_by_row_twice():
    hessian = gg.jacobian(gg.jacobian(lambda x: gg.pad(x, (2, 1), "wrap") ** 2))(A[0, 0])
    assert_allclose(hessian.sum(0), np.diag([4.0, 2.0, 4.0, 4.0]))


EMPTY = {
    "ravel": lambda m, x: m.ravel(x),
    "expand_dims": lambda m, x: m.expand_dims(x, 0),
    "squeeze": lambda m, x: m.squeeze(x[None]),
    "split": lambda m, x: m.split(x, 3)[1],
    "split, the other axis": lambda m, x: m.split(x, 3, 1)[1],
    "tile": lambda m, x: m.tile(x, (2, 2)),
    "repeat": lambda m, x: m.repeat(x, 2, 0),
    "repeat, each": lambda m, x: m.repeat(x, [], 0) if m is gg else x,
    "flip": lambda m, x: m.flip(x),
    "roll": lambda m, x: m.roll(x, 2, 0),
    "roll, flat": lambda m, x: m.roll(x, 2),
    "tril": lambda m, x: m.tril(x),
    "diag": lambda m, x: m.diag(x),
    "diag of a vector": lambda m, x: m.diag(x[:, 0]),
    "diagonal": lambda m, x: m.diagonal(x, 1),
    "pad": lambda m, x: m.pad(x, 1),
    "pad, edge": lambda m, x: m.pad(x, ((0, 0), (1, 1)), "edge"),
    "take": lambda m, x: m.take(x, np.array([], int), 0),
    "take, the other axis": lambda m, x: m.take(x, [0, 0], 1),
    "sort": lambda m, x: m.sort(x, 0),
    "sort, the other axis": lambda m, x: m.sort(x),
    "argsort": lambda m, x: m.argsort(x, 0),
}


@pytest.mark.parametrize("name", EMPTY)
def test_zero_length_axes(name):
    f, x = EMPTY[name], np.ones((0, 3))
    assert f(gg, x).shape == f(np, x).shape
    if name != "argsort":
        gradient = gg.grad(lambda x: f(gg, x).sum())(x)
        assert gradient.shape == x.shape


def test_zero_length_axes_of_the_others():
    assert gg.topk(np.ones((2, 0)), 0)[0].shape == (2, 0)
    assert gg.embedding(np.zeros((0, 2), int), np.ones((3, 4))).shape == (0, 2, 4)
    assert gg.grad(lambda t: gg.embedding([], t).sum())(np.ones((0, 4))).shape == (0, 4)
    assert gg.one_hot(np.zeros(0, int), 3).shape == (0, 3)
    assert gg.resize(np.ones((0, 2, 2, 3)), 4).shape == (0, 4, 4, 3)
    assert gg.put(np.ones(0), [], 1.0).shape == (0,)


class TestIndexing:
    @given(
        hn.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4).flatmap(
            lambda s: st.tuples(st.just(s), indices(s))
        )
    )
    @example(((2, 3, 4), (0, slice(None), [1, 1, 0])))
    @example(((2, 3, 4), (0, ..., [1, 1])))
    @example(((2, 3), (True, None, [0, -1])))
    @example(((2, 3), (np.False_, ...)))
    @example(((), (np.array(True), None)))
    @example(((3, 2), (np.array([True, False, True]), [0])))
    @example(((3, 2), ([], ...)))
    @example(((3, 2), ((), 0)))
    def test_every_form_that_numpy_has(self, case):
        shape, index = case
        x = np.random.default_rng(0).normal(size=shape)
        try:
            expected = x[index]
        except IndexError:
            with pytest.raises(gg.IndexingError):
                gg.Tensor(x, requires_grad=True)[index]
            return
        pattern, arrays = parsed("getitem", index)
        assert result_ndim(pattern, x, arrays) == np.ndim(expected)
        found, pull = gg.vjp(lambda x: x[index], x)
        assert_array_equal(found, expected)
        g = np.random.default_rng(1).normal(size=np.shape(expected))
        total = np.zeros(shape)
        np.add.at(total, index, g)
        assert_allclose(pull(g), total)
        given_values = np.array(x)
        given_values[index] = 7.0
        assert_array_equal(gg.put(x, index, 7.0), given_values)
        assert_allclose(gg.put(x, index, g, add=True), x + total)

    @pytest.mark.parametrize(
        "index",
        [
            *(1.0, "a", {0}, [0.5], np.array([1.5]), ([0], [0.5]), slice(0, 1, 0), 7),
            *((0, 0, 0), np.zeros(5, bool), ([0, 1], [0, 1, 2])),
        ],
    )
    def test_what_is_no_index(self, index):
        x = np.ones((2, 3))
        for f in (lambda: gg.getitem(x, index), lambda: gg.put(x, index, 1.0)):
            with pytest.raises(gg.IndexingError):
                f()

    def test_tensors_index(self):
        x = gg.Tensor(A, requires_grad=True)
        i, chosen = gg.Tensor([1, 0, 1]), gg.Tensor(A[0] > 0)
        assert_array_equal(x[i].data, A[[1, 0, 1]])
        assert_array_equal(x[:, chosen].data, A[:, A[0] > 0])
        assert_array_equal(x[gg.Tensor(1)].data, A[1])
        assert_array_equal(x[gg.Tensor(0) : gg.Tensor(1)].data, A[:1])

    def test_an_object_that_is_an_index(self):
        class One:
            def __index__(self):
                return 1

        assert_array_equal(gg.getitem(A, One()), A[1])
        assert_array_equal(gg.getitem(A, (..., np.int8(1))), A[..., 1])

    def test_what_is_sparse_is_added_the_slow_way(self):
        """A large array from which little is taken is not numbered: the same numbers come out."""
        x = np.zeros((40, 40))
        index = (np.array([1, 1, -1]), np.array([2, 2, 3]))
        for total in (x, np.asfortranarray(x)):
            scatter.add_at(total, index, np.array([1.0, 2.0, 3.0]))
        assert x[1, 2] == 3.0
        assert x[-1, 3] == 3.0
        assert x.sum() == 6.0
        dense = np.asfortranarray(np.zeros((2, 2)))
        scatter.add_at(dense, (np.array([0, 0, 1]),), np.ones((3, 2)))
        assert dense.tolist() == [[2.0, 2.0], [1.0, 1.0]]


KINDS = ["slice", "int", "none", "ellipsis", "array", "list", "mask", "flag"]


@st.composite
def indices(draw, shape):
    """A tuple of all that numpy takes in brackets; some are out of bounds or too many."""
    together = draw(st.sampled_from([(), (1,), (2,), (3, 1), (2, 2), (0,)]))
    items, axis = [], 0
    for _ in range(draw(st.integers(0, len(shape) + 2))):
        n = shape[axis] if axis < len(shape) else 1
        kind = draw(st.sampled_from(KINDS))
        if kind == "slice":
            ends = st.none() | st.integers(-5, 5)
            step = draw(st.none() | st.sampled_from([1, 2, 3, -1, -2]))
            items.append(slice(draw(ends), draw(ends), step))
        elif kind == "int":
            items.append(draw(st.integers(-n, n)))
        elif kind == "none":
            items.append(None)
        elif kind == "ellipsis":
            items.append(...)
            axis = draw(st.integers(axis, max(axis, len(shape))))
        elif kind == "flag":
            items.append(draw(st.sampled_from([True, False, np.True_, np.array(False)])))
        elif kind == "mask":
            block = shape[axis : axis + draw(st.integers(0, 2))]
            items.append(draw(hn.arrays(bool, block)))
            axis += len(block)
        else:
            bounds = st.integers(-n, max(n - 1, 0))
            array = draw(
                hn.arrays(draw(st.sampled_from([int, np.int8])), together, elements=bounds)
            )
            items.append(array if kind == "array" or not array.ndim else array.tolist())
        axis += kind in ("slice", "int", "array", "list")
    return tuple(items)


class TestPitfalls:
    """What other engines got wrong in such rules."""

    def test_repeated_indices_do_not_overwrite(self):
        g = np.array([1.0, 2.0, 4.0])
        for f in (
            lambda x: x[[1, 1, 0]],
            lambda x: gg.take(x, [1, 1, 0]),
            lambda x: gg.embedding([1, 1, 0], x),
            lambda x: gg.take_along_axis(x, np.array([1, 1, 0]), 0),
        ):
            assert gg.vjp(f, np.zeros(2))[1](g).tolist() == [4.0, 3.0]
        assert gg.put(np.zeros(2), [1, 1, 0], g, add=True).tolist() == [4.0, 3.0]

    def test_negative_indices_are_not_lost(self):
        g = np.array([1.0, 2.0])
        for f in (
            lambda x: x[[-1, -3]],
            lambda x: gg.take(x, [-1, -3]),
            lambda x: gg.take_along_axis(x, np.array([-1, -3]), 0),
        ):
            assert gg.vjp(f, np.zeros(3))[1](g).tolist() == [2.0, 0.0, 1.0]
        assert gg.put(np.zeros(3), [-1, -3], g).tolist() == [2.0, 0.0, 1.0]
        wide = gg.vjp(lambda x: gg.take(x, [-1, -1], 0), np.zeros((2, scatter.LONG)))
        assert wide[1](np.ones((2, scatter.LONG)))[:, 0].tolist() == [0.0, 2.0]

    def test_an_empty_scatter_is_zeros(self):
        for f in (
            lambda x: x[[]],
            lambda x: x[np.zeros((0, 2), int)],
            lambda x: gg.take(x, [], 0),
            lambda x: gg.embedding(np.zeros(0, int), x),
            lambda x: gg.repeat(x, 0, 0),
        ):
            assert gg.grad(lambda x, f=f: f(x).sum())(np.ones((3, 2))).tolist() == [[0, 0]] * 3
        assert gg.put(np.ones(2), [], []).tolist() == [1.0, 1.0]

    @pytest.mark.parametrize("kind", ["fortran", "backwards", "every other", "transposed"])
    def test_arrays_that_are_not_contiguous(self, kind):
        wide = np.zeros((4, 6))
        wide[:, ::2] = A[0].T
        x = {
            "fortran": np.asfortranarray(A[0].T),
            "backwards": A[0].T[::-1].copy()[::-1],
            "every other": wide[:, ::2],
            "transposed": A[0].copy().T,
        }[kind]
        at = np.array([[0, 1, -1], [2, 0, 0]])[:, ::-1]
        for f in (
            lambda x: x[at, [1, 0, 1]],
            lambda x: gg.take(x, at.T, 1),
            lambda x: gg.take(x, at, 0),
            lambda x: gg.sort(x, 0),
            lambda x: gg.pad(x, 2, "reflect"),
            lambda x: gg.roll(x, 1, 0),
            lambda x: gg.put(x, (at, [0, 0, 1]), np.arange(6.0).reshape(3, 2).T),
        ):
            out, pull = gg.vjp(f, np.ascontiguousarray(x))
            g = np.random.default_rng(0).normal(size=out.shape)
            assert_array_equal(gg.vjp(f, x)[0], out)
            assert_allclose(gg.vjp(f, x)[1](np.asfortranarray(g)), pull(g))

    def test_float32_stays(self):
        x = A.astype(np.float32)
        for f in (
            lambda x: gg.put(x, 0, 1.5),
            lambda x: gg.put(x, 0, 1.5, add=True),
            lambda x: gg.resize(x, 5, "bilinear"),
            lambda x: gg.topk(x, 2)[0],
            lambda x: gg.embedding([0, 0], x),
        ):
            out, pull = gg.vjp(f, x)
            assert out.dtype == pull(out)[...].dtype == np.float32


class TestPut:
    @given(st.data())
    def test_the_last_value_stays_and_gets_the_gradient(self, data):
        """In reading order, however index and values lie in memory."""
        shape = data.draw(st.sampled_from([(5,), (3, 2), (2, 2, 2)]))
        at = data.draw(hn.arrays(int, shape, elements=st.integers(0, 2)))
        values = np.arange(float(at.size)).reshape(shape)
        lay = data.draw(
            st.sampled_from([np.array, np.asfortranarray, lambda a: a[::-1].copy()[::-1]])
        )
        expected, winner = np.full(3, -1.0), {}
        for place in np.ndindex(shape):
            expected[at[place]] = values[place]
            winner[at[place]] = place
        out, pull = gg.vjp(lambda x, v: gg.put(x, lay(at), v), np.full(3, -1.0), lay(values))
        assert_array_equal(out, expected)
        g = np.array([10.0, 20.0, 30.0])
        to_x, to_values = pull(g)
        assert_array_equal(to_x, np.where(expected == -1, g, 0.0))
        wanted = np.zeros(shape)
        for i, place in winner.items():
            wanted[place] = g[i]
        assert_array_equal(to_values, wanted)

    def test_x_is_not_changed(self):
        x = gg.Tensor([1.0, 2.0])
        assert gg.put(x, 0, 5.0).tolist() == [5.0, 2.0]
        assert gg.put(x, 0, 5.0, add=True).tolist() == [6.0, 2.0]
        assert x.tolist() == [1.0, 2.0]

    @pytest.mark.parametrize("add", [False, True])
    def test_derivatives(self, add):
        for index, values in [
            ([0, 2, 2, 0], RNG.normal(size=(4, 4))),
            ((slice(None), 1), 2.5),
            (A[0] > 0, RNG.normal(size=int((A[0] > 0).sum()))),
            ((..., [1, 1]), RNG.normal(size=(3, 1))),
        ]:
            report = check(
                lambda x, v, i=index: gg.put(x, i, v, add=add), A[0], values, examples=20
            )
            assert report.verdict == "passed"

    def test_dtypes(self):
        assert gg.put(np.zeros(2, np.float32), 0, 1.0).dtype == np.float32
        assert gg.put(np.zeros(2, np.float32), 0, np.ones(())).dtype == np.float64
        assert gg.put(np.zeros(2, int), 0, 0.5).tolist() == [0.5, 0.0]  # numpy would cut it off
        assert gg.put(np.zeros(2, int), 0, 0.5, add=True).tolist() == [0.5, 0.0]

    def test_values_that_do_not_fit(self):
        for add in (False, True):
            for index, values in [([0, 1], ones := np.ones(3)), (A[0, 0] > 9, ones[None, :0])]:
                with pytest.raises(gg.ShapeError, match="do not broadcast to it"):
                    gg.put(np.zeros(4), index, values, add=add)


class TestSelection:
    def test_embedding(self):
        table = RNG.normal(size=(5, 3))
        ids = np.array([[4, 0], [4, 4]])
        out, pull = gg.vjp(lambda t: gg.embedding(ids, t), table)
        assert_array_equal(out, table[ids])
        expected = np.zeros((5, 3))
        expected[4], expected[0] = 3.0, 1.0
        assert_array_equal(pull(np.ones((2, 2, 3))), expected)
        assert gg.embedding(2, table).shape == (3,)
        assert_array_equal(gg.embedding(gg.Tensor([1]), gg.Tensor(table)).data, table[[1]])
        assert check(lambda t: gg.embedding(ids, t), table, examples=20).verdict == "passed"

    @pytest.mark.parametrize("bad", [-1, 5])
    def test_no_such_row(self, bad):
        with pytest.raises(gg.DomainError, match=f"index {bad} names no row"):
            gg.embedding([0, bad, 1], np.ones((5, 2)))
        with pytest.raises(gg.DomainError, match=f"index {bad} names no class"):
            gg.one_hot([0, bad, 1], 5)

    def test_one_hot(self):
        assert gg.one_hot([[0], [2]], 3).tolist() == [[[1, 0, 0]], [[0, 0, 1]]]
        assert gg.one_hot(1, 2, np.float32).dtype == np.float32
        assert gg.one_hot(gg.Tensor([1]), 2, bool).tolist() == [[False, True]]
        assert not gg.one_hot(gg.Tensor([1]), 2).requires_grad

    def test_take_long_rows(self):
        x = RNG.normal(size=(2, 3, scatter.LONG))
        g = RNG.normal(size=(2, 2, 2, scatter.LONG))
        expected = np.zeros(x.shape)
        for i, j in [(0, 0), (0, 1), (1, 0), (1, 1)]:
            expected[:, [[2, 0], [2, -1]][i][j]] += g[:, i, j]
        found = gg.vjp(lambda x: gg.take(x, [[2, 0], [2, -1]], 1), x)[1](g)
        assert_allclose(found, expected)

    @pytest.mark.parametrize("indices", [[True, False], [0.5], ["a"], [[1], [1, 2]]])
    def test_what_is_no_index(self, indices):
        for f in (
            lambda: gg.take(A, indices, 0),
            lambda: gg.embedding(indices, A),
            lambda: gg.one_hot(indices, 3),
            lambda: gg.take_along_axis(A, indices, 0),
        ):
            with pytest.raises(gg.IndexingError):
                f()

    def test_indices_out_of_range(self):
        with pytest.raises(gg.IndexingError, match="the indices go from -4 to 1"):
            gg.take(gg.Tensor(A), [1, -4], 1)
        with pytest.raises(gg.IndexingError, match="out of bounds"):
            gg.take_along_axis(A, np.full((2, 1, 4), 3), 1)

    @pytest.mark.parametrize("mode", ["clip", "wrap"])
    def test_other_modes_are_refused(self, mode):
        with pytest.raises(TypeError, match="mode"):
            np.take(gg.Tensor(A), [9], mode=mode)


class TestSorting:
    def test_argsort(self):
        x = np.array([[2.0, np.nan, 1.0, 2.0], [0.0, -np.inf, np.inf, 0.0]])
        for axis in (0, 1, None):
            expected = np.argsort(x, axis, kind="stable")
            assert_array_equal(gg.argsort(x, axis), expected)
            assert_array_equal(gg.argsort(gg.Tensor(x, requires_grad=True), axis).data, expected)
            assert_array_equal(gg.sort(x, axis), np.sort(x, axis))
        assert not gg.argsort(gg.Tensor(x, requires_grad=True)).requires_grad

    def test_ties_keep_their_order(self):
        pull = gg.vjp(gg.sort, np.array([2.0, 1.0, 2.0]))[1]
        assert pull(np.array([10.0, 20.0, 30.0])).tolist() == [20.0, 10.0, 30.0]

    @pytest.mark.parametrize("dtype", [float, np.float32, int, np.uint8, bool])
    @pytest.mark.parametrize("axis", [0, 1, -1])
    def test_topk(self, dtype, axis):
        x = np.random.default_rng(0).integers(0, 4, (4, 6)).astype(dtype)
        values, indices = gg.topk(gg.Tensor(x), 3, axis)
        order = np.argsort(-x.astype(int), axis=axis, kind="stable")
        expected = np.take(order, range(3), axis)
        assert_array_equal(indices.data, expected)
        assert_array_equal(values.data, np.take_along_axis(x, expected, axis))
        assert values.dtype == dtype

    def test_topk_of_what_is_not_finite(self):
        values, indices = gg.topk(np.array([1.0, np.nan, np.inf, -np.inf]), 4)
        assert_array_equal(values, [np.nan, np.inf, 1.0, -np.inf])
        assert indices.tolist() == [1, 2, 0, 3]

    def test_topk_has_derivatives(self):
        assert check(lambda x: gg.topk(x, 2)[0], A, examples=20).verdict == "passed"
        assert check(lambda x: gg.topk(x, 2, 0)[0] ** 2, A, examples=20).verdict == "passed"
        x = gg.Tensor(A, requires_grad=True)
        assert not gg.topk(x, 1)[1].requires_grad

    @pytest.mark.parametrize("k", [-1, 5, 1.5, None])
    def test_there_are_not_so_many(self, k):
        with pytest.raises(gg.ShapeError, match=r"topk: k is"):
            gg.topk(A, k)


class TestResize:
    """Against values computed by hand from the formulas of the docstring."""

    ROW = np.array([1.0, 3.0, 2.0])

    @pytest.mark.parametrize(
        ("size", "method", "expected"),
        [
            (3, "nearest", [1, 3, 2]),
            (5, "nearest", [1, 1, 3, 3, 2]),
            (2, "nearest", [1, 3]),
            (1, "nearest", [1]),
            (6, "bilinear", [1, 1.5, 2.5, 2.75, 2.25, 2]),
            (5, "bilinear", [1, 1.8, 3, 2.4, 2]),
            (2, "bilinear", [1.5, 2.25]),
            (1, "bilinear", [3]),
            (3, "bilinear", [1, 3, 2]),
        ],
    )
    def test_a_row(self, size, method, expected):
        assert_allclose(gg.resize(self.ROW[None, :, None], size, method)[0, :, 0], expected)

    @pytest.mark.parametrize("method", ["nearest", "bilinear"])
    def test_one_pixel_goes_everywhere(self, method):
        assert gg.resize(np.full((1, 1, 1, 2), 3.0), (2, 3), method).tolist() == [
            [[[3, 3]] * 3] * 2
        ]

    @pytest.mark.parametrize("shape", [(2, 3, 2), (1, 3, 2, 2), (1, 2, 2, 3, 1)])
    @pytest.mark.parametrize("method", ["nearest", "bilinear"])
    @pytest.mark.parametrize("size", [1, 2, 5])
    def test_axes_are_resized_one_by_one(self, shape, method, size):
        x = RNG.normal(size=shape)
        out = gg.resize(x, size, method)
        expected = x
        for axis in range(1, x.ndim - 1):
            expected = np.apply_along_axis(
                lambda row: gg.resize(row[None, :, None], size, method)[0, :, 0], axis, expected
            )
        assert_allclose(out, expected, atol=1e-15)
        report = check(lambda x: gg.resize(x, size, method), x, examples=20)
        assert report.verdict == "passed"

    def test_dtypes(self):
        x = np.ones((1, 2, 1), np.uint8)
        assert gg.resize(x, 4).dtype == np.uint8
        assert gg.resize(x, 4, "bilinear").dtype == np.float64
        assert gg.resize(x.astype(np.float16), 4, "bilinear").dtype == np.float16

    def test_numpys_resize_is_something_else(self):
        with pytest.raises(TypeError, match=r"np.resize has no rule"):
            np.resize(gg.Tensor(np.ones((1, 2, 1))), 4)

    @pytest.mark.parametrize("size", [0, -1, (2, 2), 1.5, ()])
    def test_no_such_size(self, size):
        with pytest.raises(gg.ShapeError, match="resize"):
            gg.resize(np.ones((1, 3, 1)), size)
        with pytest.raises(gg.ShapeError, match=r"into as many of at least 1 pixel"):
            gg.resize(np.ones((1, 0, 1)), 2)
        with pytest.raises(gg.ShapeError, match="x is 2×2"):
            gg.resize(np.ones((2, 2)), 2)
        with pytest.raises(gg.DomainError, match="cubic"):
            gg.resize(np.ones((1, 3, 1)), 2, "cubic")


def test_triangles_keep_no_trace_of_nan():
    x = np.array([[1.0, np.nan], [np.inf, 2.0]])
    assert gg.tril(x).tolist() == [[1.0, 0.0], [np.inf, 2.0]]
    assert gg.triu(np.array([[1.0, 3.0], [np.nan, 2.0]])).tolist() == [[1.0, 3.0], [0.0, 2.0]]
    pulled = gg.vjp(gg.tril, x)[1](np.full((2, 2), np.inf))
    assert pulled.tolist() == [[np.inf, 0.0], [np.inf, np.inf]]


@pytest.mark.parametrize(
    ("kind", "call", "text"),
    [
        (gg.DomainError, lambda: gg.reshape(A, (4, 6), order="F"), "order 'F' is not available"),
        (gg.DomainError, lambda: np.reshape(gg.Tensor(A), (4, 6), order="F"), "order 'F'"),
        (gg.ShapeError, lambda: gg.expand_dims(A, None), "axis is None"),
        (gg.ShapeError, lambda: gg.expand_dims(A, 4), "axis 4 is out of range"),
        (gg.ShapeError, lambda: gg.squeeze(A, 1), "axis -2 of x (2×3×4) has length 3"),
        (gg.ShapeError, lambda: gg.split(A, 2, 1), "does not divide into 2 equal parts"),
        (gg.ShapeError, lambda: gg.split(A, 0), "does not divide into 0 equal parts"),
        (gg.ShapeError, lambda: gg.split(A, 1.5), "not made of integers"),
        (gg.ShapeError, lambda: gg.flip(A, 3), "axis 3 is out of range"),
        (gg.ShapeError, lambda: gg.flip(A, (0, 0)), "names an axis twice"),
        (gg.ShapeError, lambda: gg.roll(A, (1, 2), (0, 1, 2)), "2 shifts for 3 axes"),
        (gg.DomainError, lambda: gg.diff(A, -1), "n is -1"),
        (gg.DomainError, lambda: gg.diff(A, 1.5), "n is 1.5"),
        (gg.ShapeError, lambda: gg.diff(A, 1, 3), "axis 3 is out of range"),
        (gg.ShapeError, lambda: gg.vstack([]), "nothing to concatenate"),
        (gg.ShapeError, lambda: gg.hstack([]), "nothing to concatenate"),
        (gg.ShapeError, lambda: gg.vstack([A, A[:, :1]]), "axis -2 does not"),
        (gg.ShapeError, lambda: gg.hstack(3), "not several arrays"),
        (gg.ShapeError, lambda: gg.roll(A, 1.5, 0), "shift 1.5 is not made of integers"),
        (gg.DomainError, lambda: gg.repeat(A, -1), "-1 is negative"),
        (gg.ShapeError, lambda: gg.repeat(A, [1, 2], 1), "2 repeats, and axis -2"),
        (gg.ShapeError, lambda: gg.repeat(A, 1.5), "not made of integers"),
        (gg.DomainError, lambda: gg.tile(A, (1, -2)), "-2 is negative"),
        (gg.ShapeError, lambda: gg.tril(1.0), "x is a scalar"),
        (gg.ShapeError, lambda: gg.tril(A, 1.5), "not an integer"),
        (gg.ShapeError, lambda: gg.diag(A), "neither a vector nor a matrix"),
        (gg.ShapeError, lambda: gg.diagonal(A, 0, 1, -2), "names an axis twice"),
        (gg.ShapeError, lambda: gg.diagonal(A[0, 0]), "axis 1 is out of range"),
        (gg.DomainError, lambda: gg.pad(A, 1, "mirror"), "mode 'mirror' is not available"),
        (gg.DomainError, lambda: gg.pad(A, 1, constant_values=(1, 2)), "not one number"),
        (gg.DomainError, lambda: gg.pad(A, 1, constant_values=A[0, :1, :1]), "not one number"),
        (gg.DomainError, lambda: gg.pad(A, 1, constant_values="1x"), "is str, not one number"),
        (gg.DomainError, lambda: gg.pad(A, 1, constant_values=gg.Tensor(1.0)), "no gradient"),
        (gg.ShapeError, lambda: gg.pad(np.ones((0, 2)), 1, "edge"), "axis 0 of x (0×2) has no"),
        (gg.ShapeError, lambda: gg.transpose(A, (-4, 0, 1)), "do not name each of the 3 axes"),
        (gg.ShapeError, lambda: gg.swapaxes(A, None, 1), "swapaxes: axis is None, not one axis"),
        (gg.ShapeError, lambda: gg.moveaxis(A, None, 0), "moveaxis: axis is None, not one axis"),
        (gg.IndexingError, lambda: gg.put(A, 5, 1.0), "put: x is 2×3×4: index 5 is out"),
        (gg.IndexingError, lambda: gg.getitem(1.0, 0), "getitem: x is scalar: too many"),
        (gg.ShapeError, lambda: gg.transpose(A[0, 0], -2), "do not name each of the 1 axes"),
        (gg.ShapeError, lambda: gg.broadcast_to(np.ones(1), (-1,)), "(-1,) is no shape"),
        (gg.ShapeError, lambda: gg.one_hot(np.zeros(0, int), -1), "classes is -1, no length"),
        (gg.ShapeError, lambda: gg.one_hot(0, (3, 4)), "classes is (3, 4), no length"),
        (gg.ShapeError, lambda: gg.pad(A, -1, "edge"), "To remove elements, slice"),
        (gg.ShapeError, lambda: gg.sort(1.0), "A scalar has no axes"),
        (gg.ShapeError, lambda: gg.sort(A, 3), "axis 3 is out of range"),
        (gg.ShapeError, lambda: gg.take(A, 0, 3), "axis 3 is out of range"),
        (gg.ShapeError, lambda: gg.take_along_axis(A, ROWS, 0), "the indices are (3,)"),
        (gg.ShapeError, lambda: gg.take_along_axis(A, ROWS[None, None], 0), "must agree or be 1"),
        (gg.ShapeError, lambda: gg.embedding(0, 1.0), "the table is a scalar"),
        (gg.ShapeError, lambda: gg.one_hot(0, 2.5), "classes 2.5 is not made of integers"),
    ],
)
def test_errors_teach(kind, call, text):
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)


def test_kinds_of_numbers_of_repeats():
    x = np.arange(3.0)
    for counts in ([1, 0, 2], np.array([1, 0, 2], np.uint64), np.ma.array([1, 0, 2])):
        assert gg.repeat(x, counts).tolist() == [0.0, 2.0, 2.0]
    for counts in (2**63, [2**70, 0, 0], np.array([2**63, 0, 0], np.uint64)):
        with pytest.raises(gg.DomainError, match="do not fit"):
            gg.repeat(x, counts)


def test_a_scattered_number_that_goes_nowhere():
    pattern, _ = parsed("scatter", slice(0, 0))
    for _ in range(50):
        junk = np.full(1, 7.0)
        del junk
        assert Scatter.of(pattern, (1,))(np.ones(1)).tolist() == [0.0]
