"""How pictures look: colours, fonts, sizes, and the thresholds of the badges.

Every role has a colour for light and one for dark surroundings. The light ones are written into
the drawing and are all different, so that the style sheet can find each role again and give it
its dark colour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

from gradgraph.errors import DTypeError

FONT = "Arial"
FAMILY = "Arial, 'Liberation Sans', Arimo, Helvetica, sans-serif"

# role: (light, dark)
COLOURS: dict[str, tuple[str, str]] = {
    "paper": ("#ffffff", "#0d1117"),
    "card": ("#fefefe", "#161b22"),
    "foot": ("#eef2f6", "#21262d"),
    "cluster": ("#f5f8fb", "#11161d"),
    "border": ("#c3ccd6", "#39424e"),
    "ink": ("#1b2430", "#e6edf3"),
    "muted": ("#5a6675", "#9da7b3"),
    "on-header": ("#fffffe", "#fffffe"),
    "track": ("#e1e6ec", "#30363d"),
    "data": ("#8793a1", "#7d8793"),
    "alarm": ("#a3261c", "#ff9d94"),
    "alarm-back": ("#fdeceb", "#3a1a1c"),
    "off": ("#93b5b0", "#4f7f79"),
    "linear": ("#1e5fa9", "#1f5ea6"),
    "activation": ("#0f756c", "#0e6f67"),
    "pool": ("#79479a", "#75459a"),
    "shape": ("#5d6b80", "#566377"),
    "reduce": ("#8a4b12", "#87500f"),
    "arithmetic": ("#4b6a1d", "#48671c"),
    "loss": ("#111726", "#3a4358"),
    "other": ("#52525b", "#55555e"),
    "leaf": ("#475466", "#3c4859"),
}
STYLES = ("linear", "activation", "pool", "shape", "reduce", "arithmetic", "loss", "other")

# One colour per decade of a gradient's norm: even steps from violet over red to yellow.
FIRST_DECADE, LAST_DECADE = -6, 1
RAMP: tuple[tuple[str, str], ...] = (
    ("#2c1e9c", "#7d78f5"),
    ("#5601a4", "#9a70f2"),
    ("#7e03a8", "#b565e9"),
    ("#9c179e", "#cc5ad6"),
    ("#b83289", "#de5fb1"),
    ("#d8576b", "#ea6d80"),
    ("#ed7953", "#f48a5f"),
    ("#fbb32f", "#fdc24f"),
)
for _step, _pair in enumerate(RAMP):
    COLOURS[f"ramp{_step}"] = _pair

# How a gradient changed: (light, dark, words), from a hundredth or less to a hundredfold or more.
RATIOS: tuple[tuple[str, str, str], ...] = (
    ("#08519c", "#3f8fe0", "÷ 100"),
    ("#3182bd", "#5aa5e6", "÷ 10"),
    ("#7aaed6", "#8fc1ea", "÷ 3"),
    ("#9aa3ad", "#8b949e", "="),
    ("#f0a15f", "#f2b27c", "× 3"),
    ("#dd6b10", "#f08a3c", "× 10"),
    ("#a63603", "#ff7b2e", "× 100"),
)
for _step, (_light, _dark, _) in enumerate(RATIOS):
    COLOURS[f"ratio{_step}"] = (_light, _dark)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on a card says that something is wrong.

    Attributes:
        vanishing, exploding: norms of a gradient, at most and at least.
        falls: a layer's gradient against that of the layer nearest to the loss, at most; the
            inverse counts as growing.
        gain: of a gradient on its way through one op, ‖∂x‖ / ‖∂y‖, at most.
        dead: share of a relu's units that are zero for the whole batch, more than.
    """

    vanishing: float = 10.0**FIRST_DECADE
    exploding: float = 10.0**LAST_DECADE
    falls: float = 1e-2
    gain: float = 0.3
    dead: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real) or not float(value) >= 0:
                raise DTypeError(
                    "Thresholds", f"{name} is {value!r:.40}", "Use numbers that are not negative."
                )


def colour(role: str) -> str:
    """The light colour of a role."""
    return COLOURS[role][0]


def header(style: str) -> str:
    """The colour of the header of a card whose op has this `style`.

    >>> header("linear") == colour("linear"), header("unheard of") == colour("other")
    (True, True)
    """
    return colour(style if style in STYLES or style == "leaf" else "other")


def step(norm: float) -> int:
    """The step of the ramp for a norm: one per decade, from ≤ 10⁻⁶ to ≥ 10.

    >>> step(0.0), step(0.5), step(2.0), step(float("inf"))
    (0, 5, 6, 7)
    """
    if math.isnan(norm) or math.isinf(norm):
        return len(RAMP) - 1
    if norm <= 10.0**FIRST_DECADE:
        return 0
    decade = math.floor(math.log10(norm) + 1e-12)
    return min(max(decade, FIRST_DECADE), LAST_DECADE) - FIRST_DECADE


def ramp(norm: float) -> str:
    """The colour of a gradient of this norm."""
    return RAMP[step(norm)][0]


def width(norm: float) -> float:
    """The line width of a gradient of this norm."""
    return 1.2 + 0.8 * step(norm)


def ratio_step(quotient: float) -> int:
    """The step of a change; its middle is no change.

    >>> [ratio_step(q) for q in (0.0, 0.1, 0.5, 1.0, 3.0, 10.0, float("nan"))]
    [0, 1, 2, 3, 4, 5, 6]
    """
    if math.isnan(quotient):
        return len(RATIOS) - 1
    if quotient == 0:
        return 0
    size = abs(math.log10(quotient))
    far = 0 if size < 0.2 else 1 if size < 0.75 else 2 if size < 1.5 else 3
    return 3 + (far if quotient > 1 else -far)


def ratio_width(step: int) -> float:
    """The line width of a step: the more changed, the wider."""
    return 1.6 + 1.6 * abs(step - len(RATIOS) // 2)


def share(norm: float) -> float:
    """How much of a log bar a norm fills, from 0 to 1.

    >>> share(0.0), share(1e9)
    (0.0, 1.0)
    """
    if norm == 0:
        return 0.0
    if math.isnan(norm) or math.isinf(norm):
        return 1.0
    span = LAST_DECADE - FIRST_DECADE + 1
    return min(max((math.log10(norm) - FIRST_DECADE + 1) / (span + 1), 0.04), 1.0)
