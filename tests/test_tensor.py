"""Tensor: Python's semantics, dtypes, numpy's protocols, state and gradients."""

from __future__ import annotations

import copy
import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import gradgraph as gg
from gradgraph import methods
from gradgraph.node import Vertex
from gradgraph.node import leaf as bare_leaf

FLOATS = [np.float16, np.float32, np.float64]


def leaf(value, **kwargs):
    return gg.Tensor(value, requires_grad=True, **kwargs)


class TestConstruction:
    def test_data_is_copied(self):
        a = np.ones(3)
        t = gg.Tensor(a)
        a[:] = 7
        assert_array_equal(t.data, 1.0)

    @pytest.mark.parametrize(
        ("data", "dtype"),
        [(2.0, float), (2, int), (True, bool), ([1, 2.5], float), (np.float32(1), np.float32)],
    )
    def test_dtypes_are_numpys(self, data, dtype):
        assert gg.Tensor(data).dtype == dtype

    def test_of_a_tensor(self):
        w = leaf([1.0, 2.0])
        t = gg.Tensor(w * 2)
        assert t.op is None
        assert_array_equal(t.data, [2.0, 4.0])

    @pytest.mark.parametrize("data", ["text", None, [[1.0], [1.0, 2.0]], object()])
    def test_only_numbers(self, data):
        with pytest.raises(gg.DTypeError, match="not an array of numbers"):
            gg.Tensor(data)

    def test_a_list_of_tracked_tensors_is_refused(self):
        with pytest.raises(gg.GradError, match="requires grad"):
            gg.Tensor([leaf(1.0), leaf(2.0)])

    @pytest.mark.parametrize("data", [1, True, [1, 2], 1j])
    def test_only_floats_require_grad(self, data):
        with pytest.raises(gg.DTypeError, match="cannot require grad"):
            leaf(data)

    def test_integers_that_are_made_to_require_grad_are_found_by_backward(self):
        t = gg.Tensor([1, 2], name="counts")
        t.requires_grad = True
        with pytest.raises(gg.DTypeError, match="counts of int64 requires grad"):
            (t * 2.0).sum().backward()
        assert t.grad is None

    def test_repr(self):
        assert repr(gg.Tensor([1.0, 2.0])) == "Tensor([1., 2.])"
        assert repr(leaf(np.float32(1), name="w")) == (
            "Tensor(1., dtype=float32, name='w', requires_grad=True)"
        )
        assert repr(leaf(1.0) * 2) == "Tensor(2., op=multiply)"
        assert len(repr(gg.Tensor(np.zeros(10_000)))) < 200

    def test_attributes(self):
        t = gg.Tensor(np.zeros((2, 3), np.float32))
        assert (t.shape, t.ndim, t.size, t.dtype) == ((2, 3), 2, 6, np.float32)
        assert t.T.shape == (3, 2)
        with pytest.raises(AttributeError):
            t.unknown = 1


