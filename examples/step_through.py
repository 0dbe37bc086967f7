"""The chapter's simple CNN (section 7.4), forward and backward, one step at a time.

    python examples/step_through.py [folder]

A zero-padded filter of size 3 without bias, ReLU, a fully connected layer to one number, squared
loss; then the same with a max-pool (section 7.4.2). Every step is a picture with the numbers in it:
the pages have a slider, buttons, and the arrow keys. They are written to the folder, or to `out/`.
"""

import sys
from pathlib import Path

import numpy as np

import gradgraph as gg

X = np.array([1.0, 2, -1, 0.5, 1])
W1 = np.array([0.5, -1, 1])
Y = 1.0


def named(name, tensor):
    tensor.name = name
    return tensor


def simple(x, w1, w2, y):
    """Section 7.4: Z¹ = W¹ slid over X, A¹ = ReLU(Z¹), A² = W²ᵀ A¹, loss = (A² − y)²."""
    z1 = named("Z¹", gg.conv(x.reshape(1, -1, 1), w1.reshape(3, 1, 1), padding=1))
    a1 = named("A¹", gg.relu(z1))
    a2 = named("A²", a1.reshape(-1) @ w2)
    return named("loss", gg.squared_loss(a2, y))


def pooled(x, w1, w2, y):
    """The same with the greatest of every two in front of the fully connected layer."""
    z1 = named("Z¹", gg.conv(x.reshape(1, -1, 1), w1.reshape(3, 1, 1), padding=1))
    a1 = named("A¹", gg.relu(z1))
    p = named("P", gg.max_pool(a1, 2))
    a2 = named("A²", p.reshape(-1) @ w2)
    return named("loss", gg.squared_loss(a2, y))


def run(net, w2, title):
    """Play the net back: what wants a gradient are the weights."""
    return gg.playback(
        net,
        gg.Tensor(X, name="X"),
        gg.Tensor(W1, requires_grad=True, name="W¹"),
        gg.Tensor(w2, requires_grad=True, name="W²"),
        gg.Tensor(Y, name="y"),
        title=title,
    )


def main(folder="out"):
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    nets = {
        "simple": (simple, [1.0, -2, 0.5, 1, 2], "Section 7.4: the simple CNN, step by step"),
        "pooled": (pooled, [1.0, 0.5], "Section 7.4.2: with a max-pool, step by step"),
    }
    for name, net in nets.items():
        found = run(*net)
        print(f"{name}: {found}")
        for step in found.steps:
            if step.phase == "backward":
                print(f"  {step.title}: {step.law}")
                for equation in step.equations:
                    print(f"    {equation}")
        print(" ", found.save(out / f"step_through_{name}.html"))
        print(" ", found.save(out / f"step_through_{name}.svg"))


if __name__ == "__main__":
    main(*sys.argv[1:2])
