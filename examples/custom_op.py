"""Two ways to give the engine a function of your own.

    python examples/custom_op.py

`gg.custom` takes a numpy function and its derivatives. A subclass of `gg.Op` is a full op, like
those of the engine: it computes, has its derivatives in both directions, says its result's shape,
can be unfolded into scalars, and can be tested by itself.
"""

import numpy as np

import gradgraph as gg
from gradgraph.draw import Draw

# softplus(x) = ln(1 + exp x), the light way. Its slope is sigmoid(x); written with gradgraph's
# functions, the slope can be differentiated again.
softplus = gg.custom(
    lambda x: np.logaddexp(x, 0.0),
    vjp=lambda g, out, x: g * gg.sigmoid(x),
    jvp=lambda tangents, out, x: tangents[0] * gg.sigmoid(x),
    name="softplus",
)


class Cubic(gg.Op):
    """scale · x³ as a full op."""

    scale: float  # an annotated field is a static parameter
    diagonal = ("x",)  # each element depends on one element: the JVP is the VJP

    def forward(self, x):
        return self.scale * x * x * x

    def vjp_x(self, g, out, x):
        return g * (3 * self.scale * x * x)

    def spec(self, x):
        return x

    def reference(self, x):
        x = np.asarray(x, dtype=object)
        out = np.empty(x.shape, dtype=object)
        for at in np.ndindex(x.shape):
            out[at] = x[at] * x[at] * x[at] * self.scale
        return out

    @classmethod
    def sample(cls, draw):
        return cls(2.0), (draw.normal(draw.shape()),)


def cubic(x, scale=1.0):
    return Cubic.of(scale)(x)


def main():
    x = np.array([-1.0, 0.0, 2.0])
    total = lambda f: lambda x: f(x).sum()  # noqa: E731

    print("softplus       ", np.round(softplus(x), 4))
    print("  slope        ", np.round(gg.grad(total(softplus))(x), 4))
    print("  second slope ", np.round(gg.grad(total(gg.grad(total(softplus))))(x), 4))

    print("cubic          ", cubic(x, 0.5))
    print("  slope        ", gg.grad(total(lambda x: cubic(x, 0.5)))(x))
    _, tangent = gg.jvp(lambda x: cubic(x, 0.5), (x,), (np.ones(3),))
    print("  forward mode ", tangent)
    print("  scalar ops   ", len(gg.scalars(lambda x: cubic(x, 0.5), x).graph))

    op, (inputs,) = Cubic.sample(Draw.seeded(0))
    assert np.allclose(op(inputs), op.reference(inputs).astype(float))
    print("forward agrees with the definition on a sample of shape", inputs.shape)

    try:

        class Forgotten(gg.Op):
            def forward(self, x):
                return x

    except gg.OpDefinitionError as error:
        print("an op without its rules is refused:", error)


if __name__ == "__main__":
    main()