class TestPythonSemantics:
    def test_comparisons_are_boolean_arrays(self):
        t = leaf([1.0, 2.0, 3.0])
        for result, expected in [
            (t == 2, [False, True, False]),
            (t != 2, [True, False, True]),
            (t < 2, [True, False, False]),
            (t <= np.full(3, 2.0), [True, True, False]),
            (t > gg.Tensor(2.0), [False, False, True]),
            (t >= 2, [False, True, True]),
            (np.array([1.0, 0.0, 3.0]) == t, [True, False, True]),
            (np.full(3, 2.0) > t, [True, False, False]),
        ]:
            assert isinstance(result, np.ndarray)
            assert result.dtype == bool
            assert result.tolist() == expected
        assert (t == "text").tolist() == [False] * 3

    def test_hashing_is_by_identity(self):
        a, b = gg.Tensor(1.0), gg.Tensor(1.0)
        assert hash(a) == hash(a)
        assert len({a, b, a}) == 2
        assert {a: 1}[a] == 1

    def test_bool_float_int(self):
        assert bool(gg.Tensor(2.0))
        assert not gg.Tensor([0.0])
        assert float(leaf([[2.5]])) == 2.5
        assert int(gg.Tensor(2.9)) == 2
        for cast in (bool, float, int, gg.Tensor.item):
            with pytest.raises(gg.GradError, match=r"2 elements|\(0 elements"):
                cast(gg.Tensor([1.0, 2.0]))
        with pytest.raises(gg.GradError, match="0 elements"):
            bool(gg.Tensor([]))

    def test_index(self):
        assert ["a", "b"][gg.Tensor(1)] == "b"
        for bad in (gg.Tensor(1.0), gg.Tensor([1])):
            with pytest.raises(TypeError, match="is no index"):
                ["a", "b"][bad]

    def test_len_and_iteration(self):
        t = leaf([[1.0, 2.0], [3.0, 4.0]])
        assert len(t) == 2
        rows = list(t)
        assert [r.tolist() for r in rows] == [[1.0, 2.0], [3.0, 4.0]]
        sum(rows).sum().backward()
        assert_array_equal(t.grad.data, 1.0)
        a, b = t
        assert a.shape == b.shape == (2,)
        for f in (len, iter):
            with pytest.raises(TypeError, match="scalar"):
                f(gg.Tensor(1.0))

    def test_contains(self):
        assert 2 in gg.Tensor([1.0, 2.0])
        assert 3 not in gg.Tensor([1.0, 2.0])
        assert 1 in gg.Tensor(1.0)

    def test_format(self):
        assert f"{gg.Tensor(1.23456):.2f}" == "1.23"
        assert f"{leaf([3.0]):.1f}" == "3.0"
        assert f"{gg.Tensor([1.0, 2.0])}" == "Tensor([1., 2.])"

    def test_augmented_assignment_rebinds(self):
        t = leaf([1.0, 2.0])
        before = t
        t += 1
        t *= 2
        assert before.tolist() == [1.0, 2.0]
        assert t is not before
        t.sum().backward()
        assert before.grad.tolist() == [2.0, 2.0]

    def test_an_array_is_not_changed_in_place_by_a_tensor(self):
        a = np.ones(2)
        with pytest.raises(TypeError, match=r"np\.add with out"):
            a += leaf([1.0, 2.0])

    def test_setitem_names_the_alternatives(self):
        with pytest.raises(gg.GradError, match=r"gg\.put\(x, .*gg\.where.*assign\(\)"):
            gg.Tensor([1.0])[0] = 2.0

    def test_arithmetic_operators(self):
        t = gg.Tensor(3.0)
        values = [
            t + 2,
            2 + t,
            t - 2,
            2 - t,
            t * 2,
            2 * t,
            t / 2,
            2 / t,
            t**2,
            2**t,
            -t,
            +t,
            abs(-t),
        ]
        expected = [5, 5, 1, -1, 6, 6, 1.5, 2 / 3, 9, 8, -3, 3, 3]
        assert_allclose([v.item() for v in values], expected)
        m = gg.Tensor([[1.0, 2.0]])
        assert (m @ np.ones((2, 1))).item() == 3.0
        assert (np.ones((1, 1)) @ m).tolist() == [[1.0, 2.0]]

    def test_methods(self):
        t = leaf([[1.0, 4.0]])
        assert t.sum().item() == 5.0
        assert t.mean(axis=-1).tolist() == [2.5]
        assert t.max(axis=1, keepdims=True).tolist() == [[4.0]]
        assert t.reshape(2, 1).shape == t.reshape((2, 1)).shape == (2, 1)
        assert t.transpose().shape == t.transpose(1, 0).shape == t.transpose((1, 0)).shape == (2, 1)
        assert t.transpose(None).shape == (2, 1)
        assert t.astype(np.float32).dtype == np.float32
        for name in ("exp", "log", "sqrt", "sin", "cos", "tanh"):
            assert_allclose(getattr(t, name)().data, getattr(np, name)(t.data))
        assert_allclose(t.sigmoid().data, 1 / (1 + np.exp(-t.data)))
        assert t.relu().tolist() == [[1.0, 4.0]]

    def test_deepcopy_of_a_leaf(self):
        w = leaf([1.0, 2.0], name="w")
        (w * w).sum().backward()
        pair = copy.deepcopy([w, w])
        twin = pair[0]
        assert pair[1] is twin
        assert twin is not w
        assert (twin.name, twin.requires_grad, twin.tolist()) == ("w", True, [1.0, 2.0])
        assert twin.grad.tolist() == [2.0, 4.0]
        assert not np.shares_memory(twin.grad.data, w.grad.data)
        twin.assign(0.0)
        assert w.tolist() == [1.0, 2.0]
        assert copy.copy(w).tolist() == [1.0, 2.0]

    def test_deepcopy_of_an_inner_tensor(self):
        with pytest.raises(gg.GradError, match=r"computed by multiply.*\.detach\(\)"):
            copy.deepcopy(leaf(1.0) * 2)

    @pytest.mark.parametrize("t", [gg.Tensor(1.0), leaf(1.0) * 2])
    def test_pickle_refuses_and_says_why(self, t):
        with pytest.raises(TypeError, match=r"runs code when it is loaded.*t\.numpy\(\)"):
            pickle.dumps(t)


