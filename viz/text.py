"""Words and numbers as pictures show them."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable

_HIDDEN = {"Cc", "Cs", "Zl", "Zp"}  # control characters, half characters, line separators
_TURNS = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean(text: str, limit: int = 40) -> str:
    """Text that is safe in XML and stays in its place: no control characters, not too long.

    What turns the direction of writing goes too, because it would reorder the numbers beside it.

    >>> clean("a\\x00b\\nc"), clean("x" * 50, 5)
    ('ab c', 'xxxx…')
    """
    visible = "".join(" " if c.isspace() else c for c in text if c.isspace() or not _hidden(c))
    kept = " ".join(visible.split())
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def _hidden(c: str) -> bool:
    noncharacter = ord(c) & 0xFFFE == 0xFFFE
    return unicodedata.category(c) in _HIDDEN or c in _TURNS or noncharacter


def number(value: float) -> str:
    """A number in about three digits.

    >>> number(0.16789), number(7.123e-4), number(1234.5), number(0.0), number(float("nan"))
    ('0.168', '7.1e−4', '1,234', '0', 'NaN')
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"  # also for -0
    size = abs(value)
    if 0.00995 <= size < 999.5:
        text = f"{value:.3g}"
    elif 999.5 <= size < 1e6:
        text = f"{value:,.0f}"
    else:
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", "−")


def metric(n: float) -> str:
    """A large number in two digits and the prefix of its unit.

    >>> metric(950), metric(1_234_567), metric(4.2e9)
    ('950 ', '1.2 M', '4.2 G')
    """
    for prefix in ("", "k", "M", "G"):
        if n < 999.5:
            return f"{n:.2g} {prefix}" if n < 99.5 else f"{n:.0f} {prefix}"
        n /= 1000
    return f"{n:,.0f} T"


def count(n: int, noun: str) -> str:
    """A number of things.

    >>> count(1, "card"), count(2572, "parameter")
    ('1 card', '2,572 parameters')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def spread(values: Iterable[float]) -> str:
    """The least and the greatest of some numbers.

    >>> spread([0.5, 0.1, 0.3]), spread([0.5])
    ('0.1 – 0.5', '0.5')
    """
    known = list(values)
    finite = [v for v in known if not math.isnan(v)]
    if len(finite) < len(known):
        return "NaN"
    low, high = number(min(known)), number(max(known))
    return low if low == high else f"{low} – {high}"
