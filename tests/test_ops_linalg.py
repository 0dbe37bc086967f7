"""Products over axes, linear systems and factors, attention: against numpy and known formulas."""

from __future__ import annotations

import re

import numpy as np
import pytest

import gradgraph as gg
from gradgraph.testing import check

rng = np.random.default_rng(3)


def normal(*shape):
    return np.asarray(rng.normal(size=shape))


def gradients(function, *args):
    """The gradient of the sum of the result by each argument."""
    leaves = [gg.Tensor(a, requires_grad=True) for a in args]
    gg.sum(function(*leaves)).backward()
    return [x.grad.data for x in leaves]


def regular(*lead, n=3):
    return 0.5 * normal(*lead, n, n) + 2.0 * np.eye(n)


def positive(*lead, n=3):
    a = normal(*lead, n, n)
    return a @ a.swapaxes(-1, -2) + np.eye(n)


EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ba", (2, 3)),
    ("ij->ji", (2, 3)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("iij->j", (3, 3, 2)),
    ("iijj->ij", (3, 3, 2, 2)),
    ("ij->", (2, 3)),
    ("i,i", (3,), (3,)),
    ("i,j", (3,), (2,)),
    ("i,j->ji", (3,), (2,)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
    ("ijb,jkb->ikb", (3, 4, 2), (4, 2, 2)),
    ("...ij,...jk->...ik", (5, 1, 2, 3), (4, 3, 2)),
    ("...ij,jk", (5, 2, 3), (3, 2)),
    ("i...,i...->...", (3, 2), (3, 1)),
    ("...,...", (2, 3), (3,)),
    ("...->...", ()),
    ("...ii->...i", (2, 3, 3)),
    ("i->i...", (3,)),
    (" i j , j k -> i k ", (2, 3), (3, 4)),
    ("Ab,bC->AC", (2, 3), (3, 4)),
    ("aB,Ba", (2, 3), (3, 2)),
    ("ij,ij->ij", (2, 3), (2, 1)),
    ("i,i->", (1,), (4,)),
    ("ij,jk->ik", (2, 1), (3, 4)),
    ("ii,i->i", (3, 3), (1,)),
    (",i->i", (), (3,)),
    (",", (), ()),
    ("", ()),
    ("->", ()),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    ("i,i,i->i", (3,), (3,), (3,)),
    ("ij,ik,il,jkl->", (2, 3), (2, 3), (2, 3), (3, 3, 3)),
    ("...i,ij,...j->...", (4, 2), (2, 3), (4, 3)),
    ("ij,k->k", (2, 3), (4,)),
    ("ij,jk->ik", (0, 3), (3, 2)),
    ("ij,jk->ik", (2, 0), (0, 2)),
    ("i,ij,jk->k", (0,), (0, 3), (3, 2)),
]
EINSUM = pytest.mark.parametrize("case", EINSUMS, ids=lambda case: f"{case[0]} {case[1:]}")


class TestEinsum:
    @EINSUM
    def test_is_numpys(self, case):
        subscripts, *shapes = case
        xs = [normal(*shape) for shape in shapes]
        wanted = np.einsum(subscripts, *xs)
        found = gg.einsum(subscripts, *map(gg.Tensor, xs))
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found.data, wanted, rtol=1e-12, atol=1e-12)
        narrow = gg.einsum(subscripts, *(x.astype(np.float32) for x in xs))
        assert narrow.dtype == np.float32
        whole = [np.arange(x.size).reshape(x.shape) for x in xs]
        found = gg.einsum(subscripts, *whole)
        assert found.dtype == int
        np.testing.assert_array_equal(found, np.einsum(subscripts, *whole))

    @EINSUM
    def test_gradient(self, case):
        subscripts, *shapes = case
        if any(0 in shape for shape in shapes):
            found = gradients(
                lambda *xs: gg.einsum(subscripts, *xs), *(np.ones(shape) for shape in shapes)
            )
            assert [g.shape for g in found] == shapes
            assert not any(g.any() for g in found)
            return
        xs = [normal(*shape) for shape in shapes]
        report = check(lambda *xs: gg.einsum(subscripts, *xs), *xs, examples=4)
        assert report.verdict == "passed"

    def test_alternative_form(self):
        x, y, z = normal(2, 3), normal(3, 4), normal(5, 2, 3)
        for args in (
            (x, [0, 1], y, [1, 2], [0, 2]),
            (x, [0, 1], y, [1, 2]),
            (x, [30, 1], y, [1, 2]),
            (x, (1, 0)),
            (z, [..., 1], [1, ...]),
            (z, [..., 0, 1], x, [0, 1]),
            (x.T, [1, np.int64(0)], []),
        ):
            np.testing.assert_allclose(gg.einsum(*args), np.einsum(*args), rtol=1e-12)

    def test_numpys_function_records(self):
        x = gg.Tensor(normal(2, 3), requires_grad=True)
        y = np.einsum("ij,kj->ik", x, np.ones((4, 3)), optimize=True)
        assert isinstance(y, gg.Tensor)
        y.sum().backward()
        np.testing.assert_array_equal(x.grad.data, np.full((2, 3), 4.0))
        with pytest.raises(TypeError, match="dtype"):
            np.einsum("ij->j", x, dtype=np.float32)

    def test_python_numbers_adapt(self):
        x = np.ones(3, np.float32)
        assert gg.einsum(",i->i", 2.0, x).dtype == np.float32
        assert gg.einsum(",i->i", 2.0, np.arange(3)).dtype == float
        np.testing.assert_array_equal(gg.einsum("i,i", [1, 2], [3.0, 4.0]), 11.0)

    def test_three_operands_are_two_products(self):
        xs = [gg.Tensor(normal(2, 30)), gg.Tensor(normal(30, 30)), gg.Tensor(normal(30, 30))]
        with gg.capture():
            y = gg.einsum("ij,jk,kl->il", *xs)
        steps = gg.Graph.of([y]).steps
        assert [step.op.subscripts for step in steps] == ["ij,jk->ik", "kl,ik->il"]
        assert gg.Graph.of([y]).flops() == 2 * 2 * 30 * 30 * 2

    def test_flops(self):
        def flops(subscripts, *shapes):
            op = gg.Op.registry["einsum"](subscripts)
            specs = [gg.Spec(shape, np.dtype(float)) for shape in shapes]
            return op.flops(op.spec(*specs), *specs)

        assert flops("ij,jk->ik", (2, 3), (3, 4)) == 2 * 24
        assert flops("i,j->ij", (2,), (3,)) == 6
        assert flops("ij->ji", (2, 3)) == 0
        assert flops("ij->j", (2, 3)) == 6
        assert flops("i,i,i->", (5,), (5,), (5,)) == 15

    def test_several_products_are_all_computed_in_the_dtype_of_the_result(self):
        a = np.array([200, 100], np.uint8)
        for one in (np.array(1.0), 1.0, np.float32(1)):
            found = gg.einsum("i,i,->", gg.Tensor(a), a, one)
            assert (found.dtype, found.item()) == (np.einsum("i,i,->", a, a, one).dtype, 50000.0)
        x = gg.Tensor(np.array([1.0, 2.0], np.float32), requires_grad=True)
        gg.einsum("i,i,i->", x, x, np.array([1.0, 1.0])).backward()
        assert (x.grad.dtype, x.grad.tolist()) == (np.float32, [2.0, 4.0])

    def test_a_label_of_length_1_gets_the_sum(self):
        y = np.arange(6.0).reshape(2, 3)
        x, _ = gradients(lambda x, y: gg.einsum("ij,ij->ij", x, y), np.ones((2, 1)), y)
        np.testing.assert_array_equal(x, [[3.0], [12.0]])

    def test_off_the_diagonal_the_gradient_is_0_whatever_arrives(self):
        x = gg.Tensor(np.eye(2), requires_grad=True)
        gg.einsum("ii->i", x).backward(np.array([np.inf, np.nan]))
        np.testing.assert_array_equal(x.grad.data, [[np.inf, 0.0], [0.0, np.nan]])

    def test_the_rows_of_a_jacobian(self):
        w, x = normal(2, 3), normal(3, 3)
        found = gg.jacobian(lambda x: gg.einsum("ij,jj->ij", w, x))(x)
        wanted = np.einsum("ij,jb,jc->ijbc", w, np.eye(3), np.eye(3))
        np.testing.assert_allclose(found.data, wanted)

    def test_half_precision_and_booleans(self):
        x = np.ones((2, 3), np.float16)
        assert gg.einsum("ij,kj->ik", x, x).dtype == np.float16
        b = np.array([[True, False], [True, True]])
        np.testing.assert_array_equal(gg.einsum("ij,jk->ik", b, b), b @ b)

    @pytest.mark.parametrize(
        ("args", "kind", "text"),
        [
            (("ij,jk->ik", np.ones((2, 3))), gg.ShapeError, "labels for 2 operands, but 1 was"),
            (("i", np.ones(2), np.ones(2)), gg.ShapeError, "labels for 1 operand, but 2 were"),
            (("ij", np.ones(2)), gg.ShapeError, "operand 0 is (2,) (1 axis), but has 2 labels"),
            (("i", np.ones((2, 2))), gg.ShapeError, "operand 0 is 2×2 (2 axes), but has 1 label"),
            (("ij...", np.ones(2)), gg.ShapeError, "but has 2 labels, 'ij...'"),
            (("i,i", np.ones(2), np.ones(3)), gg.ShapeError, "label 'i' is 2 long in operand 0"),
            (("ii", np.ones((1, 3))), gg.ShapeError, "1 long in operand 0 (1×3) and 3 long in"),
            (("...,...", np.ones(2), np.ones(3)), gg.ShapeError, "an axis of '...' is 2 long"),
            (("i1", np.ones(2)), gg.DomainError, "'i1' is not made of letters"),
            (("i....", np.ones(2)), gg.DomainError, "at most one '...'"),
            (("i->j->", np.ones(2)), gg.DomainError, "'j->' is not made of letters"),
            (("i-j", np.ones(2)), gg.DomainError, "'i-j' is not made of letters"),
            (("i,->,", np.ones(2), 1.0), gg.DomainError, "',' is not made of letters"),
            (("i->ii", np.ones(2)), gg.DomainError, "the result names 'i' more than once"),
            (("i->j", np.ones(2)), gg.DomainError, "the result names 'j' and no operand has it"),
            (("...i->i", np.ones((2, 2))), gg.DomainError, 'Write "->...i"'),
            ((np.ones(2), ["a"]), gg.DomainError, "not a list of integers from 0 to 51"),
            ((np.ones(2), [52]), gg.DomainError, "not a list of integers from 0 to 51"),
            ((np.ones(2), [-1]), gg.DomainError, "not a list of integers from 0 to 51"),
            ((np.ones(2), 3), gg.DomainError, "not a list of integers from 0 to 51"),
            (("i", "word"), gg.ShapeError, "operand 0 is scalar"),
            (("", "word"), gg.DTypeError, "not numbers"),
        ],
    )
    def test_errors(self, args, kind, text):
        for _ in range(2):  # a plan that fails is not remembered
            with pytest.raises(kind, match=re.escape(text)):
                gg.einsum(*args)