class TestDtypes:
    @pytest.mark.parametrize("dtype", FLOATS)
    @pytest.mark.parametrize("shape", [(), (3,)])
    def test_python_scalars_are_weak(self, dtype, shape):
        t = leaf(np.full(shape, 0.5, dtype))
        results = [t + 1, 1.5 - t, t * 2, 2.0 / t, t**2, t**0.5, 2.0**t, gg.maximum(t, 0.1)]
        results += [gg.where(t > 0, t, 0.0), gg.relu(t), gg.sigmoid(t), gg.tanh(t), gg.exp(t)]
        results += [t.sum(), t.mean(), t.max(), gg.mask(t, t > 0)]
        for y in results:
            assert y.dtype == dtype, y
            t.grad = None
            y.sum().backward()
            assert (t.grad.dtype, t.grad.shape) == (dtype, shape), y

    @pytest.mark.parametrize("dtype", [np.float32, np.float16])
    def test_and_in_second_order(self, dtype):
        x = np.array([0.5, 2.0], dtype)

        def f(x):
            return ((x * 2.0 + 1) ** 3 / 4.0 - gg.exp(x) * 0.5).sum()

        assert gg.grad(f)(x).dtype == dtype
        assert gg.hessian(f)(x).dtype == dtype
        assert gg.hvp(f, x, np.ones(2, dtype)).dtype == dtype
        assert gg.grad(lambda x: (gg.grad(f)(x) ** 2).sum())(x).dtype == dtype
        t = leaf(x)
        f(t).backward(create_graph=True)
        assert t.grad.dtype == dtype
        assert (t.grad * 2.0).dtype == dtype
        t.grad = None

    def test_mixed_dtypes_promote_and_gradients_come_back(self):
        a, b = leaf(np.ones(2, np.float32)), leaf(np.ones(2))
        y = (a * b).sum()
        assert y.dtype == np.float64
        y.backward()
        assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)

    def test_integers_times_floats(self):
        w = leaf(np.ones(2, np.float32))
        y = w * np.array([1, 2], np.int8)
        assert y.dtype == np.float32
        y.sum().backward()
        assert (w.grad.dtype, w.grad.tolist()) == (np.float32, [1.0, 2.0])

    def test_casts(self):
        w = leaf(np.ones(2, np.float32))
        w.astype(np.float64).sum().backward()
        assert w.grad.dtype == np.float32
        assert not w.astype(int).requires_grad

    def test_the_mean_of_many_halves(self):
        gradient = gg.grad(lambda x: x.mean())(np.ones(70_000, np.float16))
        assert_array_equal(gradient, np.float16(1 / 70_000))
        gradient = gg.grad(lambda x: gg.mse_loss(x, np.zeros_like(x)))(np.ones(70_000, np.float16))
        assert_allclose(gradient, 2 / 70_000, rtol=3e-3)

    @given(st.sampled_from(FLOATS), st.sampled_from([(), (1,), (2, 3)]), st.integers(1, 6))
    def test_a_gradient_has_its_tensors_dtype_and_shape(self, dtype, shape, uses):
        x = leaf(np.ones(shape, dtype))
        wide = np.ones((4, *shape))
        total = 0.0
        for i in range(uses):
            total = total + (x * wide * (i + 1)).sum() + x.sum() * 1.0
        total.backward()
        assert (x.grad.dtype, x.grad.shape) == (dtype, shape)


