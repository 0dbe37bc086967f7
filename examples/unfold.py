"""From tensors to scalars: an op unfolds into the graph of its scalar definition.

    python examples/unfold.py

One conv op becomes multiplies and adds. Its few weights are used again at every position
(weight sharing): each is one leaf with many edges, and its gradient is the sum over all of them.
"""

from collections import Counter

import numpy as np

import gradgraph as gg


def counted(graph):
    """How many scalar ops of each kind a graph has."""
    kinds = Counter(step.op.name for step in graph.steps)
    return " and ".join(f"{count} {name}" for name, count in sorted(kinds.items()))


def main():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, 5, 5, 1))
    filters = rng.normal(size=(3, 3, 1, 1))

    def network(x, w):
        return gg.max_pool(gg.conv(x, w), 3)

    conv = gg.scalars(gg.conv, image, filters)
    print(f"conv: 1 op on tensors, {counted(conv.graph)} on scalars")
    edges = Counter(x for v in conv.graph.vertices for x in v.inputs)
    (uses,) = {edges[w] for w in conv.inputs[1].ravel()}
    weights, dense = filters.size, conv.output.size * image.size
    print(f"{weights} shared weights, each used {uses} times, once for each output pixel")
    print(f"a fully connected layer between the same images would have {dense} weights")

    unfolded = gg.scalars(network, image, filters)
    print(f"conv, then max_pool over everything: {counted(unfolded.graph)} are left,")
    print("because the maximum is its winner: only one output pixel gets a gradient")

    (result,) = unfolded.output.ravel()
    result.backward()
    by_scalars = np.array([w.grad.item() for w in unfolded.inputs[1].ravel()])
    by_tensors = gg.grad(lambda w: network(image, w).sum())(filters).ravel()
    difference = np.abs(by_scalars - by_tensors).max()
    print(f"gradient of the weights, scalars against tensors: greatest difference {difference:.0e}")
    assert difference < 1e-12


if __name__ == "__main__":
    main()