PAIRS = [
    ((), ()),
    ((), (3,)),
    ((2, 3), ()),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3, 4)),
    ((4, 2, 3), (3, 2)),
    ((3,), (2, 3, 4)),
    ((2, 3), (2, 3, 4)),
    ((4, 2, 3), (2, 3, 4)),
    ((2, 0), (0, 3)),
    ((2, 0), (2, 0, 3)),
]


class TestProducts:
    @pytest.mark.parametrize(("a", "b"), PAIRS)
    def test_dot(self, a, b):
        self.compare(gg.dot, np.dot, normal(*a), normal(*b))

    @pytest.mark.parametrize(("a", "b"), PAIRS)
    def test_inner(self, a, b):
        b = (*b[:-2], *b[-2:][::-1])
        self.compare(gg.inner, np.inner, normal(*a), normal(*b))

    @pytest.mark.parametrize(("a", "b"), PAIRS)
    def test_outer(self, a, b):
        self.compare(gg.outer, np.outer, normal(*a), normal(*b))

    @pytest.mark.parametrize(
        "axes", [0, 1, 2, ([1, 2], [0, 1]), ([0, -1], [2, 1]), (0, 2), ([], []), (-1, 1), ((0,), 2)]
    )
    def test_tensordot(self, axes):
        x, y = normal(4, 3, 3), normal(3, 3, 4)
        self.compare(
            lambda a, b: gg.tensordot(a, b, axes), lambda a, b: np.tensordot(a, b, axes), x, y
        )

    def compare(self, mine, numpys, a, b):
        wanted = numpys(a, b)
        found = mine(gg.Tensor(a), gg.Tensor(b))
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found.data, wanted, rtol=1e-12, atol=1e-12)
        narrow = mine(a.astype(np.float32), b.astype(np.float32))
        assert narrow.dtype == np.float32
        recorded = numpys(gg.Tensor(a), b)
        assert isinstance(recorded, gg.Tensor)
        if wanted.size and a.size:
            assert check(mine, a, b, examples=4).verdict == "passed"

    def test_a_python_number_adapts(self):
        x = np.ones(3, np.float32)
        assert gg.dot(2.0, x).dtype == gg.inner(x, 2.0).dtype == np.float32

    def test_tensordot_sums_two_axes_by_default(self):
        x, y = normal(2, 3, 4), normal(3, 4, 5)
        np.testing.assert_allclose(gg.tensordot(x, y), np.tensordot(x, y))

    @pytest.mark.parametrize("axis", [-1, 0, 1])
    def test_cross(self, axis):
        x, y = normal(3, 3, 3), normal(3, 3)
        wanted = np.cross(x, y, axis=axis)
        np.testing.assert_allclose(gg.cross(x, y, axis=axis), wanted)
        assert isinstance(np.cross(gg.Tensor(x), y, axis=axis), gg.Tensor)
        np.testing.assert_allclose(np.linalg.cross(x, gg.Tensor(y), axis=axis).data, wanted)
        assert gg.cross(x.astype(np.float32), [1, 0, 0]).dtype == np.float64
        assert gg.cross(x.astype(np.float32), y.astype(np.float32)).dtype == np.float32
        assert check(lambda x, y: gg.cross(x, y, axis=axis), x, y, examples=10).verdict == "passed"

    def test_cross_of_vectors_in_the_plane(self):
        with pytest.raises(gg.ShapeError, match="y has 2 elements along axis -1, not 3"):
            gg.cross(np.ones(3), np.ones(2))

    def test_matrix_transpose(self):
        x = normal(4, 2, 3)
        np.testing.assert_array_equal(gg.matrix_transpose(x), np.matrix_transpose(x))
        assert isinstance(np.linalg.matrix_transpose(gg.Tensor(x)), gg.Tensor)
        assert check(gg.matrix_transpose, x, examples=2).verdict == "passed"
        with pytest.raises(gg.ShapeError, match=r"x is \(3,\), and a matrix has two axes"):
            gg.matrix_transpose(np.ones(3))

    @pytest.mark.parametrize(
        ("call", "text"),
        [
            (lambda: gg.dot(np.ones((2, 3)), np.ones((4, 5))), "matmul: x is 2×3 and y is 4×5"),
            (
                lambda: gg.dot(np.ones((2, 3)), np.ones((2, 4, 5))),
                "dot: a is 2×3 and b is 2×4×5: axis -1 of a (3) is summed together with axis -2",
            ),
            (
                lambda: gg.inner(np.ones((2, 3)), np.ones((3, 2))),
                "inner: a is 2×3 and b is 3×2: axis -1 of a (3) is summed together with axis -1",
            ),
            (lambda: gg.tensordot(np.ones(3), np.ones(3), 2), "axis -2 is out of range for 1 axes"),
            (lambda: gg.tensordot(np.ones(3), np.ones(3), (0, 1)), "axis 1 is out of range"),
            (
                lambda: gg.tensordot(np.ones((3, 3)), np.ones(3), ([0, 0], [0, 0])),
                "axis [0, 0] names an axis twice",
            ),
            (
                lambda: gg.tensordot(np.ones((3, 3)), np.ones(3), ([0, 1], [0])),
                "2 axes of a are summed over, but 1 of b",
            ),
            (lambda: gg.tensordot(np.ones(3), np.ones(3), 1.5), "axes is 1.5, neither an int nor"),
            (lambda: gg.tensordot(np.ones(3), np.ones(3), "x"), "axes is 'x', neither an int nor"),
            (lambda: gg.tensordot(np.ones(3), np.ones(1), 1), "axis -1 of a (3)"),
        ],
    )
    def test_errors(self, call, text):
        with pytest.raises(gg.ShapeError, match=re.escape(text)):
            call()