class TestNumpyProtocols:
    def test_ufuncs_record(self):
        t = leaf([0.5, 1.0])
        for name in ("sin", "cos", "exp", "log", "tanh", "sqrt", "negative", "absolute"):
            y = getattr(np, name)(t)
            assert y.op.name == name
        for name in ("add", "subtract", "multiply", "divide", "power", "maximum", "matmul"):
            y = getattr(np, name)(t, np.array([1.0, 2.0]))
            assert y.op.name == name
            y = getattr(np, name)(np.array([1.0, 2.0]), t)
            assert y.op.name == name

    def test_an_array_on_the_left(self):
        t = leaf([1.0, 2.0])
        for y in (np.ones(2) + t, np.ones(2) - t, np.ones(2) * t, np.ones(2) / t, np.eye(2) @ t):
            assert isinstance(y, gg.Tensor)
            assert y.requires_grad
        assert isinstance(np.float64(2) * t, gg.Tensor)
        assert isinstance(np.float32(2) ** t, gg.Tensor)

    def test_functions_record(self):
        t, a = leaf([[1.0, 2.0], [3.0, 4.0]]), np.ones((2, 2))
        results = {
            "sum": np.sum(t, axis=0),
            "mean": np.mean(t, axis=0, keepdims=True),
            "max": np.max(t, 1),
            "reshape": np.reshape(t, (4,)),
            "transpose": np.transpose(t),
            "swap": np.swapaxes(t, 0, 1),
            "move": np.moveaxis(t, 0, -1),
            "broadcast": np.broadcast_to(t, (3, 2, 2)),
            "concatenate": np.concatenate([t, a]),
            "stack": np.stack([a, t], axis=1),
            "where": np.where(t > 2, t, a),
            "pad": np.pad(t, 1),
        }
        plain = {
            "sum": np.sum(t.data, axis=0),
            "mean": np.mean(t.data, axis=0, keepdims=True),
            "max": np.max(t.data, 1),
            "reshape": t.data.reshape(4),
            "transpose": t.data.T,
            "swap": t.data.T,
            "move": t.data.T,
            "broadcast": np.broadcast_to(t.data, (3, 2, 2)),
            "concatenate": np.concatenate([t.data, a]),
            "stack": np.stack([a, t.data], axis=1),
            "where": np.where(t.data > 2, t.data, a),
            "pad": np.pad(t.data, 1),
        }
        for name, y in results.items():
            assert y.requires_grad, name
            assert_array_equal(y.data, plain[name], err_msg=name)

    def test_concatenate_without_an_axis_flattens(self):
        t, a = leaf(np.ones((2, 2))), np.zeros(3)
        y = np.concatenate([t, a], axis=None)
        assert_array_equal(y.data, [1.0, 1, 1, 1, 0, 0, 0])

    def test_questions_about_shape(self):
        t = leaf([[1.0, 2.0]])
        assert (np.shape(t), np.ndim(t), np.size(t)) == ((1, 2), 2, 2)
        assert np.zeros_like(t).tolist() == [[0.0, 0.0]]
        assert np.ones_like(t, dtype=int).tolist() == [[1, 1]]
        assert np.isfinite(t).all()

    @pytest.mark.parametrize(
        ("call", "named"),
        [
            (lambda t: np.cbrt(t), "np.cbrt has no rule"),
            (lambda t: np.add.reduce(t), "np.add.reduce"),
            (lambda t: np.multiply.outer(t, t), "np.multiply.outer"),
            (lambda t: np.add(t, 1, out=np.ones(2)), "np.add with out"),
            (lambda t: np.sum(t, dtype=np.float32), "np.sum of a tensor takes axis and keepdims"),
            (lambda t: np.sum(t, 0, np.float32), "np.sum of a tensor takes axis and keepdims"),
            (lambda t: np.sum(t, out=np.ones(())), "np.sum of a tensor takes axis and keepdims"),
            (lambda t: np.median(t), "np.median has no rule"),
            (lambda t: np.linalg.norm(t[None], 1), "matrix norm"),
            (lambda t: np.interp(t, [0, 1], [1, 2]), "np.interp has no rule"),
        ],
    )
    def test_what_has_no_rule_raises(self, call, named):
        with pytest.raises(TypeError, match=named):
            call(leaf([1.0, 2.0]))

    def test_a_missing_rule_is_named_with_its_module(self):
        with pytest.raises(TypeError, match=r"np\.linalg\.svd has no rule"):
            np.linalg.svd(leaf([[1.0]]))

    def test_second_names(self):
        t = leaf([1.5, -2.0])
        for theirs in (np.amax, np.amin, np.around, np.positive):
            assert isinstance(theirs(t), gg.Tensor)
            assert theirs(t).tolist() == theirs(t.data).tolist()
        slopes = gg.grad(np.amax)(t.data)
        assert slopes.tolist() == [1.0, 0.0]

    def test_the_bounds_of_clip_by_all_their_names(self):
        t = leaf([-1.0, 0.5, 2.0])
        for clipped in (
            np.clip(t, 0, 1),
            np.clip(t, a_min=0, a_max=1),
            np.clip(t, min=0, max=1),
            np.clip(np.clip(t, min=0), None, 1),
            t.clip(0, 1),
            t.clip(min=0).clip(max=1),
        ):
            assert clipped.tolist() == [0.0, 0.5, 1.0]
        with pytest.raises(TypeError, match="a bound twice"):
            np.clip(t, 0, min=0)

    def test_questions_about_values(self):
        t = leaf([1.0, 0.0, 3.0])
        assert np.allclose(t, t.data + 1e-12)
        assert not np.allclose(t, 2.0)
        assert np.isclose(t, b=[1, 2, 3]).tolist() == [True, False, True]
        assert np.array_equal(t, t)
        assert np.count_nonzero(t) == 2
        assert np.searchsorted([0.5, 2.0], t).tolist() == [1, 0, 2]
        assert np.digitize(t, [0.5, 2.0]).tolist() == [1, 0, 2]
        assert np.empty_like(t).shape == (3,)
        with pytest.raises(gg.GradError, match="not known"):
            gg.trace(lambda x: x * np.count_nonzero(x), (3,))

    def test_a_copy_is_a_tensor_of_its_own(self):
        t = leaf([1.0, 2.0])
        (t.copy() * 3).sum().backward()
        assert t.grad.tolist() == [3.0, 3.0]
        assert t.copy() is not t

    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("softmax", r"Use gg\.softmax\(x\)\."),
            ("log1p", r"Use gg\.log1p\(x\)\."),
            ("unsqueeze", r"Use gg\.expand_dims\(x, axis\)\."),
            ("view", r"Use x\.reshape\(shape\)\."),
            ("nonsense", r"'nonsense'$"),
        ],
    )
    def test_a_missing_method_says_what_to_use(self, name, hint):
        with pytest.raises(AttributeError, match=rf"'Tensor' object has no attribute '{name}'.*"):
            getattr(leaf([1.0]), name)
        with pytest.raises(AttributeError, match=hint):
            getattr(leaf([1.0]), name)
        assert not hasattr(leaf([1.0]), name)

        assert name not in dir(leaf([1.0]))

    def test_attributes_are_read_without_a_hook(self):
        for cls in gg.Tensor.__mro__[:-1]:  # it would make each of them slower
            assert not {"__getattr__", "__getattribute__"} & set(vars(cls)), cls

    def test_the_hints_name_what_exists(self):
        for name, hint in methods._ELSEWHERE.items():
            assert not hasattr(gg.Tensor, name)
            for function in re.findall(r"gg\.(\w+)", hint):
                assert hasattr(gg, function)
            for method in re.findall(r"x\.(\w+)", hint):
                assert hasattr(gg.Tensor, method)

    def test_asarray_of_a_tracked_tensor_names_detach(self):
        w = leaf([1.0])
        for f in (np.asarray, np.array, lambda t: np.ones(1).__iadd__(np.asarray(t))):
            with pytest.raises(gg.GradError, match=r"\.detach\(\)"):
                f(w * 2)
        assert np.asarray(w.detach()).tolist() == [1.0]

    def test_asarray_of_an_untracked_tensor(self):
        t = gg.Tensor([1.0, 2.0])
        a = np.asarray(t)
        with pytest.raises(ValueError, match="read-only"):
            a[0] = 5
        assert np.asarray(t, dtype=np.float32).dtype == np.float32
        own = np.array(t)
        own[0] = 5
        assert t.tolist() == [1.0, 2.0]

    def test_operands_that_are_no_numbers(self):
        for bad in ("text", None, object(), [[1.0], [1.0, 2.0]]):
            with pytest.raises(gg.DTypeError, match="not numbers"):
                gg.Tensor(1.0) + bad


