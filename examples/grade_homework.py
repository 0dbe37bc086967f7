"""Grade hand-written backward passes: the smallest counterexample, as feedback to paste.

    python examples/grade_homework.py

The homework: "Here are a convolution and a max-pooling in numpy. Write their vjp." Five solutions
make classic mistakes, two are right. No op of gradgraph is used: it draws small images, compares
each vjp with differences of the teacher's forward, and shrinks what fails.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gradgraph.testing import Arguments, WrongGradient, check, drawn

# ---------------------------------------------------------------- what the teacher hands out


def conv(x, w, stride, padding):
    """Images (N, H, W, C) with filters (k, k, C, D)."""
    windows = sliding_window_view(pad(x, padding), w.shape[:2], axis=(1, 2))
    return np.einsum("nijcab,abcd->nijd", windows[:, ::stride, ::stride], w)


def max_pool(x, size, stride):
    """The largest value of each window of size × size."""
    windows = sliding_window_view(x, (size, size), axis=(1, 2))
    return windows[:, ::stride, ::stride].max(axis=(-2, -1))


def pad(x, n):
    return np.pad(x, ((0, 0), (n, n), (n, n), (0, 0)))


def places(g, size, stride):
    """For each place of the result its index, and that of the window it was computed from."""
    for i, j in np.ndindex(g.shape[1:3]):
        a, b = i * stride, j * stride
        yield np.s_[:, i, j], np.s_[:, a : a + size, b : b + size]


# ---------------------------------------------------------------- what the students hand in


def conv_right(g, x, w, stride, padding, flip=1, step=None):
    (_, height, width, _), x = x.shape, pad(x, padding)
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for at, window in places(g, len(w), step or stride):
        dx[window] += np.einsum("nd,abcd->nabc", g[at], w[::flip, ::flip])
        dw += np.einsum("nabc,nd->abcd", x[window], g[at])
    return dx[:, padding : padding + height, padding : padding + width], dw


def conv_flips_the_filter(g, x, w, stride, padding):
    return conv_right(g, x, w, stride, padding, flip=-1)


def conv_forgets_the_stride(g, x, w, stride, padding):
    return conv_right(g, x, w, stride, padding, step=1)


def conv_crops_at_the_end_only(g, x, w, stride, padding):
    dx, dw = conv_right(g, pad(x, padding), w, stride, 0)
    return dx[:, : x.shape[1], : x.shape[2]], dw


def pool_right(g, x, size, stride, add=True):
    dx = np.zeros_like(x)
    for n, i, j, c in np.ndindex(g.shape):
        window = x[n, i * stride : i * stride + size, j * stride : j * stride + size, c]
        a, b = divmod(int(window.argmax()), size)
        at = n, i * stride + a, j * stride + b, c
        dx[at] = g[n, i, j, c] + (dx[at] if add else 0)
    return dx


def pool_overwrites_overlaps(g, x, size, stride):
    return pool_right(g, x, size, stride, add=False)


def pool_gives_to_all_ties(g, x, size, stride):
    dx, out = np.zeros_like(x), max_pool(x, size, stride)
    for at, window in places(g, size, stride):
        dx[window] += (x[window] == out[at][:, None, None]) * g[at][:, None, None]
    return dx


# ---------------------------------------------------------------- how they are graded


def convolutions(draw):
    """Small images and filters; of every choice the first is the simplest."""
    k, stride, padding = draw.choice((1, 2, 3)), draw.choice((1, 2, 3)), draw.choice((0, 1, 2))
    rows, columns = (k + draw.choice((0, 1, 2, 3)) for _ in range(2))
    n, c, d = (draw.choice((1, 2)) for _ in range(3))
    return Arguments(
        (draw.normal((n, rows, columns, c)), draw.normal((k, k, c, d)), stride, padding)
    )


def pools(draw, tied=False):
    """Windows that overlap, touch or leave gaps; values repeat if `tied`."""
    size, stride = draw.choice((2, 3)), draw.choice((1, 2, 3))
    rows, columns = (size + draw.choice((0, 1, 2)) for _ in range(2))
    shape = (draw.choice((1, 2)), rows, columns, draw.choice((1, 2)))
    return Arguments((draw.tied(shape) if tied else draw.distinct(shape), size, stride))


def tied_pools(draw):
    return pools(draw, tied=True)


def feedback(error):
    """What a student gets to read, made of the counterexample alone."""
    called = ", ".join(
        f"{name} = {np.squeeze(value).round(6).tolist()} ({'×'.join(map(str, value.shape))})"
        if isinstance(value, np.ndarray)
        else f"{name} = {value}"
        for name, value in error.example.items()
    )
    if error.law == "kinks":  # at a tie a gradient is a matter of choice, but not of any choice
        wrong, hint = error.problem, "values are tied; several gradients are right, not this one"
    else:
        entry = error.entries[0]
        wrong = f"{entry.what.replace('d ', 'd')} is {entry.expected:g}, yours is {entry.got:g}"
        hint = (
            "it has no influence on the result"
            if entry.expected == 0
            else f"{'less' if abs(entry.got) < abs(entry.expected) else 'more'} arrives than should"
        )
    return f"wrong. The smallest case found:\n    {called}\n    {wrong}\n    hint: {hint}"


HOMEWORK = {
    conv: (conv_flips_the_filter, conv_forgets_the_stride, conv_crops_at_the_end_only, conv_right),
    max_pool: (pool_overwrites_overlaps, pool_gives_to_all_ties, pool_right),
}
INPUTS = {conv: (convolutions,), max_pool: (pools, tied_pools)}


def main():
    handed_in = [(forward, vjp) for forward, solutions in HOMEWORK.items() for vjp in solutions]
    for number, (forward, vjp) in enumerate(handed_in, start=1):
        try:
            reports = [check(forward, drawn(inputs), vjp=vjp) for inputs in INPUTS[forward]]
            words = f"right, as far as {sum(r.examples for r in reports)} inputs can tell"
        except WrongGradient as error:
            words = feedback(error)
        print(f"Student {number}, {forward.__name__}: {words}")


if __name__ == "__main__":
    main()