class TestSystems:
    @pytest.mark.parametrize(
        ("a", "b"),
        [
            ((3, 3), (3,)),
            ((3, 3), (3, 2)),
            ((2, 3, 3), (3,)),
            ((2, 3, 3), (3, 2)),
            ((2, 3, 3), (2, 3, 1)),
            ((3, 3), (2, 3, 4)),
            ((1, 1), (1,)),
            ((2, 1, 3, 3), (4, 3, 2)),
        ],
    )
    def test_solve(self, a, b):
        a, b = regular(*a[:-2], n=a[-1]), normal(*b)
        found = np.linalg.solve(gg.Tensor(a), gg.Tensor(b))
        wanted = np.linalg.solve(a, b)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found.data, wanted, rtol=1e-12)
        assert check(gg.solve, a, b, examples=4).verdict == "passed"

    def test_the_gradient_of_solve_is_gilesʼ(self):
        a, b = regular(), normal(3)
        da, db = gradients(gg.solve, a, b)
        np.testing.assert_allclose(db, np.linalg.solve(a.T, np.ones(3)))
        np.testing.assert_allclose(da, -np.outer(db, np.linalg.solve(a, b)))

    @pytest.mark.parametrize("name", ["inv", "det", "slogdet"])
    @pytest.mark.parametrize("lead", [(), (2,), (2, 1), (0,)])
    def test_is_numpys(self, name, lead):
        a = regular(*lead) * -1
        mine, numpys = getattr(gg, name), getattr(np.linalg, name)
        found, wanted = mine(gg.Tensor(a)), numpys(a)
        recorded = numpys(gg.Tensor(a))
        if name != "slogdet":
            found, wanted, recorded = (found,), (wanted,), (recorded,)
        for f, w, n in zip(found, wanted, recorded, strict=True):
            assert f.shape == w.shape
            np.testing.assert_allclose(f.data, w, rtol=1e-12)
            assert isinstance(n, gg.Tensor)
        if a.size:
            assert check(mine, a, examples=3).verdict == "passed"

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, bool])
    def test_dtypes(self, dtype):
        a = np.array([[2, 1], [0, 1]]).astype(dtype)
        wanted = np.dtype(dtype if np.dtype(dtype).kind == "f" else float)
        found = [gg.inv(a), gg.det(a), *gg.slogdet(a), gg.solve(a, a), gg.solve(a, a[0])]
        spd = np.array([[2, 1], [1, 2]]).astype(np.int8 if dtype is bool else dtype)
        found.append(gg.cholesky(spd))
        assert {f.dtype for f in found} == {wanted}
        assert gg.solve(a.astype(np.float32), np.ones(2)).dtype == float

    def test_no_rows(self):
        empty = np.zeros((0, 0))
        assert gg.solve(empty, np.zeros(0)).shape == (0,)
        assert gg.solve(empty, np.zeros((0, 2))).shape == (0, 2)
        assert gg.inv(empty).shape == gg.cholesky(empty).shape == (0, 0)
        assert gg.det(empty) == 1.0
        assert [float(v) for v in gg.slogdet(empty)] == [1.0, 0.0]
        (g,) = gradients(lambda a: gg.slogdet(a)[1], empty)
        assert g.shape == (0, 0)

    def test_determinants_of_two_by_two(self):
        a = np.array([[1.0, 2.0], [3.0, 4.0]])
        cofactors = np.array([[4.0, -3.0], [-2.0, 1.0]])
        (g,) = gradients(gg.det, a)
        np.testing.assert_allclose(g, cofactors, rtol=1e-12)
        (g,) = gradients(lambda a: gg.slogdet(a)[1], a)
        np.testing.assert_allclose(g, cofactors / -2.0, rtol=1e-12)
        (g,) = gradients(lambda a: gg.slogdet(a)[0], a)
        np.testing.assert_array_equal(g, np.zeros((2, 2)))

    def test_a_sign_moves_with_the_rest(self):
        sign, log = gg.slogdet(np.array([[0.0, 2.0], [3.0, 0.0]]))
        assert (float(sign), float(log)) == (-1.0, np.log(6.0))

    def test_rows_of_a_jacobian(self):
        a = regular(2)
        found = gg.jacobian(lambda a: gg.slogdet(a)[1])(a).data
        inverse = np.linalg.inv(a).swapaxes(-1, -2)
        wanted = np.einsum("ij,jkl->ijkl", np.eye(2), inverse)
        np.testing.assert_allclose(found, wanted, atol=1e-12)
        b = normal(3)
        found = gg.jacobian(lambda b: gg.solve(a, b))(b).data
        np.testing.assert_allclose(found, np.linalg.inv(a), rtol=1e-10)

    def test_a_singular_matrix_is_named(self):
        a = np.stack([np.eye(2), [[1.0, 2.0], [2.0, 4.0]]])
        for call in (gg.inv, lambda a: gg.solve(a, np.ones(2))):
            with pytest.raises(gg.DomainError, match=r"the matrix a\[1\] is singular"):
                call(a)
            with pytest.raises(gg.DomainError, match=r": a is singular"):
                call(gg.Tensor(a[1], requires_grad=True))
        with pytest.raises(gg.DomainError, match=r"the matrix a\[0, 1\] is singular"):
            gg.inv(a[None].astype(np.float16))

    def test_a_singular_matrix_has_a_determinant_without_gradient(self):
        a = gg.Tensor([[1.0, 2.0], [2.0, 4.0]], requires_grad=True)
        assert gg.det(a).item() == 0.0
        assert [v.item() for v in gg.slogdet(a)] == [0.0, -np.inf]
        for result in (gg.det(a), gg.slogdet(a)[1]):
            with pytest.raises(gg.DomainError, match="inv: a is singular"):
                result.backward()

    def test_nan_gives_nan_and_no_warning(self):
        a = np.full((2, 2), np.nan)
        assert np.isnan(gg.det(a))
        assert np.isnan(gg.slogdet(a)[1])
        assert np.isnan(gg.inv(a)).any()
        assert np.isnan(gg.solve(a, np.ones(2))).any()

    @pytest.mark.parametrize(
        ("call", "text"),
        [
            (lambda: gg.inv(np.ones((2, 3))), "inv: a is 2×3, and its last two axes must be"),
            (lambda: gg.det(np.ones(3)), "det: a is (3,), and its last two axes must be"),
            (lambda: gg.slogdet(1.0), "slogdet: a is scalar, and its last two axes must be"),
            (lambda: gg.cholesky(np.ones(3)), "cholesky: a is (3,), and its last two axes must"),
            (lambda: gg.cholesky(np.ones((3, 1))), "cholesky: a is 3×1, and its last two axes"),
            (lambda: gg.solve(np.ones((2, 3)), np.ones(2)), "solve: a is 2×3, and its last two"),
            (lambda: gg.solve(np.ones(2), np.ones(2)), "solve: a is (2,), and its last two"),
            (
                lambda: gg.solve(np.eye(2), np.ones(3)),
                "solve: a is 2×2 and b is (3,): a has 2 rows, and b must have as many",
            ),
            (
                lambda: gg.solve(np.ones((4, 2, 2)), np.ones((4, 2))),
                "solve: a is 4×2×2 and b is 4×2: a has 2 rows, and b must have as many",
            ),
            (lambda: gg.solve(np.eye(2), 1.0), "solve: a is 2×2 and b is scalar: a has 2 rows"),
            (
                lambda: gg.solve(np.ones((4, 2, 2)), np.ones((3, 2, 1))),
                "their leading axes (4,) and (3,) do not broadcast",
            ),
        ],
    )
    def test_errors(self, call, text):
        with pytest.raises(gg.ShapeError, match=re.escape(text)):
            call()