class TestData:
    def test_data_is_read_only(self):
        w = leaf([1.0, 2.0])
        for t in (w, w * 2, w.detach(), w.reshape(2, 1), gg.Tensor(1.0)):
            with pytest.raises(ValueError, match="read-only"):
                t.data[...] = 0

    def test_numpy_is_a_copy(self):
        w = leaf([1.0, 2.0])
        for t in (w, w * 1):
            a = t.numpy()
            a[:] = 9
            assert t.tolist() == [1.0, 2.0]

    def test_item_and_tolist(self):
        assert isinstance(gg.Tensor(np.float32(2)).item(), float)
        assert gg.Tensor([[1, 2]]).tolist() == [[1, 2]]

    @pytest.mark.parametrize("wrap", [lambda a: a, memoryview, lambda a: a.view(np.matrix)])
    @pytest.mark.filterwarnings("ignore:the matrix subclass")
    def test_an_array_operand_is_copied(self, wrap):
        a = np.full((2, 2), 3.0)
        w = leaf(np.ones((2, 2)))
        y = (w * wrap(a)).sum()
        a[:] = 100.0
        y.backward()
        assert_array_equal(w.grad.data, 3.0)

    def test_a_view_taken_earlier_does_not_write_through(self):
        a = np.full(2, 3.0)
        view = a[:]
        a.flags.writeable = False
        w = leaf(np.ones(2))
        y = (w * a).sum()
        view[:] = 100.0
        y.backward()
        assert_array_equal(w.grad.data, 3.0)

    def test_index_arrays_are_copied(self):
        x, i = leaf([1.0, 2.0, 3.0]), np.array([0, 0])
        y = x[i].sum()
        i[:] = 2
        y.backward()
        assert x.grad.tolist() == [2.0, 0.0, 0.0]

    def test_labels_are_copied(self):
        x, labels = leaf(np.zeros((1, 2))), np.array([0])
        loss = gg.cross_entropy(x, labels)
        labels[:] = 1
        loss.backward()
        assert x.grad.tolist() == [[-0.5, 0.5]]

    def test_asarray_takes_over_without_a_copy(self):
        a = np.ones(3)
        t = gg.asarray(a, copy=False)
        assert np.shares_memory(t.data, a)
        assert (leaf([1.0, 2.0, 3.0]) * t).inputs[1] is t
        with pytest.raises(ValueError, match="read-only"):
            t.data[0] = 1
        assert not np.shares_memory(gg.asarray(a).data, a)
        assert gg.asarray(t) is t
        assert gg.asarray([1.0], copy=False).tolist() == [1.0]

    def test_detach(self):
        w = leaf([1.0, 2.0])
        d = w.detach()
        assert not d.requires_grad
        w.assign([5.0, 6.0])
        assert d.tolist() == [1.0, 2.0]
        d.assign([7.0, 8.0])
        assert w.tolist() == [5.0, 6.0]


