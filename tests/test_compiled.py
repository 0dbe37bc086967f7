"""Compiled kernels: they agree with numpy wherever they are taken, and are taken where they say."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import gradgraph as gg
from gradgraph.draw import Draw
from gradgraph.kernels import dispatch, numpy_, pooling, settings, threads
from gradgraph.testing.checks import search_op

pytest.importorskip("numba")

EPS = 2.0**-24


@pytest.fixture(autouse=True)
def compiled():
    with gg.backend("numba"):
        yield


def geometry(draw, exact):
    """Arrays and geometry of a dispatch, odd sizes and tails of channels among them."""
    one = draw.integer(0, 4) == 0
    nd = 1 if one else 2
    square = draw.choice([1, 2, 3, 3, 3, 5, 5, 7])
    kernel = (square,) * nd if draw.integer(0, 3) else (draw.choice([1, 2, 3, 4]), square)[-nd:]
    plain = draw.integer(0, 2) > 0
    stride = (1,) * nd if plain else tuple(draw.integer(1, 3) for _ in range(nd))
    dilation = (1,) * nd if plain else tuple(draw.integer(1, 2) for _ in range(nd))
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    padding = tuple(
        (draw.integer(-1 if plain else 0, s - 1), draw.integer(0, s - 1)) for s in spans
    )
    size = tuple(
        max(s - sum(p), 1) + draw.integer(0, 20) for s, p in zip(spans, padding, strict=True)
    )
    n, c, o = (
        draw.integer(0, 5),
        draw.choice([1, 2, 3, 16, 17, 24, 40]),
        draw.choice([1, 16, 19, 33, 48]),
    )
    rng = np.random.default_rng(draw.integer(0, 2**31))
    make = (lambda s: rng.integers(-3, 4, s)) if exact else (lambda s: rng.normal(size=s))
    x, w = (make(s).astype(np.float32) for s in ((n, *size, c), (*kernel, c, o)))
    out = numpy_.out_shape(size, kernel, stride, padding, dilation)
    g = make((n, *out, o)).astype(np.float32)
    return x, w, g, (stride, padding, dilation, 1)


def three(kernels, x, w, g, spec):
    return (
        kernels.conv(x, w, *spec),
        kernels.conv_input(g, w, x.shape[1:-1], *spec),
        kernels.conv_filter(x, g, w.shape[:-2], *spec),
    )


@pytest.mark.parametrize("seed", range(150))
def test_they_agree_with_double_precision(seed):
    x, w, g, spec = geometry(Draw.seeded(seed), exact=False)
    for precision, units in (("fast", 60), ("high", 12)):
        with gg.precision(precision):
            found = three(dispatch, x, w, g, spec)
        double = [a.astype(float) for a in (x, w, g)]
        expected = three(numpy_, *double, spec)
        terms = three(numpy_, *map(np.abs, double), spec)
        for y, wanted, scale in zip(found, expected, terms, strict=True):
            assert y.dtype == np.float32
            assert y.shape == wanted.shape
            if wanted.size:
                assert np.abs(y - wanted).max() <= units * EPS * scale.max()


@pytest.mark.parametrize("name", ["conv", "conv_input", "conv_filter"])
def test_the_laws_hold(name):
    assert search_op(gg.Op.registry[name], 60, 0).found is None


def large(n=4, size=12, c=16, o=32, k=3):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(n, size, size, c)), rng.normal(size=(k, k, c, o))
    return x.astype(np.float32), w.astype(np.float32)


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf, 3e38])
def test_what_is_not_finite_stays_where_it_is(strange, k):
    """A tile would spread it over its results: then numpy computes."""
    x, w = large(k=k)
    x[1, 3, 4, 5] = strange
    spec = ((1, 1), ((1, 1),) * 2, (1, 1), 1)
    with np.errstate(all="ignore"):
        g = np.ones_like(numpy_.conv(x, w, *spec))
        found, expected = (three(k, x, w, g, spec) for k in (dispatch, numpy_))
    for y, wanted in zip(found, expected, strict=True):
        assert np.array_equal(np.isfinite(y), np.isfinite(wanted))
        assert np.array_equal(np.isnan(y), np.isnan(wanted))


def test_arrays_that_are_not_contiguous():
    x, w = large()
    spec = ((1, 1), ((1, 1),) * 2, (1, 1), 1)
    g = np.ones((4, 12, 12, 32), np.float32)
    plain = three(dispatch, x, w, g, spec)
    odd = [np.asfortranarray(x), w[::-1][::-1], np.repeat(g, 2, axis=1)[:, ::2]]
    for y, wanted in zip(three(dispatch, *odd, spec), plain, strict=True):
        np.testing.assert_array_equal(y, wanted)
    fixed = [a.copy() for a in (x, w, g)]
    for a in fixed:
        a.flags.writeable = False
    for y, wanted in zip(three(dispatch, *fixed, spec), plain, strict=True):
        np.testing.assert_array_equal(y, wanted)


@pytest.mark.parametrize("seed", range(60))
def test_pools_masks_and_relu_agree_exactly(seed):
    draw = Draw.seeded(seed)
    kernel, stride, dilation = (tuple(draw.integer(1, 3) for _ in range(2)) for _ in range(3))
    padding = tuple((draw.integer(0, k // 2), draw.integer(0, k // 2)) for k in kernel)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = tuple(
        max(span - sum(p), 1) + draw.integer(0, 12) for span, p in zip(spans, padding, strict=True)
    )
    if draw.integer(0, 2) == 0:  # windows without gaps
        stride, dilation, padding = kernel, (1, 1), ((0, 0),) * 2
        size = tuple(k * draw.integer(1, 6) for k in kernel)
    rng = np.random.default_rng(seed)
    x = rng.integers(-4, 5, (draw.integer(1, 4), *size, draw.choice([1, 5, 16, 37]))).astype("f")
    if draw.integer(0, 3) == 0:
        x[rng.random(x.shape) < 0.1] = draw.choice([np.nan, np.inf, -np.inf])
    spec = (kernel, stride, padding, dilation)
    (y, winner), (wanted, tap) = dispatch.max_pool(x, *spec), pooling.max_pool(x, *spec)
    np.testing.assert_array_equal(y, wanted)
    np.testing.assert_array_equal(winner, tap)
    g = rng.integers(-9, 10, y.shape).astype("f")
    found = dispatch.place(g, winner, size, *spec)
    np.testing.assert_array_equal(found, pooling.place(g, winner, size, *spec))
    np.testing.assert_array_equal(dispatch.relu(x), np.maximum(x, 0))
    chosen = rng.random(x.shape) < 0.5
    np.testing.assert_array_equal(dispatch.masked(x, chosen), np.where(chosen, x, 0))
    view = x[::-1, :, ::2]
    np.testing.assert_array_equal(dispatch.relu(view), np.maximum(view, 0))


@pytest.mark.parametrize("shape", [(6, 5, 4, 16), (300, 48), (1, 1, 2, 3, 32), (3, 0, 16), (9, 5)])
def test_a_normalisation_of_channels(shape):
    """Mean, variance and result, and what comes back through each of them."""
    rng = np.random.default_rng(0)
    x, u = rng.normal(3.0, 2.0, shape), rng.normal(size=shape)
    if not x.size:
        with pytest.raises(gg.ShapeError, match="no elements"):
            gg.batch_norm(x.astype(np.float32), None, None)
        return
    mean, var = (rng.normal(size=shape[-1:]) for _ in range(2))

    def run(dtype):
        given = gg.Tensor(x.astype(dtype), requires_grad=True)
        y, m, v = gg.batch_norm(given, None, None, return_stats=True)
        total = (y * u.astype(dtype)).sum() + (m * mean.astype(dtype)).sum()
        (total + (v * var.astype(dtype)).sum()).backward()
        return y.data, m.data, v.data, given.grad.data

    double, found = run(float), run(np.float32)
    for name, a, b in zip(("y", "mean", "var", "grad"), found, double, strict=True):
        assert a.dtype == np.float32, name
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5, err_msg=name)
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "_by_channel", lambda x, axis: calls.append(x.shape))
        plain = run(np.float32)
    assert calls
    if shape[-1] % 16 == 0:  # these were computed by compiled kernels
        assert any(not np.array_equal(a, b) for a, b in zip(found, plain, strict=True))


@pytest.mark.parametrize("tap", range(4))
@pytest.mark.parametrize("channels", [1, 16, 19])
def test_a_single_nan_is_not_lost_in_a_pool(tap, channels):
    x = np.arange(16.0 * channels, dtype="f").reshape(1, 4, 4, channels)
    x[0, tap // 2, tap % 2, -1] = np.nan
    spec = ((2, 2), (2, 2), ((0, 0),) * 2, (1, 1))
    for found, wanted in zip(dispatch.max_pool(x, *spec), pooling.max_pool(x, *spec), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("padding", [((0, 1),) * 2, ((1, 0), (0, 2)), ((1, 1),) * 2])
@pytest.mark.parametrize("channels", [(16, 16), (3, 64)])
def test_filters_of_one_pixel_that_are_padded_and_strided(padding, channels):
    rng = np.random.default_rng(0)
    w = rng.normal(size=(1, 1, *channels)).astype("f")
    x = rng.normal(size=(2, 5, 5, channels[0])).astype("f")
    spec = ((2, 2), padding, (1, 1), 1)
    g = numpy_.conv(x, w, *spec)
    for found, wanted in zip(
        three(dispatch, x, w, g, spec), three(numpy_, x, w, g, spec), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_an_infinite_weight_meets_no_slope_in_between():
    w = np.ones((2, 2, 1, 16), "f")
    w[0, 0, 0, 0] = np.inf
    spec = ((2, 2), ((0, 0),) * 2, (1, 1), 1)
    g = np.ones((3, 6, 6, 16), "f")
    found, wanted = (k.conv_input(g, w, (12, 12), *spec) for k in (dispatch, numpy_))
    assert np.array_equal(np.isfinite(found), np.isfinite(wanted))


def test_no_filters_and_numbers_without_axes():
    x = gg.Tensor(np.ones((1, 5, 5, 2), "f"), requires_grad=True)
    gg.conv(x, np.ones((3, 3, 2, 0), "f")).sum().backward()
    assert not x.grad.data.any()
    number = gg.Tensor(np.array(2.0, "f"), requires_grad=True)
    gg.relu(number).backward()
    assert number.grad.shape == gg.relu(number).shape == ()


def test_a_numba_that_does_not_fit_is_told_once_and_done_without(tmp_path):
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "__init__.py").write_text("raise ImportError('needs NumPy 1')")
    code = (
        "import numpy as np, gradgraph as gg;"
        "x = np.ones((8, 32, 32, 16), 'f');"
        "[gg.relu(gg.conv(x, np.ones((3, 3, 16, 32), 'f'))) for _ in range(2)];"
        "print('done')"
    )
    environment = {k: v for k, v in os.environ.items() if k != "GRADGRAPH_BACKEND"}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert run.stdout == "done\n", run.stderr
    assert run.stderr.count("numpy computes, because numba fails: needs NumPy 1") == 1


@pytest.mark.parametrize(
    ("m", "k", "n"),
    [(1, 1, 1), (8, 300, 32), (5, 3, 7), (33, 257, 65), (64, 513, 10), (3, 5, 200), (200, 1, 3)],
)
def test_products_of_matrices_in_any_layout(m, k, n):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=s).astype(np.float32) for s in ((m, k), (k, n)))
    expected = a.astype(float) @ b
    bound = 4 * EPS * np.sqrt(k) * (np.abs(a).astype(float) @ np.abs(b)).max()
    for left in (a, np.asfortranarray(a), np.repeat(a, 2, 0)[::2], a[::-1][::-1]):
        for right in (b, np.asfortranarray(b), np.repeat(b, 3, 1)[:, ::3]):
            found = dispatch.matmul(left, right)
            assert found.dtype == np.float32
            assert found.flags.c_contiguous
            assert np.abs(found - expected).max() <= bound
    a[0, 0] = np.nan
    assert np.isnan(dispatch.matmul(a, b)[0]).all()
    assert not np.isnan(dispatch.matmul(a, b)[1:]).any()
    with pytest.raises(ValueError, match="matmul"):
        dispatch.matmul(a, np.ones((k + 1, n), np.float32))


@pytest.mark.parametrize(
    ("shape", "w_shape", "groups", "dtype"),
    [
        ((2, 9, 9, 16), (3, 3, 16, 16), 1, np.float64),
        ((2, 9, 9, 16), (3, 3, 16, 16), 1, np.float16),
        ((2, 9, 9, 16), (3, 3, 8, 16), 2, np.float32),
        ((2, 5, 9, 9, 4), (3, 3, 3, 4, 4), 1, np.float32),
    ],
)
def test_numpy_does_the_rest(shape, w_shape, groups, dtype, monkeypatch):
    monkeypatch.setattr(dispatch, "_compiled", None)
    x, w = np.ones(shape, dtype), np.ones(w_shape, dtype)
    y = gg.conv(x, w, groups=groups)
    assert y.dtype == dtype
    assert (y == np.prod(w_shape[:-1])).all()


def test_small_work_is_left_to_numpy():
    code = (
        "import sys, numpy as np, gradgraph as gg;"
        "x = gg.conv(np.ones((1, 8, 8, 1), 'f'), np.ones((3, 3, 1, 4), 'f'));"
        "print('numba' in sys.modules);"
        "x = gg.conv(np.ones((8, 32, 32, 16), 'f'), np.ones((3, 3, 16, 32), 'f'));"
        "print('numba' in sys.modules)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "GRADGRAPH_BACKEND"}
    for chosen, told in (({}, "False\nTrue\n"), ({"GRADGRAPH_BACKEND": "numpy"}, "False\nFalse\n")):
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment | chosen
        )
        assert run.stdout == told, run.stderr


def test_the_same_bits_every_time_and_in_two_threads():
    x, w = large(8, 20)
    spec = ((1, 1), ((1, 1),) * 2, (1, 1), 1)
    g = np.random.default_rng(1).normal(size=(8, 20, 20, 32)).astype(np.float32)

    def work(_):
        return b"".join(a.tobytes() for a in three(dispatch, x, w, g, spec))

    with ThreadPoolExecutor(2) as pool:
        assert len({*pool.map(work, range(6)), work(0)}) == 1


def test_the_number_of_threads_changes_no_shape(monkeypatch):
    x, w = large(3, 9)
    spec = ((1, 1), ((1, 1),) * 2, (1, 1), 1)
    g = np.ones((3, 9, 9, 32), np.float32)
    expected = three(numpy_, x, w, g, spec)
    for count in (1, 2, 3, 7):
        monkeypatch.setattr(threads, "count", lambda count=count: count)
        for y, wanted in zip(three(dispatch, x, w, g, spec), expected, strict=True):
            np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-3)


class TestThreads:
    @pytest.fixture(autouse=True)
    def three(self, monkeypatch):
        monkeypatch.setattr(threads, "count", lambda: 3)

    @pytest.fixture(params=["spins", "sleeps"])
    def wait(self, request):
        from gradgraph.kernels.numba_ import parallel

        return parallel.wait if request.param == "spins" else lambda address, value: None

    def test_every_item_is_done_once_by_several_threads(self, wait):
        for total in (0, 1, 2, 3, 10, 1000):
            seen, names = np.zeros(total, int), set()

            def work(part, first, end, seen=seen, names=names):
                seen[first:end] += 1
                names.add(threading.get_ident())

            for _ in range(20):
                threads.run(work, total, wait)
            assert (seen == 20).all()
            assert len(names) <= 3

    def test_long_work_is_done_by_all(self, wait):
        names = set()

        def work(part, first, end):
            time.sleep(0.2)
            names.add(threading.get_ident())

        threads.run(work, 3, wait)
        assert len(names) == 3

    @pytest.mark.parametrize("at", [0, 2])
    def test_an_error_is_raised_when_all_parts_have_ended(self, wait, at):
        ended = []

        def work(part, first, end):
            if part == at:
                raise ValueError(f"in part {part}")
            time.sleep(0.01)
            ended.append(part)

        for _ in range(3):
            ended.clear()
            with pytest.raises(ValueError, match=f"in part {at}"):
                threads.run(work, 9, wait)
            assert sorted(ended) == [part for part in range(3) if part != at]

    def test_work_inside_of_work_and_beside_it(self, wait):
        seen = np.zeros((30, 30), int)

        def row(part, first, end):
            for i in range(first, end):
                threads.run(lambda _, a, b, i=i: seen[i].__setitem__(slice(a, b), 1), 30, wait)

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda k: threads.run(row, 30, wait), range(6)))
        assert seen.all()

    def test_an_interrupted_call_leaves_nothing_to_the_next(self, wait):
        def broken(part, first, end):
            time.sleep(0.05)
            raise ValueError("old")

        def interrupted(address, value):
            if threading.current_thread() is threading.main_thread():
                raise KeyboardInterrupt

        with pytest.raises((KeyboardInterrupt, ValueError)):
            threads.run(broken, 3, interrupted)
        seen = np.zeros(9, int)
        for _ in range(5):
            threads.run(lambda _, a, b: seen.__setitem__(slice(a, b), seen[a:b] + 1), 9, wait)
        assert (seen == 5).all()

    def test_without_threads_the_caller_does_it_all(self, wait, monkeypatch):
        def none(self):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threads, "_workers", [])
        monkeypatch.setattr(threads._Worker, "start", none)
        seen = np.zeros(9, int)
        threads.run(lambda _, a, b: seen.__setitem__(slice(a, b), 1), 9, wait)
        assert seen.all()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    @pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
    def test_a_child_has_threads_of_its_own(self, wait):
        threads.run(lambda *_: None, 3, wait)
        child = os.fork()
        if child == 0:
            seen = []
            threads.run(lambda part, *_: seen.append(part), 3, wait)
            os._exit(sorted(seen) != [0, 1, 2])
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_nothing_beyond_the_arrays_is_read_or_written():
    """They lie at the end of their pages, and what comes next may not be touched."""
    if sys.platform != "linux":
        pytest.skip("needs mprotect")
    run = subprocess.run(
        [sys.executable, "-c", GUARDED], capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout == "done\n"


GUARDED = """
import ctypes, mmap
import numpy as np
import gradgraph as gg
from gradgraph.kernels import dispatch