class TestCholesky:
    @pytest.mark.parametrize("lead", [(), (2,), (2, 1)])
    def test_is_numpys(self, lead):
        a = positive(*lead)
        np.testing.assert_allclose(gg.cholesky(a), np.linalg.cholesky(a), rtol=1e-12)
        found = np.linalg.cholesky(gg.Tensor(a), upper=True)
        assert isinstance(found, gg.Tensor)
        np.testing.assert_allclose(found.data, np.linalg.cholesky(a, upper=True), rtol=1e-12)
        assert check(gg.cholesky, a, examples=4).verdict == "passed"
        assert check(lambda a: gg.cholesky(a, upper=True), a, examples=2).verdict == "passed"

    def test_the_symmetric_part_counts(self):
        skew = np.array([[0.0, 0.3, 0.0], [-0.3, 0.0, 0.1], [0.0, -0.1, 0.0]])
        a = positive()
        np.testing.assert_allclose(gg.cholesky(a + skew), np.linalg.cholesky(a), rtol=1e-12)

    def test_the_gradient_is_symmetric(self):
        g = gg.grad(lambda a: gg.sum(gg.cholesky(a) * np.arange(9.0).reshape(3, 3)))(positive())
        np.testing.assert_array_equal(g, g.T)
        (g,) = gradients(gg.cholesky, np.diag([4.0, 9.0]))
        np.testing.assert_allclose(g, [[1 / 4, 1 / 4], [1 / 4, 1 / 6]])

    def test_the_diagonal_gives_the_determinant(self):
        def by_factor(a):
            low = gg.cholesky(a)
            return 2.0 * gg.sum(gg.log(gg.einsum("ii->i", low)))

        a = positive()
        np.testing.assert_allclose(
            gradients(by_factor, a)[0], gradients(lambda a: gg.slogdet(a)[1], a)[0]
        )

    def test_small_integers_do_not_overflow(self):
        a = np.array([[100, 100], [100, 120]], np.int8)
        np.testing.assert_allclose(gg.cholesky(a), np.linalg.cholesky(a.astype(float)))

    def test_a_matrix_that_is_not_positive_definite_is_named(self):
        a = np.stack([np.eye(2), np.diag([1.0, -2.0])])
        with pytest.raises(gg.DomainError, match=r"a\[1\] is not positive definite: its smallest"):
            gg.cholesky(a)
        with pytest.raises(gg.DomainError, match="smallest eigenvalue is -2"):
            gg.cholesky(a[1])