def address(t):
    return t._data.__array_interface__["data"][0]


class TestAssign:
    def test_in_place_when_nobody_sees_it(self):
        w = leaf(np.zeros(1000))
        before = address(w)
        for i in range(3):
            w.assign(np.full(1000, float(i)))
            assert address(w) == before
        assert w.version == 3
        (w * w).sum().backward()
        w.assign(0.0)
        assert address(w) == before

    def test_data_handed_out_before_keeps_its_values(self):
        w = leaf([1.0, 2.0])
        data = w.data
        part = data[1:]
        del data
        w.assign([3.0, 4.0])
        assert part.tolist() == [2.0]
        assert w.tolist() == [3.0, 4.0]

    @pytest.mark.parametrize(
        "view",
        [lambda w: w.reshape(2, 1), lambda w: w.T, lambda w: w[0], lambda w: w[1:], gg.alias],
    )
    @pytest.mark.parametrize("tracked", [True, False])
    def test_views_keep_their_values(self, view, tracked):
        w = gg.Tensor([1.0, 2.0], requires_grad=tracked)
        v = view(w)
        values = v.numpy()
        w.assign([3.0, 4.0])
        assert_array_equal(v.data, values)
        assert w.tolist() == [3.0, 4.0]

    def test_an_array_taken_over_is_not_written_to(self):
        a = np.ones(2)
        t = gg.asarray(a, copy=False)
        t.assign(5.0)
        assert_array_equal(a, 1.0)

    def test_from_itself(self):
        w = leaf([1.0, 2.0, 3.0])
        w.assign(w.data[::-1])
        assert w.tolist() == [3.0, 2.0, 1.0]
        w.assign(w)
        w.assign(w[::-1])
        assert w.tolist() == [1.0, 2.0, 3.0]

    def test_keeps_the_dtype_and_takes_one_number(self):
        w = leaf(np.ones(2, np.float32))
        w.assign(np.array([1.5, 2.5]))
        assert w.dtype == np.float32
        w.assign(7)
        assert w.tolist() == [7.0, 7.0]
        w.assign(gg.Tensor([1.0, 2.0]))
        assert w.tolist() == [1.0, 2.0]

    @pytest.mark.parametrize("value", [[1.0], [[1.0, 2.0]], np.ones(3)])
    def test_another_shape_is_refused(self, value):
        w = leaf([1.0, 2.0], name="bias")
        with pytest.raises(gg.ShapeError, match="bias is"):
            w.assign(value)
        assert w.version == 0

    def test_only_leaves_hold_state(self):
        with pytest.raises(gg.GradError, match="computed by multiply"):
            (leaf(1.0) * 2).assign(3.0)

    def test_a_weak_constant_becomes_an_array(self):
        t = bare_leaf(gg.Tensor, 2.0)
        assert (t.shape, t.dtype, t.item()) == ((), float, 2.0)
        t.assign(3.0)
        assert t.item() == 3.0

    def test_the_vertex_alone_has_a_scope_and_no_origin(self):
        v = bare_leaf(Vertex, np.ones(1))
        assert (v.scope, v.origin) == ("", None)


