"""Losses against their definitions in numpy, at special values, and with every option."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import gradgraph as gg
from gradgraph.testing import check

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(4, 3)) * 2, RNG.normal(size=(4, 3)) * 2
P, Q = RNG.uniform(0.05, 0.95, (4, 3)), RNG.uniform(0.05, 0.95, (4, 3))
SIGNS = np.where(Y > 0, 1, -1)
REDUCE = {"mean": np.mean, "sum": np.sum, "none": lambda v: v}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def huber(e, d):
    return np.where(np.abs(e) <= d, e * e / 2, d * (np.abs(e) - d / 2))


def bce(p, y):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


# name, arguments, options, the losses in numpy
LOSSES = [
    ("mse_loss", (X, Y), {}, (X - Y) ** 2),
    ("squared_loss", (X, Y), {}, (X - Y) ** 2),
    ("l1_loss", (X, Y), {}, np.abs(X - Y)),
    ("huber_loss", (X, Y), {}, huber(X - Y, 1.0)),
    ("huber_loss", (X, Y), {"delta": 2.5}, huber(X - Y, 2.5)),
    ("huber_loss", (X, Y), {"delta": np.inf}, (X - Y) ** 2 / 2),
    ("smooth_l1_loss", (X, Y), {}, huber(X - Y, 1.0)),
    ("smooth_l1_loss", (X, Y), {"beta": 0.5}, huber(X - Y, 0.5) / 0.5),
    ("smooth_l1_loss", (X, Y), {"beta": 0}, np.abs(X - Y)),
    ("kl_div", (np.log(P), Q), {}, Q * (np.log(Q) - np.log(P))),
    ("hinge_loss", (X, SIGNS), {}, np.maximum(0, 1 - SIGNS * X)),
    ("binary_cross_entropy", (P, Q), {}, bce(P, Q)),
    ("binary_cross_entropy", (P, Q), {"weight": P[0]}, bce(P, Q) * P[0]),
    ("binary_cross_entropy_with_logits", (X, Q), {}, bce(sigmoid(X), Q)),
    (
        "binary_cross_entropy_with_logits",
        (X, Q),
        {"pos_weight": P[0] + 1},
        -((P[0] + 1) * Q * np.log(sigmoid(X)) + (1 - Q) * np.log(sigmoid(-X))),
    ),
]


@pytest.mark.parametrize("reduction", REDUCE)
@pytest.mark.parametrize(("name", "args", "options", "losses"), LOSSES)
def test_the_definition(name, args, options, losses, reduction):
    result = getattr(gg, name)(*args, **options, reduction=reduction)
    assert_allclose(result, REDUCE[reduction](losses), rtol=1e-12, atol=1e-15)
    single = [a if a.dtype.kind == "i" else a.astype(np.float32) for a in args]
    result = getattr(gg, name)(*single, **options, reduction=reduction)
    assert result.dtype == np.float32
    assert_allclose(result, REDUCE[reduction](losses), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("reduction", REDUCE)
@pytest.mark.parametrize(("name", "args", "options", "losses"), LOSSES)
def test_the_derivatives(name, args, options, losses, reduction):
    def f(*args):
        return getattr(gg, name)(*args, **options, reduction=reduction)

    assert check(f, *args, examples=4).verdict == "passed"


@pytest.mark.parametrize(("name", "args", "options", "losses"), LOSSES)
def test_exact_shapes_whole_batches_known_reductions(name, args, options, losses):
    f = getattr(gg, name)
    a, b = args
    with pytest.raises(gg.ShapeError, match=f"^{name}: .* is 4×3 but .* a loss does not broadcast"):
        f(a, b[:1], **options)
    with pytest.raises(gg.DomainError, match=f"^{name}: reduction 'avg' is unknown"):
        f(a, b, **options, reduction="avg")
    with pytest.raises(gg.ShapeError, match=f"^{name}: the batch is empty"):
        f(a[:0], b[:0], **options, reduction="mean")
    assert f(a[:0], b[:0], **options, reduction="sum") == 0
    assert f(a[:0], b[:0], **options, reduction="none").shape == (0, 3)
    with pytest.raises(gg.DTypeError, match=f"^{name}: .* not real numbers"):
        f(a * 1j, b, **options)
    with pytest.raises(gg.DTypeError, match=f"^{name}: .* not real numbers"):
        f([[1.0], [2.0, 3.0]], b, **options)


def test_integers_count_as_floats():
    small, large = np.array([3, 0], np.uint8), np.array([5, 255], np.uint8)
    assert gg.l1_loss(small, large) == 128.5
    assert gg.huber_loss(small, large) == (1.5 + 254.5) / 2
    assert gg.mse_loss(small, large) == (4 + 255**2) / 2
    assert gg.l1_loss([1, 2], [True, False]) == 1.0
    assert gg.smooth_l1_loss(3, 1.0) == 1.5


def slopes(f, *args):
    return gg.grad(lambda *xs: f(*xs).sum(), tuple(range(len(args))))(*map(np.asarray, args))


class TestRegression:
    def test_kinks(self):
        assert slopes(gg.l1_loss, [1.0], [1.0])[0].tolist() == [0.0]
        for e in (1.0, -1.0):  # where the parabola meets the line the slope is δ
            assert slopes(gg.huber_loss, [e], [0.0])[0] == e
        assert slopes(gg.hinge_loss, [1.0, 0.999], [1.0, 1.0])[0].tolist() == [0.0, -0.5]

    def test_the_slope_of_huber_is_the_error_cut_off(self):
        e = np.array([-1e300, -3.0, -0.5, 0.0, 0.25, 4.0, np.inf])
        slope = gg.grad(lambda e: gg.huber_loss(e, np.zeros(7), reduction="sum"))(e)
        assert slope.tolist() == [-1.0, -1.0, -0.5, 0.0, 0.25, 1.0, 1.0]

    def test_nan_stays(self):
        assert np.isnan(gg.huber_loss(np.array([np.nan]), np.zeros(1)))
        assert np.isnan(gg.smooth_l1_loss(np.array([np.nan]), np.zeros(1), beta=0))

    def test_a_tiny_beta(self):
        e = np.array([2.0, -3.0])
        assert gg.smooth_l1_loss(e, np.zeros(2), beta=1e-300, reduction="none").tolist() == [2, 3]
        assert slopes(lambda e: gg.smooth_l1_loss(e, np.zeros(2), beta=1e-300), e)[0].tolist() == [
            0.5,
            -0.5,
        ]

    @pytest.mark.parametrize("delta", [0, -1.0, np.nan])
    def test_delta_is_positive(self, delta):
        with pytest.raises(gg.DomainError, match="huber_loss: delta is"):
            gg.huber_loss(X, Y, delta=delta)

    @pytest.mark.parametrize("beta", [-1.0, np.nan])
    def test_beta_is_not_negative(self, beta):
        with pytest.raises(gg.DomainError, match=r"beta is .*Use a number of at least 0"):
            gg.smooth_l1_loss(X, Y, beta=beta)

    @pytest.mark.parametrize("delta", ["1", None, True, X])
    def test_delta_is_a_number(self, delta):
        with pytest.raises(gg.DTypeError, match=r"delta is .* not a number"):
            gg.huber_loss(X, Y, delta=delta)


class TestKlDivergence:
    def test_no_truth_no_loss(self):
        log_guess, actual = np.array([-1.0, -np.inf, -2.0]), np.array([0.0, 0.0, 1.0])
        assert gg.kl_div(log_guess, actual, reduction="none").tolist() == [0.0, 0.0, 2.0]
        first, second = slopes(lambda a, b: gg.kl_div(a, b, reduction="sum"), log_guess, actual)
        assert first.tolist() == [0.0, 0.0, -1.0]
        assert second.tolist() == [0.0, 0.0, 3.0]

    def test_what_was_thought_impossible_costs_infinitely(self):
        assert gg.kl_div(np.array([-np.inf]), np.array([0.5])) == np.inf

    def test_a_negative_truth_is_nan(self):
        with np.errstate(invalid="ignore"):
            assert np.isnan(gg.kl_div(np.array([-1.0]), np.array([-0.5])))

    def test_mixed_second_derivatives_agree(self):
        z = np.array([[-1.0, -1.0], [0.0, 0.5]])
        second = gg.hessian(lambda z: gg.kl_div(z[0], z[1], reduction="sum"))(z)
        np.testing.assert_allclose(second, np.moveaxis(second, (0, 1), (2, 3)))
        assert second[0, 0, 1, 0] == 0

    def test_nothing_arrives_where_there_is_no_truth(self):
        guess, truth = np.array([0.0, 0.5]), np.array([0.0, 1.0])
        f = lambda q: gg.kl_div(gg.log(q), truth, reduction="sum")  # noqa: E731
        with np.errstate(divide="ignore"):
            assert gg.jvp(f, (guess,), (np.ones(2),))[1] == -2.0
        pull = gg.vjp(
            lambda a, b: gg.kl_div(a, b, reduction="none"), np.array([-1.0]), np.array([0.0])
        )[1]
        assert [g.item() for g in pull(np.array([np.inf]))] == [0.0, 0.0]


@pytest.mark.parametrize("f", [gg.kl_div, gg.hinge_loss])
def test_a_plain_number_as_truth(f):
    for reduction in ("mean", "sum", "none"):
        assert gg.grad(lambda x: f(x, 1.0, reduction=reduction))(-1.0) == -1.0  # noqa: B023


class TestBinary:
    def test_certain_answers_are_finite(self):
        p, y = np.array([0.0, 1.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0, 1.0])
        losses = gg.binary_cross_entropy(p, y, reduction="none")
        assert losses.tolist() == [100.0, 100.0, 0.0, 0.0]
        by_p, by_y = slopes(lambda p, y: gg.binary_cross_entropy(p, y, reduction="sum"), p, y)
        assert by_p.tolist() == [-1e12, 1e12, 0.0, 0.0]
        assert by_y.tolist() == [100.0, -100.0, 100.0, -100.0]

    @pytest.mark.parametrize("dtype", [np.float16, np.float32])
    def test_certain_answers_are_finite_in_low_precision(self, dtype):
        p, y = np.array([0.0, 1.0], dtype), np.array([1.0, 0.0], dtype)
        assert gg.binary_cross_entropy(p, y) == 100
        slope = slopes(gg.binary_cross_entropy, p, y)[0]
        assert slope.dtype == dtype
        assert np.isfinite(slope).all()
        assert slope[0] == -slope[1] < -1000

    def test_the_least_probabilities(self):
        p = np.array([1e-300, 1e-43, 1e-40, 1e-10])
        losses = gg.binary_cross_entropy(p, np.ones(4), reduction="none")
        assert_allclose(losses, [100, -np.log(1e-43), -np.log(1e-40), -np.log(1e-10)])
        by_y = slopes(lambda y: gg.binary_cross_entropy(p, y, reduction="sum"), np.ones(4))[0]
        assert_allclose(by_y, losses)

    def test_probabilities_are_from_0_to_1(self):
        for p in ([[0.0, 1.0], [1.5, -1.0]], [[0.5, 0.2], [1.001, 0.1]]):
            with pytest.raises(gg.DomainError, match=r"probability 1\.\d+ at position \(1, 0\)"):
                gg.binary_cross_entropy(np.array(p), np.zeros((2, 2)))
        with pytest.raises(gg.DomainError, match=r"probability -0\.001 at position 1 is outside"):
            gg.binary_cross_entropy(np.array([0.5, -1e-3]), np.zeros(2))
        assert np.isnan(gg.binary_cross_entropy(np.array([np.nan, 0.5]), np.zeros(2)))

    def test_large_logits(self):
        x, y = np.array([1e4, -1e4, 1e4, -1e4, 0.0]), np.array([1.0, 0.0, 0.0, 1.0, 1.0])
        for options in ({}, {"pos_weight": 1.0}):

            def f(x, y, options=options):
                return gg.binary_cross_entropy_with_logits(x, y, reduction="none", **options)

            assert_allclose(f(x, y), [0, 0, 1e4, 1e4, np.log(2)])
            assert slopes(f, x, y)[0].tolist() == [0.0, 0.0, 1.0, -1.0, -0.5]

    def test_no_digits_are_lost(self):
        x = np.array([40.0, -40.0])
        for options in ({}, {"pos_weight": 1.0}):
            losses = gg.binary_cross_entropy_with_logits(
                x, np.array([1.0, 0.0]), reduction="none", **options
            )
            assert_allclose(losses, np.exp(-40.0))

    def test_factors_fit_the_losses(self):
        with pytest.raises(gg.ShapeError, match="pos_weight is 2×4×3, but the losses are 4×3"):
            gg.binary_cross_entropy_with_logits(X, Q, pos_weight=np.ones((2, 4, 3)))
        with pytest.raises(gg.ShapeError, match="weight is"):
            gg.binary_cross_entropy(P, Q, weight=np.ones(4))
        w = gg.Tensor(P[0], requires_grad=True)
        gg.binary_cross_entropy(P, Q, weight=w).backward()
        assert_allclose(w.grad.data, bce(P, Q).sum(0) / 12)

    def test_plain_numbers(self):
        x = gg.Tensor(0.0, requires_grad=True)
        gg.binary_cross_entropy_with_logits(x, 1).backward()
        assert x.grad.item() == -0.5
        y = gg.Tensor(0.5, requires_grad=True)
        gg.binary_cross_entropy_with_logits(2.0, y).backward()
        assert y.grad.item() == -2.0
        y.grad = None
        gg.binary_cross_entropy(0.5, y).backward()
        assert y.grad.item() == 0.0

    def test_truths_of_hinge(self):
        with pytest.raises(gg.DomainError, match=r"actual holds 0 \(it is \(2,\)\), neither -1"):
            gg.hinge_loss(np.ones(2), np.array([1, 0]))


def cosine(x, y, axis=-1):
    norms = [np.sqrt((v * v).sum(axis)) for v in (x, y)]
    return (x * y).sum(axis) / (norms[0] * norms[1])


class TestCosineSimilarity:
    @pytest.mark.parametrize("axis", [-1, 0, 1])
    def test_the_definition(self, axis):
        assert_allclose(gg.cosine_similarity(X, Y, axis=axis), cosine(X, Y, axis))
        assert check(lambda x, y: gg.cosine_similarity(x, y, axis=axis), X, Y, examples=4)
        small = gg.cosine_similarity(X.astype(np.float32), Y.astype(np.float32), axis=axis)
        assert small.dtype == np.float32

    def test_broadcasting(self):
        pairs = gg.cosine_similarity(X[:, None], Y)
        assert_allclose(pairs, [[cosine(x, y) for y in Y] for x in X])
        assert_allclose(gg.cosine_similarity(X, Y[0], axis=0), cosine(X, np.tile(Y[0], (4, 1)), 0))
        assert_allclose(gg.cosine_similarity(X, 2.0), cosine(X, np.ones_like(X)))
        assert check(lambda x, y: gg.cosine_similarity(x, y, axis=0), X, Y[0], examples=4)

    def test_vectors_of_zeros(self):
        x, y = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]]), np.array([[1.0, 2], [0, 0], [0, 0]])
        assert gg.cosine_similarity(x, y).tolist() == [0.0, 0.0, 0.0]
        for g in slopes(gg.cosine_similarity, x, y):
            assert g.tolist() == [[0.0, 0.0]] * 3
        assert gg.cosine_similarity(np.zeros((2, 0)), np.zeros((2, 0))).tolist() == [0.0, 0.0]

    @pytest.mark.parametrize(
        ("dtype", "size"), [("float16", 300), ("float32", 1e30), (float, 1e200)]
    )
    def test_vectors_whose_squares_overflow(self, dtype, size):
        x, y = np.array([size, 0], dtype), np.array([size, size], dtype)
        found = gg.cosine_similarity(x, y)
        assert found.dtype == dtype
        assert_allclose(found, np.sqrt(0.5), rtol=1e-3)
        slope = gg.grad(gg.cosine_similarity)(x, y)
        assert_allclose(slope, [0, np.sqrt(0.5) / size], rtol=2e-3, atol=1e-6 / size)

    def test_vectors_whose_squares_vanish(self):
        x, y = np.array([1e-200, 0]), np.array([1e-200, 1e-200])
        assert_allclose(gg.cosine_similarity(x, y, eps=0), np.sqrt(0.5))

    def test_eps(self):
        assert gg.cosine_similarity(np.array([1e-9]), np.array([2.0])) == 0.1
        assert gg.cosine_similarity(np.array([1e-9]), np.array([2.0]), eps=0) == 1.0

    def test_integers(self):
        assert gg.cosine_similarity([3, 4], [3, 4]) == 1.0
        assert gg.cosine_similarity(np.array([200], np.uint8), np.array([200], np.uint8)) == 1.0

    def test_errors(self):
        with pytest.raises(gg.ShapeError, match="axis is None, not one axis"):
            gg.cosine_similarity(X, Y, axis=None)
        with pytest.raises(gg.ShapeError, match="cosine_similarity: axis 2 is out of range"):
            gg.cosine_similarity(X, Y, axis=2)
        with pytest.raises(gg.ShapeError, match="broadcast"):
            gg.cosine_similarity(X, Y[:, :2])
        with pytest.raises(gg.DomainError, match="eps"):
            gg.cosine_similarity(X, Y, eps=-1.0)


LOGITS, LABELS = RNG.normal(size=(6, 4)) * 3, np.array([0, 3, 2, 2, 1, 0])
WEIGHT = np.array([0.5, 1.0, 2.0, 0.25])
SOFT = RNG.dirichlet(np.ones(4), 6)
OPTIONS = [
    {},
    {"weight": WEIGHT},
    {"ignore_index": 2},
    {"weight": WEIGHT, "ignore_index": 0},
    {"label_smoothing": 0.2},
    {"label_smoothing": 1.0, "weight": WEIGHT},
    {"label_smoothing": 0.3, "weight": WEIGHT, "ignore_index": 2},
]


def log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def classified(
    logits, labels, reduction, weight=None, ignore_index=None, label_smoothing=0.0, log=log_softmax
):
    """Item by item, class by class."""
    log_probs = log(logits)
    classes = logits.shape[-1]
    w = np.ones(classes) if weight is None else weight
    losses = np.zeros(labels.shape)
    total = 0.0
    for at in np.ndindex(labels.shape):
        if labels[at] == ignore_index:
            continue
        total += w[labels[at]]
        for c in range(classes):
            q = (1 - label_smoothing) * (labels[at] == c) + label_smoothing / classes
            losses[at] -= q * w[c] * log_probs[at][c]
    return losses.sum() / total if reduction == "mean" else REDUCE[reduction](losses)


class TestCrossEntropy:
    @pytest.mark.parametrize("reduction", REDUCE)
    @pytest.mark.parametrize("options", OPTIONS)
    @pytest.mark.parametrize("lead", [(6,), (3, 2), ()])
    def test_class_numbers(self, lead, options, reduction):
        logits, labels = LOGITS[: np.prod(lead, dtype=int)], LABELS[: np.prod(lead, dtype=int)]
        logits, labels = logits.reshape(*lead, 4), labels.reshape(lead)
        if lead == () and options.get("ignore_index") == 0:
            return  # a mean of nothing: see below

        def f(logits):
            return gg.cross_entropy(logits, labels, reduction=reduction, **options)

        wanted = classified(logits, labels, reduction, **options)
        assert_allclose(f(logits), wanted, rtol=1e-12)
        assert check(f, logits, examples=3).verdict == "passed"
        single = f(logits.astype(np.float32))
        assert single.dtype == np.float32
        assert_allclose(single, wanted, rtol=1e-4)

    @pytest.mark.parametrize("reduction", REDUCE)
    @pytest.mark.parametrize("options", [o for o in OPTIONS if "ignore_index" not in o])
    def test_probabilities(self, options, reduction):
        smoothing, w = options.get("label_smoothing", 0.0), options.get("weight", np.ones(4))
        q = (1 - smoothing) * SOFT + smoothing / 4
        losses = -(w * q * log_softmax(LOGITS)).sum(-1)

        def f(logits, labels):
            return gg.cross_entropy(logits, labels, reduction=reduction, **options)

        assert_allclose(f(LOGITS, SOFT), REDUCE[reduction](losses))
        assert check(f, LOGITS, SOFT, examples=3).verdict == "passed"

    def test_probabilities_of_one_are_class_numbers(self):
        assert_allclose(
            gg.cross_entropy(LOGITS, np.eye(4)[LABELS]), gg.cross_entropy(LOGITS, LABELS)
        )

    @pytest.mark.parametrize("options", OPTIONS)
    def test_large_logits(self, options):
        x = np.array([[1e4, -1e4, 0.0, 0.0], [-1e4, 1e4, 0.0, 0.0]])
        loss, slope = gg.value_and_grad(lambda x: gg.cross_entropy(x, np.array([0, 3]), **options))(
            x
        )
        assert np.isfinite(loss)
        assert np.isfinite(slope).all()
        if not options:
            assert loss == 5000.0
            assert slope.tolist() == [[0.0, 0.0, 0.0, 0.0], [0.0, 0.5, 0.0, -0.5]]

    def test_excluded_classes(self):
        x = np.array([[0.0, 0.0, -np.inf]])
        for labels in (np.array([1]), np.array([[0.0, 1.0, 0.0]])):
            loss, slope = gg.value_and_grad(lambda x, labels=labels: gg.cross_entropy(x, labels))(x)
            assert_allclose(loss, np.log(2))
            assert slope.tolist() == [[0.5, -0.5, 0.0]]

    def test_the_slope_by_a_probability_of_zero(self):
        slope = gg.grad(lambda q: gg.cross_entropy(np.zeros((1, 2)), q))(np.array([[0.0, 1.0]]))
        assert_allclose(slope, [[np.log(2), np.log(2)]])

    @pytest.mark.parametrize("weight", [None, WEIGHT])
    def test_nothing_counts(self, weight):
        loss, slope = gg.value_and_grad(
            lambda x: gg.cross_entropy(x, np.full(6, -100), weight=weight, ignore_index=-100)
        )(LOGITS)
        assert loss == 0
        assert_array_equal(slope, 0)
        assert gg.cross_entropy(LOGITS, LABELS, weight=np.zeros(4)) == 0

    def test_ignored_logits_may_be_anything(self):
        x = LOGITS.copy()
        x[LABELS == 2] = 1e300
        loss = gg.cross_entropy(x, LABELS, ignore_index=2)
        assert_allclose(loss, gg.cross_entropy(LOGITS, LABELS, ignore_index=2))

    def test_half_precision_counts_beyond_its_range(self):
        labels = np.zeros(70_000, int)
        labels[0] = -1
        loss = gg.cross_entropy(np.zeros((70_000, 2), np.float16), labels, ignore_index=-1)
        assert loss.dtype == np.float16
        assert_allclose(loss, np.log(2), rtol=1e-3)

    def test_labels_that_are_tensors_and_small_integers(self):
        for labels in (gg.Tensor(LABELS), LABELS.astype(np.uint8), LABELS.tolist()):
            for options in OPTIONS:
                assert_allclose(
                    gg.cross_entropy(LOGITS, labels, **options),
                    gg.cross_entropy(LOGITS, LABELS, **options),
                )

    def test_weights_get_gradients(self):
        w = gg.Tensor(WEIGHT, requires_grad=True)
        gg.cross_entropy(LOGITS, LABELS, weight=w, reduction="sum").backward()
        losses = gg.cross_entropy(LOGITS, LABELS, reduction="none")
        assert_allclose(w.grad.data, [losses[c == LABELS].sum() for c in range(4)])

    def test_a_replay_counts_anew(self):
        x, labels = gg.Tensor(LOGITS, requires_grad=True), gg.Tensor(LABELS)
        with gg.capture():
            out = gg.cross_entropy(x, labels, weight=WEIGHT, ignore_index=2)
        graph = gg.Graph.of(out, inputs=[x, labels])
        other = np.array([1, 1, 2, 3, 0, 2])
        assert_allclose(
            graph.replay(LOGITS, other),
            classified(LOGITS, other, "mean", weight=WEIGHT, ignore_index=2),
        )

    @pytest.mark.parametrize(
        ("options", "kind", "text"),
        [
            ({"weight": np.ones(3)}, gg.ShapeError, r"weight is \(3,\), but there are 4 classes"),
            ({"weight": "x"}, gg.DTypeError, "weight is of dtype"),
            ({"ignore_index": 1.0}, gg.DTypeError, r"ignore_index is 1\.0, not an int"),
            ({"ignore_index": True}, gg.DTypeError, "ignore_index is True, not an int"),
            ({"label_smoothing": 1.5}, gg.DomainError, r"label_smoothing is 1\.5.*from 0 to 1"),
            ({"label_smoothing": "a"}, gg.DTypeError, "label_smoothing is 'a', not a number"),
            ({"reduction": None}, gg.DomainError, "reduction None is unknown"),
        ],
    )
    def test_wrong_options(self, options, kind, text):
        with pytest.raises(kind, match=f"^cross_entropy: {text}"):
            gg.cross_entropy(LOGITS, LABELS, **options)

    @pytest.mark.parametrize("options", OPTIONS)
    def test_wrong_labels(self, options):
        for labels, kind, text in [
            (LABELS + 3, gg.DomainError, "label [456] at position"),
            (LABELS[:5], gg.ShapeError, "so labels must be"),
            (LABELS.astype(float), gg.DTypeError, "labels are float64, not integers"),
            (np.eye(4, dtype=int)[LABELS], gg.ShapeError, "Turn one-hot rows into numbers"),
        ]:
            with pytest.raises(kind, match=f"^cross_entropy: .*{text}"):
                gg.cross_entropy(LOGITS, labels, **options)
        with pytest.raises(gg.ShapeError, match=r"^cross_entropy: the batch is empty"):
            gg.cross_entropy(LOGITS[:0], LABELS[:0], **options)

    @pytest.mark.parametrize(
        ("labels", "text"),
        [
            ([0, 4], "label 4 at position 1 is outside 0 to 3"),
            ([4, 9], "label 4 at position 0"),
            ([0, -1], "label -1 at position 1"),
            ([-2, -1], "label -2 at position 0"),
            ([9, -1], "label 9 at position 0"),
        ],
    )
    def test_labels_beyond_the_classes(self, labels, text):
        with pytest.raises(gg.DomainError, match=text):
            gg.cross_entropy(LOGITS[:2], labels)
        with pytest.raises(gg.DomainError, match=text):
            gg.cross_entropy(LOGITS[:2], np.array(labels), ignore_index=-100)
        assert gg.cross_entropy(LOGITS[:2], [0, 3]) > 0
        assert gg.cross_entropy(LOGITS[:0], np.zeros(0, int), reduction="sum") == 0

    def test_wrong_probabilities(self):
        with pytest.raises(gg.ShapeError, match="labels are 6×3 probabilities, but logits are 6×4"):
            gg.cross_entropy(LOGITS, SOFT[:, :3])
        with pytest.raises(gg.DTypeError, match="ignore_index is 0, but labels are probabilities"):
            gg.cross_entropy(LOGITS, SOFT, ignore_index=0)
        with pytest.raises(gg.ShapeError, match="the batch is empty"):
            gg.cross_entropy(LOGITS[:0], SOFT[:0])


class TestNll:
    @pytest.mark.parametrize("reduction", REDUCE)
    @pytest.mark.parametrize("options", [o for o in OPTIONS if "label_smoothing" not in o])
    def test_the_definition(self, options, reduction):
        def f(log_probs):
            return gg.nll_loss(log_probs, LABELS, reduction=reduction, **options)

        log_probs = log_softmax(LOGITS)
        wanted = classified(log_probs, LABELS, reduction, **options, log=lambda x: x)
        assert_allclose(f(log_probs), wanted)
        assert check(f, log_probs, examples=3).verdict == "passed"
        assert f(log_probs.astype(np.float32)).dtype == np.float32

    def test_errors(self):
        with pytest.raises(gg.DomainError, match=r"^nll_loss: label 9 at .* \(log_probs are 6×4"):
            gg.nll_loss(LOGITS, LABELS + 9)
        with pytest.raises(gg.DomainError, match=r"^cross_entropy: .* \(logits are 6×4"):
            gg.cross_entropy(LOGITS, LABELS + 9)
        with pytest.raises(gg.ShapeError, match=r"^nll_loss: log_probs are 6×4, so labels must be"):
            gg.nll_loss(LOGITS, LABELS[:2])
        with pytest.raises(gg.ShapeError, match=r"^nll_loss: the batch is empty"):
            gg.nll_loss(LOGITS[:0], LABELS[:0])
        with pytest.raises(gg.DomainError, match=r"^nll_loss: reduction"):
            gg.nll_loss(LOGITS, LABELS, reduction="all")

    def test_integers(self):
        assert gg.nll_loss(np.array([[-1, -3]]), [1]) == 3.0


class TestInfiniteLogits:
    """The short way and the one with options agree: limits, not NaN."""

    X = np.array(
        [[-np.inf, -np.inf], [np.inf, 0.0], [np.inf, 0.0], [np.inf, np.inf], [-np.inf, 0.0]]
    )
    LABELS = np.array([0, 0, 1, 1, 1])

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_losses(self, dtype):
        x = self.X.astype(dtype)
        found = gg.cross_entropy(x, self.LABELS, reduction="none")
        assert found.dtype == dtype
        assert_allclose(found, [np.inf, 0, np.inf, np.log(2), 0], rtol=1e-3)
        other = gg.cross_entropy(x, self.LABELS, reduction="none", ignore_index=7)
        assert_array_equal(found, other)

    def test_slopes(self):
        found = gg.grad(lambda x: gg.cross_entropy(x, self.LABELS, reduction="sum"))(self.X)
        assert_array_equal(found, [[-1, 0], [0, 0], [1, -1], [0.5, -0.5], [0, 0]])


def test_a_reduction_is_a_word():
    with pytest.raises(gg.DomainError, match="unknown"):
        gg.mse_loss(X, Y, reduction=np.ones(2))


def test_an_infinite_change_of_a_score_that_costs_nothing():
    with np.errstate(divide="ignore"):
        f = lambda q: gg.hinge_loss(2 / q, np.ones(1), reduction="sum")  # noqa: E731
        assert gg.jvp(f, (np.zeros(1),), (np.ones(1),))[1] == 0.0