def attended(q, k, v, allowed=None, bias=0.0):
    """The definition, row by row."""
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]) + bias
    if allowed is None:
        allowed = True
    allowed = np.broadcast_to(allowed, scores.shape)
    out = np.zeros((*scores.shape[:-1], v.shape[-1]))
    v = np.broadcast_to(v, (*scores.shape[:-2], *v.shape[-2:]))
    for at in np.ndindex(scores.shape[:-1]):
        some = allowed[at]
        if some.any():
            e = np.exp(scores[at][some] - scores[at][some].max())
            out[at] = (e / e.sum()) @ v[at[:-1]][some]
    return out


class TestAttention:
    def inputs(self, *lead, n=4, m=3, d=2, e=5):
        return normal(*lead, n, d), normal(*lead, m, d), normal(*lead, m, e)

    @pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
    def test_is_its_definition(self, lead):
        args = self.inputs(*lead)
        found = gg.attention(*map(gg.Tensor, args))
        np.testing.assert_allclose(found.data, attended(*args), rtol=1e-10)
        assert gg.attention(*(x.astype(np.float32) for x in args)).dtype == np.float32
        assert gg.attention(*(x.astype(np.float16) for x in args)).dtype == np.float16

    def test_gradient(self):
        assert check(gg.attention, *self.inputs(), examples=5).verdict == "passed"

        def causal(q, k, v, bias):
            return gg.attention(q, k, v, mask=bias, causal=True)

        assert check(causal, *self.inputs(2), normal(4, 3), examples=5).verdict == "passed"
        mask = np.array([[True, False, True], [False] * 3, [True] * 3, [False, True, False]])
        masked = lambda q, k, v: gg.attention(q, k, v, mask=mask)  # noqa: E731
        assert check(masked, *self.inputs(), examples=5).verdict == "passed"

    def test_masks(self):
        q, k, v = self.inputs(2)
        mask = rng.random((2, 4, 3)) < 0.5
        mask[0, 1] = False
        wanted = attended(q, k, v, mask)
        np.testing.assert_allclose(gg.attention(q, k, v, mask=mask), wanted, rtol=1e-10)
        added = np.where(mask, 0.0, -np.inf)
        np.testing.assert_allclose(gg.attention(q, k, v, mask=added), wanted, rtol=1e-10)
        past = np.tri(4, 3, dtype=bool)
        wanted = attended(q, k, v, past)
        np.testing.assert_allclose(gg.attention(q, k, v, causal=True), wanted, rtol=1e-10)
        wanted = attended(q, k, v, past & mask)
        found = gg.attention(q, k, v, mask=mask, causal=True)
        np.testing.assert_allclose(found, wanted, rtol=1e-10)
        bias = normal(4, 3)
        found = gg.attention(q, k, v, mask=bias)
        np.testing.assert_allclose(found, attended(q, k, v, bias=bias), rtol=1e-10)
        some = np.array([True, False, True])
        found = gg.attention(q, k, v, mask=some)
        np.testing.assert_allclose(found, attended(q, k, v, some), rtol=1e-10)

    def test_a_query_that_may_look_at_nothing_gets_zeros_and_passes_nothing_on(self):
        for mask in (np.zeros((1, 3), bool), np.full((4, 3), -np.inf)):
            args = [gg.Tensor(x, requires_grad=True) for x in self.inputs()]
            out = gg.attention(*args, mask=mask)
            np.testing.assert_array_equal(out.data, np.zeros((4, 5)))
            out.sum().backward()
            for x in args:
                np.testing.assert_array_equal(x.grad.data, np.zeros(x.shape))

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_large_scores(self, dtype):
        q, k = np.array([[150.0]], dtype), np.array([[150.0], [-150.0], [0.0]], dtype)
        v = np.array([[1.0], [2.0], [3.0]], dtype)
        mask = np.array([True, True, False])
        np.testing.assert_array_equal(gg.attention(q, k, v, mask=mask), [[1.0]])
        np.testing.assert_array_equal(gg.attention(-q, k, v, mask=mask), [[2.0]])

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_a_bias_as_low_as_can_be_does_not_open_what_is_closed(self, dtype):
        x, v = np.ones((2, 1), dtype), np.array([[1.0], [5.0]], dtype)
        low = np.array([[np.finfo(dtype).min, 0.0]], dtype)
        np.testing.assert_array_equal(gg.attention(x, x, v, mask=low, causal=True), v)

    def test_a_learnt_bias_gets_a_gradient_where_it_counts(self):
        q, k, v = self.inputs()
        bias = gg.Tensor(np.where(np.tri(4, 3), 0.0, -np.inf), requires_grad=True)
        (gg.attention(q, k, v, mask=bias) ** 2).sum().backward()
        assert np.all((bias.grad.data != 0)[1:] == np.tri(4, 3, dtype=bool)[1:])
        assert not bias.grad.data[0].any()  # one key only: its weight is 1

    def test_nan_in_a_mask_is_not_hidden(self):
        q, k, v = self.inputs()
        assert np.isnan(gg.attention(q, k, v, mask=np.array([0.0, np.nan, 0.0]))).all()

    def test_leading_axes_that_do_not_fit_are_named(self):
        for leads in ((2, 3, 3), (2, 2, 3)):
            args = [np.ones((lead, 4, 2)) for lead in leads]
            with pytest.raises(gg.ShapeError, match=r"attention: .* do not broadcast"):
                gg.attention(*args)

    def test_nothing_to_compare(self):
        np.testing.assert_array_equal(
            gg.attention(np.ones((2, 1)), np.ones((0, 1)), np.ones((0, 3))), np.zeros((2, 3))
        )
        found = gg.attention(np.ones((2, 0)), np.ones((2, 0)), np.array([[1.0], [3.0]]))
        np.testing.assert_array_equal(found, [[2.0], [2.0]])
        found = gg.attention(np.ones((2, 1)), np.ones((0, 1)), np.ones((0, 3)), causal=True)
        np.testing.assert_array_equal(found, np.zeros((2, 3)))

    @pytest.mark.parametrize(
        ("shapes", "options", "kind", "text"),
        [
            (
                ((4, 2), (3, 3), (3, 5)),
                {},
                gg.ShapeError,
                "the last axes of q (2) and k (3) differ",
            ),
            (((4, 2), (3, 2), (4, 5)), {}, gg.ShapeError, "there are 3 keys, but 4 values"),
            (((4, 2), (2,), (4, 5)), {}, gg.ShapeError, "k is (2,), v is 4×5; each needs two axes"),
            (
                ((4, 2), (3, 2), (3, 5)),
                {"mask": np.ones((3, 4), bool)},
                gg.ShapeError,
                "mask is 3×4 and does not broadcast to the scores, 4×3",
            ),
            (
                ((4, 2), (3, 2), (3, 5)),
                {"mask": np.ones((2, 4, 3), bool)},
                gg.ShapeError,
                "mask is 2×4×3 and does not broadcast to the scores, 4×3",
            ),
            (
                ((4, 2), (3, 2), (3, 5)),
                {"mask": np.ones((4, 3), int)},
                gg.DTypeError,
                "mask is an array of int64, which may mean weights or choices",
            ),
        ],
    )
    def test_errors(self, shapes, options, kind, text):
        with pytest.raises(kind, match=re.escape(text)):
            gg.attention(*map(np.ones, shapes), **options)