libc, kept = ctypes.CDLL(None, use_errno=True), []


def at_the_end(array):
    pages = -(-array.nbytes // mmap.PAGESIZE)
    memory = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
    view = np.frombuffer(memory, np.uint8)
    guard = view.ctypes.data + pages * mmap.PAGESIZE
    assert libc.mprotect(ctypes.c_void_p(guard), mmap.PAGESIZE, 0) == 0
    start = pages * mmap.PAGESIZE - array.nbytes
    made = view[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    made[...] = array
    kept.append(memory)
    return made


gg.backend("numba")
rng = np.random.default_rng(0)
for k, c, o, size, stride in (
    (3, 16, 32, 9, 1), (3, 17, 33, 8, 1), (5, 16, 16, 11, 1), (2, 3, 5, 9, 1), (3, 1, 16, 12, 2),
    (7, 3, 8, 21, 2), (1, 16, 48, 8, 1), (3, 20, 20, 10, 3),
):
    for precision in ("fast", "high"):
        gg.precision(precision)
        for pad in (0, k // 2):
            spec = ((stride,) * 2, ((pad, pad),) * 2, (1, 1), 1)
            x = at_the_end(rng.normal(size=(5, size, size, c)).astype("f"))
            w = at_the_end(rng.normal(size=(k, k, c, o)).astype("f"))
            y = dispatch.conv(x, w, *spec)
            g = at_the_end(y)
            dispatch.conv_input(g, w, (size, size), *spec)
            dispatch.conv_filter(x, g, (k, k), *spec)
print("done")
"""


def test_each_kernel_is_compiled_once():
    """Whatever arrays are passed: a kernel sees addresses, and constants of its callers."""
    from numba.core.types import unliteral

    from gradgraph.kernels.numba_.compiled import KERNELS

    x, w = large()
    spec = ((1, 1), ((1, 1),) * 2, (1, 1), 1)
    three(dispatch, x, w, np.ones((4, 12, 12, 32), np.float32), spec)
    assert len(KERNELS) >= 8
    for kernel in KERNELS:
        assert len({tuple(map(unliteral, types)) for types in kernel.signatures}) <= 1


COLD = """
import numpy as np, gradgraph as gg
gg.backend("numba")
x, w = np.ones((4, 12, 12, 16), "f"), gg.Tensor(np.ones((3, 3, 16, 16), "f"), requires_grad=True)
y = gg.conv(x, w)
y.sum().backward()
print(float(y.sum()), float(w.grad.sum()))
"""


def test_two_processes_may_compile_at_once_and_a_third_need_not(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", COLD]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, env=environment, **pipes) for _ in range(2)]
    told = [process.communicate() for process in both]
    third = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert {out for out, _ in told} == {third.stdout} == {"921600.0 921600.0\n"}
    assert "compiling kernels for this machine" in told[0][1] + told[1][1]
    assert third.stderr == ""


def test_without_a_folder_kernels_are_compiled_anew(monkeypatch, capsys):
    from gradgraph.kernels.numba_ import compiled

    def njit(**options):
        if "cache" in options:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(compiled, "njit", njit)
    monkeypatch.setattr(compiled, "KERNELS", [])
    monkeypatch.setattr(compiled, "_said", set())
    for _ in range(2):
        assert compiled.kernel(len) is len
    assert capsys.readouterr().err.count("cannot be kept") == 1


@pytest.mark.parametrize(("m", "r"), [(1, 1), (2, 2), (2, 3), (3, 2), (3, 3), (4, 3), (2, 5)])
def test_short_convolutions_are_exact(m, r):
    from fractions import Fraction

    from gradgraph.kernels.toom import Toom

    short = Toom.of(m, r)
    rng = np.random.default_rng(0)
    x = [Fraction(int(v)) for v in rng.integers(-9, 10, short.points)]
    w = [Fraction(int(v)) for v in rng.integers(-9, 10, r)]

    def times(matrix, vector):
        return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]

    both = [a * b for a, b in zip(times(short.filter, w), times(short.data, x), strict=True)]
    expected = [sum(x[i + t] * w[t] for t in range(r)) for i in range(m)]
    assert times(short.result, both) == expected
    slopes = [Fraction(int(v)) for v in rng.integers(-9, 10, m)]
    met = [a * b for a, b in zip(times(short.gradient, slopes), times(short.data, x), strict=True)]
    back = times(zip(*short.filter, strict=True), met)
    assert back == [sum(x[i + t] * slopes[i] for i in range(m)) for t in range(r)]


class TestSettings:
    def test_they_are_chosen_and_come_back(self):
        assert str(gg.backend()) == "numba"
        with gg.backend("numpy") as chosen:
            assert repr(chosen) == "backend('numpy')"
            assert not settings.compiled(1e12)
        assert settings.compiled(1)
        with gg.backend("auto"):
            assert settings.compiled(1e9)
            assert not settings.compiled(1e3)
        with gg.precision("high"):
            assert str(gg.precision()) == "high"
        assert str(gg.precision()) == "fast"

    def test_what_there_is_not(self, monkeypatch):
        for setting in (gg.backend, gg.precision):
            for wrong in ("cuda", 3, ""):
                with pytest.raises(gg.DomainError, match=r"there is no .*\. Use "):
                    setting(wrong)
        monkeypatch.setattr(settings, "_has_numba", lambda: False)
        with pytest.raises(gg.MissingExtraError, match="numba is not installed"):
            gg.backend("numba")

    def test_a_wrong_environment_is_told(self):
        run = subprocess.run(
            [sys.executable, "-c", "import gradgraph as gg; gg.conv"],
            capture_output=True,
            text=True,
            env={**os.environ, "GRADGRAPH_BACKEND": "cuda"},
        )
        assert run.returncode == 1
        assert "GRADGRAPH_BACKEND: there is no 'cuda'. Use auto, numpy, numba." in run.stderr


@pytest.mark.parametrize("seed", range(10))
def test_filters_of_each_channel_agree_with_double_precision(seed):
    """Whole vectors and tails, strides, one-sided padding, dilation; both gradients."""
    rng = np.random.default_rng(seed)
    n, h, w, c = rng.integers(1, 4), *rng.integers(5, 14, size=2), rng.choice([3, 16, 19, 32, 40])
    kernel = tuple(map(int, rng.integers(1, 4, size=2)))
    stride, dilation = (tuple(map(int, rng.integers(1, 3, size=2))) for _ in range(2))
    padding = tuple(tuple(map(int, p)) for p in rng.integers(0, 3, size=(2, 2)))
    geometry = stride, padding, dilation, int(c)
    x = rng.normal(size=(n, h, w, c)).astype(np.float32)
    filters = rng.normal(size=(*kernel, 1, c)).astype(np.float32)
    y = numpy_.conv(x.astype(float), filters.astype(float), *geometry)
    g = rng.normal(size=y.shape).astype(np.float32)
    with gg.backend("numba"):
        for name, first, second, middle in (
            ("conv", x, filters, ()),
            ("conv_input", g, filters, ((h, w),)),
            ("conv_filter", x, g, (kernel,)),
        ):
            found = getattr(dispatch, name)(first, second, *middle, *geometry)
            exact = getattr(numpy_, name)(
                first.astype(float), second.astype(float), *middle, *geometry
            )
            assert found.dtype == np.float32
            scale = np.abs(exact).max(initial=1e-30)
            np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-5 * scale)


EIGHT_LANES = """
from llvmlite import binding
found = binding.get_host_cpu_features()
kept = {name: on and not name.startswith(("avx512", "evex512")) for name, on in found.items()}
binding.get_host_cpu_features = lambda: type(found)(kept)
import numpy as np
import gradgraph as gg
from gradgraph.kernels import dispatch, numpy_
from gradgraph.kernels.numba_ import simd
assert (simd.LANES, simd.ROWS) == (8, 4)
rng = np.random.default_rng(0)
gg.backend("numba")
for (n, h, c, k, size, s, groups) in (
    (4, 11, 16, 24, 3, 1, 1), (4, 13, 16, 19, 5, 1, 1), (3, 9, 3, 12, 3, 2, 1),
    (3, 9, 19, 19, 3, 1, 19),
):
    x = rng.normal(size=(n, h, h, c)).astype("f")
    w = rng.normal(size=(size, size, c // groups, k)).astype("f")
    geometry = (s, s), ((1, 1), (1, 1)), (1, 1), groups
    y = numpy_.conv(x.astype(float), w.astype(float), *geometry)
    g = rng.normal(size=y.shape).astype("f")
    for name, a, b, more in (("conv", x, w, ()), ("conv_input", g, w, ((h, h),)),
                             ("conv_filter", x, g, ((size, size),))):
        exact = getattr(numpy_, name)(a.astype(float), b.astype(float), *more, *geometry)
        found = getattr(dispatch, name)(a, b, *more, *geometry)
        assert abs(found - exact).max() < 1e-4 * abs(exact).max(), (name, c, k)
pool = lambda x: gg.grad(lambda x: (gg.max_pool(gg.relu(x), 2) ** 2).sum())(x)
x = rng.normal(size=(2, 8, 8, 19)).astype("f")
found = pool(x)
gg.backend("numpy")
assert np.allclose(found, pool(x))
print("as exact")
"""


def test_vectors_of_eight_numbers(tmp_path):
    """What machines without AVX-512 do, in another process and folder."""
    from gradgraph.kernels.numba_ import simd

    if simd.LANES != 16:
        pytest.skip("here they are what all tests use")
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", EIGHT_LANES], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert run.stdout.strip() == "as exact", run.stderr
