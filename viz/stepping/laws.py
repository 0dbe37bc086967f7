"""What an op does, and how it passes a gradient back, in one line each."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from gradgraph.op import Op
from gradgraph.ops.conv import Conv

from ..text import clean

# By the op's name: forward and backward, for operands {x} and {w}, result {y}, loss {L}.
_LAWS = {
    "conv": (
        "the filter {w} lies on {x} at every place: products of what meets, added",
        "every product {x}·{w} passes ∂{L}/∂{y} on, times its other factor; sums add up",
    ),
    "matmul": (
        "rows times columns: products, added",
        "every product {x}·{w} passes ∂{L}/∂{y} on, times its other factor",
    ),
    "relu": (
        "{y}ᵢ = max({x}ᵢ, 0)",
        "∂{L}/∂{x}ᵢ = ∂{L}/∂{y}ᵢ if {x}ᵢ > 0, else 0",
    ),
    "max_pool": (
        "the greatest number of each window",
        "the winner of each window gets all of ∂{L}/∂{y}, the others 0",
    ),
    "max": (
        "the greatest number",
        "the winner gets all of ∂{L}/∂{y}, the others 0",
    ),
    "maximum": (
        "the greater of two numbers",
        "the greater one gets all of ∂{L}/∂{y}, the other 0",
    ),
    "squared_error": (
        "the square of the difference",
        "the slope of a square: twice the difference",
    ),
}


def forward(op: Op, operands: Sequence[str], result: str) -> str:
    """What the op does with its operands.

    >>> from gradgraph.ops.activation import RELU
    >>> from gradgraph.ops.trigonometry import TANH
    >>> forward(RELU, ["z"], "a"), forward(TANH, ["z"], "a")
    ('aᵢ = max(zᵢ, 0)', 'tanh x')
    """
    if isinstance(op, Conv) and _plain(op, operands):
        y, x, w = result, *operands
        return f"{y}ᵢ = Σⱼ {w}ⱼ·{x}[{_place(op)}], with zeros outside of {x}"
    if op.name in _LAWS:
        return _fill(_LAWS[op.name][0], operands, result, "")
    first = (inspect.getdoc(type(op)) or op.name).partition("\n")[0]
    return clean(first.removesuffix("."), 90)


def backward(op: Op, operands: Sequence[str], result: str, loss: str) -> str:
    """How the op passes the gradient of its result back.

    >>> from gradgraph.ops.activation import RELU
    >>> from gradgraph.ops.trigonometry import TANH
    >>> backward(RELU, ["z"], "a", "L"), backward(TANH, ["z"], "a", "L")
    ('∂L/∂zᵢ = ∂L/∂aᵢ if zᵢ > 0, else 0', '∂L/∂zᵢ = ∂L/∂aᵢ · ∂aᵢ/∂zᵢ')
    """
    if isinstance(op, Conv) and _plain(op, operands):
        y, x, w = result, *operands
        return f"∂{loss}/∂{w}ⱼ = Σᵢ ∂{loss}/∂{y}ᵢ · {x}[{_place(op)}]"
    if op.name in _LAWS:
        return _fill(_LAWS[op.name][1], operands, result, loss)
    known = list(dict.fromkeys(filter(_is_symbol, operands)))
    if len(known) == 1 and op.diagonal:
        return f"∂{loss}/∂{known[0]}ᵢ = ∂{loss}/∂{result}ᵢ · ∂{result}ᵢ/∂{known[0]}ᵢ"
    x = known[0] if len(known) == 1 else "·"
    return f"∂{loss}/∂{x} = Σ ∂{loss}/∂{result} · ∂{result}/∂{x}, along every path"


def _fill(law: str, operands: Sequence[str], result: str, loss: str) -> str:
    x, w = (*operands, "", "")[:2]
    return law.format(x=x, w=w, y=result, L=loss)


def _plain(op: Conv, operands: Sequence[str]) -> bool:
    """Whether the op is a signal's, with a filter that has a name."""
    return len(op.stride) == 1 and op.groups == 1 and _is_symbol(operands[1])


def _is_symbol(operand: str) -> bool:
    """Whether an operand is a symbol, not a number."""
    return operand[:1].isalpha()


def _place(op: Conv) -> str:
    """The element of a signal that tap j meets at place i."""
    (stride,), (dilation,), ((before, _),) = op.stride, op.dilation, op.padding
    i = "i" if stride == 1 else f"{stride}i"
    j = "j" if dilation == 1 else f"{dilation}j"
    return f"{i} + {j} − {before}" if before else f"{i} + {j}"
