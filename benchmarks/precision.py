"""How exact float32 convolutions are: every path beside torch, against float64.

    python benchmarks/precision.py

Printed is ‖y - exact‖ / ‖exact‖ for the result, the gradient of the image and that of the filter,
for numbers drawn from a normal distribution.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import gradgraph as gg

SHAPES = (  # images, size, channels, filters, kernel
    (16, 32, 64, 64, 3),
    (16, 8, 256, 256, 3),
    (32, 14, 32, 64, 5),
    (32, 28, 1, 32, 5),
)


def of_gradgraph(x: Any, w: Any, g: Any) -> list[Any]:
    x, w = (gg.Tensor(a, requires_grad=True) for a in (x, w))
    y = gg.conv(x, w, padding="same")
    y.backward(g)
    return [y.data, x.grad.data, w.grad.data]


def of_torch(x: Any, w: Any, g: Any) -> list[Any]:
    import torch

    first = [torch.tensor(np.ascontiguousarray(np.moveaxis(a, -1, 1))) for a in (x, g)]
    weight = torch.tensor(np.ascontiguousarray(np.moveaxis(w, (-1, -2), (0, 1))))
    image = first[0].requires_grad_()
    weight.requires_grad_()
    y = torch.nn.functional.conv2d(image, weight, padding=w.shape[0] // 2)
    y.backward(first[1])
    back = (y.detach(), image.grad, weight.grad)
    moves = (((1,), (-1,)), ((1,), (-1,)), ((0, 1), (-1, -2)))
    return [np.moveaxis(a.numpy(), *move) for a, move in zip(back, moves, strict=True)]


def main() -> None:
    rng = np.random.default_rng(0)
    print("error of the result, the gradient of the image, that of the filter")
    for n, size, c, o, k in SHAPES:
        shapes = ((n, size, size, c), (k, k, c, o), (n, size, size, o))
        given = [rng.normal(size=s).astype(np.float32) for s in shapes]
        with gg.backend("numpy"):
            exact = of_gradgraph(*(a.astype(float) for a in given))
            found = {"numpy": of_gradgraph(*given)}
        for precision in ("fast", "high"):
            with gg.backend("numba"), gg.precision(precision):
                found[f"compiled, {precision}"] = of_gradgraph(*given)
        found["torch"] = of_torch(*given)
        print(f"{k}×{k}, {c} → {o}, {n} images of {size}×{size}")
        for name, results in found.items():
            errors = [
                np.linalg.norm(y - e) / np.linalg.norm(e)
                for y, e in zip(results, exact, strict=True)
            ]
            print(f"  {name:16} {'  '.join(f'{error:.1e}' for error in errors)}")


if __name__ == "__main__":
    main()