class TestBackward:
    def test_accumulates(self):
        x = leaf([1.0, 2.0])
        (x * x).sum().backward()
        (x * 3).sum().backward()
        assert x.grad.tolist() == [5.0, 7.0]
        x.grad = None
        (x * 3).sum().backward()
        assert x.grad.tolist() == [3.0, 3.0]

    def test_twice_through_one_graph(self):
        x = leaf(3.0)
        y = (x * x).retain_grad()
        loss = y * 2
        loss.backward()
        assert (x.grad.item(), y.grad.item()) == (12.0, 2.0)
        loss.backward()
        assert (x.grad.item(), y.grad.item()) == (24.0, 4.0)

    def test_of_a_leaf(self):
        x = leaf(3.0)
        x.backward()
        assert x.grad.item() == 1.0

    def test_inner_tensors_have_no_gradient(self):
        x = leaf(3.0)
        y = x * x
        y.backward()
        assert y.grad is None

    def test_retained_gradients_of_a_whole_chain(self):
        x = leaf(2.0)
        a = (x * 3).retain_grad()
        b = (a * a).retain_grad()
        (b + a).backward()
        assert (b.grad.item(), a.grad.item(), x.grad.item()) == (1.0, 13.0, 39.0)
        assert not np.shares_memory(a.grad.data, x.grad.data)
        assert x.retain_grad() is x
        with pytest.raises(gg.GradError, match="does not require grad"):
            gg.Tensor(1.0).retain_grad()

    def test_needs_one_number_or_a_cotangent(self):
        x = leaf([1.0, 2.0])
        with pytest.raises(gg.GradError, match="starts from one number"):
            (x * 2).backward()
        (x * 2).backward([1.0, 10.0])
        assert x.grad.tolist() == [2.0, 20.0]
        y = leaf([[3.0]])
        (y * y).backward()
        assert y.grad.tolist() == [[6.0]]

    def test_nothing_requires_grad(self):
        with pytest.raises(gg.GradError, match="nothing that this tensor depends on"):
            gg.Tensor(1.0).backward()

    @pytest.mark.parametrize("cotangent", [1.0, [1.0], np.ones((2, 1)), gg.Tensor(np.ones(3))])
    def test_cotangents_have_their_tensors_shape(self, cotangent):
        with pytest.raises(gg.ShapeError, match="cotangent is"):
            (leaf([1.0, 2.0]) * 2).backward(cotangent)

    @pytest.mark.parametrize(
        "cotangent", [[1, 2], np.array([1.0, 2.0]), gg.Tensor([1.0, 2.0]), (1, 2)]
    )
    @pytest.mark.parametrize("create_graph", [False, True])
    def test_cotangents_take_their_tensors_dtype(self, cotangent, create_graph):
        x = leaf(np.ones(2, np.float32))
        (x * 2).backward(cotangent, create_graph)
        assert x.grad.dtype == np.float32
        assert x.grad.tolist() == [2.0, 4.0]

    @pytest.mark.parametrize("create_graph", [False, True])
    @pytest.mark.parametrize("seed", [np.ones(2), gg.Tensor([1.0, 1.0])])
    def test_gradients_share_no_memory(self, create_graph, seed):
        x, y, z = leaf([1.0, 2.0]), leaf([3.0, 4.0]), leaf([[5.0, 6.0]])
        out = x + y + z.reshape(2)
        out.retain_grad()
        out.backward(seed, create_graph)
        arrays = [v.grad.data for v in (x, y, z, out)] + [np.asarray(seed)]
        for i, a in enumerate(arrays):
            assert_array_equal(a.ravel(), 1.0)
            for b in arrays[:i]:
                assert not np.shares_memory(a, b)

    def test_tracked_gradients_share_no_memory(self):
        x, y, z = leaf([1.0, 2.0]), leaf([3.0, 4.0]), leaf([[5.0, 6.0]])
        s = x + y + z.reshape(2)
        (s * s).sum().backward(create_graph=True)
        arrays = [v.grad.data for v in (x, y, z)]
        assert x.grad.requires_grad
        assert x.grad is not y.grad
        for i, a in enumerate(arrays):
            assert_array_equal(a.ravel(), 2 * s.data)
            for b in arrays[:i]:
                assert not np.shares_memory(a, b)
        for v in (x, y, z):
            v.grad = None

    def test_gradients_are_read_only_and_untracked(self):
        x = leaf([1.0, 2.0])
        (x * x).sum().backward()
        with pytest.raises(ValueError, match="read-only"):
            x.grad.data[0] = 1
        assert not x.grad.requires_grad

    def test_a_gradient_that_was_read_does_not_change_later(self):
        x = leaf([1.0, 2.0])
        (x * 2).sum().backward()
        first = x.grad
        values = first.data
        (x * 2).sum().backward()
        assert values.tolist() == first.tolist() == [2.0, 2.0]
        assert x.grad.tolist() == [4.0, 4.0]

    def test_create_graph(self):
        x = leaf([1.0, 2.0])
        (x**3).sum().backward(create_graph=True)
        first = x.grad
        x.grad = None
        (first * first).sum().backward()
        assert_allclose(x.grad.data, 2 * (3 * x.data**2) * (6 * x.data))

    def test_create_graph_accumulates_tracked(self):
        x = leaf(2.0)
        (x**3).backward(create_graph=True)
        (x**2).backward(create_graph=True)
        total = x.grad
        assert total.item() == 16.0
        x.grad = None
        total.backward()
        assert x.grad.item() == 14.0

    def test_grad_may_be_set(self):
        x = leaf([1.0, 2.0])
        x.grad = [3.0, 4.0]
        assert isinstance(x.grad, gg.Tensor)
        (x * 1).sum().backward()
        assert x.grad.tolist() == [4.0, 5.0]
        for bad in ([1.0], np.ones(2, np.float32)):
            with pytest.raises(gg.ShapeError, match="the gradient is"):
                x.grad = bad

    def test_assigning_to_a_gradient_changes_only_that(self):
        x, y = leaf([1.0]), leaf([1.0])
        (x + y).sum().backward()
        x.grad.assign(7.0)
        assert (x.grad.item(), y.grad.item()) == (7.0, 1.0)
