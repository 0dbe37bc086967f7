"""A whole network of scalars, neuron by neuron: every weight is a tensor of one number.

    python examples/scalar_network.py

The ops that multiply and add these scalars are the ones that run a convolutional network. The
two inputs are XOR: true if exactly one of them is, which no single neuron can tell.
"""

import random

import gradgraph as gg

XOR = [((0.0, 0.0), 0.0), ((0.0, 1.0), 1.0), ((1.0, 0.0), 1.0), ((1.0, 1.0), 0.0)]


class Neuron:
    """activation(w1 x1 + w2 x2 + … + b)."""

    def __init__(self, inputs, activation, rng):
        self.weights = [gg.Tensor(rng.gauss(0, 1), requires_grad=True) for _ in range(inputs)]
        self.bias = gg.Tensor(0.0, requires_grad=True)
        self.activation = activation

    def __call__(self, inputs):
        total = self.bias
        for w, x in zip(self.weights, inputs, strict=True):
            total = total + w * x
        return self.activation(total)


def main():
    rng = random.Random(0)
    hidden = [Neuron(2, gg.tanh, rng) for _ in range(4)]
    output = Neuron(4, gg.sigmoid, rng)
    parameters = [p for n in [*hidden, output] for p in [*n.weights, n.bias]]

    def network(x):
        return output([neuron(x) for neuron in hidden])

    for step in range(301):
        loss = 0.0
        for x, truth in XOR:
            loss = loss + (network(x) - truth) ** 2
        for p in parameters:
            p.grad = None
        loss.backward()
        for p in parameters:
            p.assign(p.item() - 1.0 * p.grad.item())
        if step % 100 == 0:
            print(f"step {step:3}  loss {loss.item():.4f}")

    print(f"{len(parameters)} scalar parameters, {len(gg.Graph.of(loss))} scalar ops per step")
    for x, truth in XOR:
        guess = network(x).item()
        print(f"{x[0]:.0f} xor {x[1]:.0f} = {truth:.0f}   network says {guess:.2f}")


if __name__ == "__main__":
    main()
