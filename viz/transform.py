"""From one card per vertex to a picture that can be read: merge, name, place, and fold.

Each transform takes a view and gives a view. None of them recurses, and each looks at every card
a fixed number of times, so that a chain of a million ops is folded as calmly as one of ten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, takewhile

from gradgraph.graph import Step
from gradgraph.op import Part
from gradgraph.ops.arithmetic import Add

from .text import count
from .view import Card, View

BUDGET = 150
CROWD = 12  # readers of a leaf to which links can still be followed


def readable(view: View, budget: int = BUDGET, closed: Sequence[str] = ()) -> View:
    """All transforms, in the order in which they help each other; `closed` scopes collapse."""
    for transform in (merge_bias, merge_parts, tuck_parameters):
        view = transform(view)
    view = collapse(split_calls(view), closed)
    view = fold(place_leaves(name_by_scope(view)), budget)
    return spare_links(view)


def merge_bias(view: View) -> View:
    """A linear op and the addition of its bias become one card, unless one of them is pinned."""
    uses = Counter(slot for step in view.graph.steps for slot in step.inputs)
    kept = set(view.graph.outputs)
    merged = []
    for step in view.graph.steps:
        if not isinstance(step.op, Add) or step.output in view.pinned:
            continue
        for slot, bias in (step.inputs, step.inputs[::-1]):
            maker = view.steps.get(slot)
            if (
                maker is not None
                and maker.op.style == "linear"
                and maker.scope == step.scope
                and uses[slot] == 1
                and slot not in kept
                and view.pinned.isdisjoint((slot, bias))
                and bias not in view.steps
                and view.is_parameter(bias)
            ):
                card = view.owner[slot]
                title = view.graph.names[step.output] or card.title
                merged.append(replace(card, title=title, slots=(slot, step.output)))
                break
    return view.with_cards(merged)


def merge_parts(view: View) -> View:
    """An op with several outputs and the vertices that read them become one card."""
    parts: dict[int, list[int]] = {}
    for step in view.graph.steps:
        if isinstance(step.op, Part) and step.output not in view.pinned:
            parts.setdefault(step.inputs[0], []).append(step.output)
    merged = []
    for slot, read in parts.items():
        card = view.owner[slot]
        if card.computes:
            merged.append(replace(card, slots=tuple(sorted((*card.slots, *read)))))
    return view.with_cards(merged)


def tuck_parameters(view: View) -> View:
    """A parameter moves into the card that reads it; one that several share gets its own."""
    readers: dict[int, dict[int, bool]] = {}  # slot: {card: whether it reads it as a parameter}
    for step in view.graph.steps:
        card = view.owner[step.output]
        for i, slot in enumerate(step.inputs):
            if slot in view.pinned:
                continue
            if slot not in view.steps and view.is_parameter(slot):
                dotted = "." in (view.graph.names[slot] or "")
                bias = len(card.slots) > 1 and step.output != card.main
                weight = (step.op.style == "linear" and i > 0) or _held(view, step, slot)
                known = readers.setdefault(slot, {})
                known[card.id] = known.get(card.id, False) or dotted or bias or weight
    into: dict[int, list[int]] = {}
    new = []
    for slot, cards in readers.items():
        if not all(cards.values()):
            continue
        if len(cards) == 1:
            into.setdefault(next(iter(cards)), []).append(slot)
        else:
            new.append(replace(view.owner[slot], kind="weight", detail="shared parameter"))
    for id_, slots in into.items():
        card = view.owner[id_]
        new.append(replace(card, slots=tuple(sorted((*card.slots, *slots)))))
    return view.with_cards(new)


def _held(view: View, step: Step, slot: int) -> bool:
    """Whether a module may hold the leaf: in a scope, it meets an operand that is no such leaf."""
    others = (other for other in step.inputs if other != slot)
    return bool(step.scope) and any(
        other in view.steps or not view.is_parameter(other) for other in others
    )


def split_calls(view: View) -> View:
    """A scope that is left and entered again is another one each time: `cell`, `cell (2)`, …

    >>> import gradgraph as gg
    >>> y = gg.Tensor(1.0, requires_grad=True, name="x")
    >>> for _ in range(2):
    ...     with gg.scope("cell"):
    ...         y = gg.sin(gg.cos(y))
    ...     y = y * 2.0
    >>> view = split_calls(View.of(gg.Graph.of(y)))
    >>> [card.scope for card in view.cards if card.computes]
    ['cell', 'cell', '', 'cell (2)', 'cell (2)', '']
    """
    last: dict[str, int] = {}
    modes: dict[str, object] = {}
    calls: Counter[str] = Counter()
    new = []
    for i, card in enumerate(card for card in view.cards if card.computes):
        path = ""
        parts = [part for part in card.scope.split(".") if part]
        for depth, part in enumerate(parts, 1):
            key = f"{path}.{part}" if path else part
            mode = _opened(view, card) if depth == len(parts) else None
            again = mode is not None and modes.setdefault(key, mode) is not mode
            calls[key] += again or last.get(key) != i - 1
            last[key] = i
            if mode is not None:
                modes[key] = mode
            path = f"{key} ({calls[key]})" if calls[key] > 1 else key
        if path != card.scope:
            new.append(replace(card, scope=path))
    return view.with_cards(new) if new else view


def _opened(view: View, card: Card) -> object:
    """What is the same for all ops of one `with gg.scope`; None where that cannot be told."""
    vertex = view.graph.vertices[card.main]
    return None if vertex.origin or vertex.line else vertex._mode


def name_by_scope(view: View) -> View:
    """A scope that holds a single card is no cluster: the card takes its name."""
    held = Counter(p for card in view.cards if card.computes for p in paths(card.scope))
    named = []
    for card in view.cards:
        if card.computes and card.scope and held[card.scope] == 1:
            parent, _, last = card.scope.rpartition(".")
            op = view.steps[card.main].op.name
            detail = f"{op} {card.detail}" if card.title == op else card.detail
            titled = last if card.title == op else card.title
            if titled.isdecimal():  # a place in a sequence says little
                titled, detail = f"{titled} · {op}", card.detail
            named.append(replace(card, title=titled, detail=detail.strip(), scope=parent))
    return view.with_cards(named)


def place_leaves(view: View) -> View:
    """Constants and shared weights lie in the innermost scope that all their readers share."""
    readers: dict[int, list[str]] = {}
    for step in view.graph.steps:
        for slot in step.inputs:
            if view.owner[slot].kind in ("constant", "weight"):
                readers.setdefault(slot, []).append(view.owner[step.output].scope)
    return view.with_cards(
        [replace(view.owner[slot], scope=_common(paths)) for slot, paths in readers.items()]
    )


def spare_links(view: View) -> View:
    """Weights that very many cards read, like those of an unrolled network, keep their card
    and lose their links; the heading says so."""
    readers: dict[int, set[int]] = {}
    for link in view.links:
        for slot in link.slots:
            if view.owner[slot].kind == "weight":
                readers.setdefault(slot, set()).add(link.target)
    crowded = frozenset(slot for slot, ids in readers.items() if len(ids) > CROWD)
    return replace(view, crowded=crowded)


def fold(view: View, budget: int = BUDGET) -> View:
    """At most `budget` cards: the deepest scopes collapse first, then rows of cards fold.

    The view's notes say what was folded. Pinned cards stay, unless they are too many: each may
    cut what would be one card in two.
    """
    if len(view.cards) <= budget:
        return view
    if 3 * len(view.pinned) > budget:
        view = replace(view, pinned=frozenset())
    view = _tuck_constants(view)
    while True:
        for attempt in (_fold_equal, _collapse_deepest):
            if len(view.cards) <= budget:
                return view
            before, view = view, attempt(view)
        if view is before:
            break
    for last in (_fold_chains, lambda view: _fold_stretches(view, budget)):
        if len(view.cards) > budget:
            view = last(view)
    return view


def collapse(view: View, scopes: Sequence[str]) -> View:
    """The view in which each of these scopes is one card for each time that it is entered (or
    several around pinned ones)."""
    for scope in scopes:
        calls: dict[str, list[Card]] = {}
        for card in view.cards:
            deep = _depth(card.scope) >= _depth(scope)  # else a collapsed scope around it has it
            if card.computes and deep and f"{_entered(view, card)}.".startswith(f"{scope}."):
                calls.setdefault(".".join(card.scope.split(".")[: _depth(scope)]), []).append(card)
        new = []
        for path, inside in calls.items():
            parent, _, last = path.rpartition(".")
            for part in _between(view, inside):
                kept = _with_parameters(view, part)
                new.append(_folded(view, kept, last, _content(view, part), parent))
        view = view.with_cards(new)
    return view


def _entered(view: View, card: Card) -> str:
    """The scope of a card as the user named it."""
    return ".".join(part for part in view.steps[card.main].scope.split(".") if part)


def _with_parameters(view: View, cards: Sequence[Card]) -> list[Card]:
    """The cards, and the parameters and constants that nobody else reads."""
    ids = {card.id for card in cards}
    readers: dict[int, set[int]] = {}
    for step in view.graph.steps:
        for slot in step.inputs:
            readers.setdefault(slot, set()).add(view.owner[step.output].id)
    own = [
        card
        for card in view.cards
        if not card.computes
        and readers.get(card.main, set()) <= ids
        and card.main in readers
        and card.kind in ("constant", "weight")
        and not view.is_pinned(card)
    ]
    return [*cards, *own]


def _tuck_constants(view: View) -> View:
    """Unnamed leaves that one card reads move into it."""
    owner = view.owner
    targets: dict[int, set[int]] = {}
    for step in view.graph.steps:
        for slot in step.inputs:
            if slot not in view.steps:
                targets.setdefault(slot, set()).add(owner[step.output].id)
    into: dict[int, list[int]] = {}
    for card in view.cards:
        if view.is_pinned(card):
            continue
        if not card.computes and view.graph.names[card.main] is None:
            readers = targets.get(card.main, set())
            if len(readers) == 1:
                into.setdefault(readers.pop(), []).append(card.main)
    new = []
    for id_, slots in into.items():
        card = view.owner[id_]
        new.append(replace(card, slots=tuple(sorted((*card.slots, *slots)))))
    total = sum(map(len, into.values()))
    return view.with_cards(
        new, f"{count(total, 'unnamed tensor')} tucked into cards" if new else ""
    )


def _collapse_deepest(view: View) -> View:
    """Each of the deepest scopes becomes one card; the same view if there is no scope."""
    depth = max((_depth(card.scope) for card in view.cards if not view.is_pinned(card)), default=0)
    if not depth:
        return view
    inside: dict[str, list[Card]] = {}
    for card in view.cards:
        if _depth(card.scope) == depth:
            inside.setdefault(card.scope, []).append(card)
    new = []
    for path, cards in inside.items():
        parent, _, last = path.rpartition(".")
        for part in _between(view, cards):
            new.append(_folded(view, part, last, _content(view, part), parent))
    return view.with_cards(new, f"{count(len(inside), 'scope')} at depth {depth} collapsed")


def _fold_equal(view: View) -> View:
    """Equal cards in a row become one card, ×n."""
    new = []
    saved = 0
    for row in _rows(view):
        for _, same in groupby(row, key=lambda card: _signature(view, card)):
            cards = list(same)
            if len(cards) > 1:
                first, last = cards[0].title, cards[-1].title
                title = first if first == last else f"{first} … {last}"
                inner = cards[0].detail or cards[0].title
                new.append(_folded(view, cards, title, f"×{len(cards):,} {inner}", cards[0].scope))
                saved += len(cards)
    note = f"{count(saved, 'equal card')} in a row folded into {len(new):,}" if new else ""
    return view.with_cards(new, note) if new else view


def _fold_chains(view: View) -> View:
    """Each row of cards becomes one card."""
    rows = [row for row in _rows(view) if len(row) > 1]
    new = [
        _folded(view, row, count(_ops(view, row), "op"), _content(view, row), row[0].scope)
        for row in rows
    ]
    return view.with_cards(new, f"{count(len(new), 'chain')} of ops folded") if new else view


def _fold_stretches(view: View, budget: int) -> View:
    """Cut the order of computation into equal stretches.

    Far fewer than the budget, because links between distant stretches slow the layout down.
    """
    size = -(-len(view.cards) // -(-budget // 3))
    new = []
    for start in range(0, len(view.cards), size):
        for cards in _between(view, view.cards[start : start + size]):
            scope = _common([card.scope for card in cards])
            ops = _ops(view, cards)
            title = count(ops, "op") if ops else count(len(cards), "tensor")
            new.append(_folded(view, cards, title, _content(view, cards), scope))
    folded = count(sum(not view.is_pinned(card) for card in view.cards), "card")
    return view.with_cards(new, f"{folded} folded by order of computation")


def _between(view: View, cards: Sequence[Card]) -> list[list[Card]]:
    """The stretches of cards between the pinned ones: folded, they stay before and after those."""
    if not view.pinned:
        return [list(cards)] if cards else []
    return [list(part) for pinned, part in groupby(cards, key=view.is_pinned) if not pinned]


def _rows(view: View) -> list[list[Card]]:
    """Rows of cards of one scope, each read by the next and by nothing else; none is pinned."""
    after: dict[int, set[int]] = {}
    before: dict[int, set[int]] = {}
    for link in view.links:
        if view.owner[link.source].computes:
            after.setdefault(link.source, set()).add(link.target)
            before.setdefault(link.target, set()).add(link.source)
    follower: dict[int, Card] = {}
    followers: set[int] = set()
    for id_, targets in after.items():
        if len(targets) == 1:
            (target,) = targets
            if len(before[target]) == 1:
                a, b = view.owner[id_], view.owner[target]
                if a.scope == b.scope:
                    follower[id_] = b
                    followers.add(target)
    rows = []
    for card in view.cards:
        if card.computes and card.id not in followers:
            row = [card]
            while row[-1].id in follower:
                row.append(follower[row[-1].id])
            rows += _between(view, row)
    return rows


def _folded(view: View, cards: Sequence[Card], title: str, detail: str, scope: str) -> Card:
    slots = tuple(sorted(slot for card in cards for slot in card.slots))
    main = max((card.main for card in cards if card.computes), default=slots[-1])
    styles = {card.style for card in cards if card.computes}
    style = styles.pop() if len(styles) == 1 else "other"
    return Card("fold", title, detail, style, scope, slots, main)


def _signature(view: View, card: Card) -> tuple[object, ...]:
    """Equal for cards that compute the same thing on the same shapes."""
    return tuple(
        (view.steps[s].op if s in view.steps else None, view.graph.specs[s]) for s in card.slots
    )


def _ops(view: View, cards: Sequence[Card]) -> int:
    return sum(slot in view.steps for card in cards for slot in card.slots)


def _content(view: View, cards: Sequence[Card]) -> str:
    """The most frequent ops of some cards, in words."""
    names = Counter(view.steps[s].op.name for card in cards for s in card.slots if s in view.steps)
    top = [f"{name} ×{n:,}" if n > 1 else name for name, n in names.most_common(3)]
    return ", ".join([*top, "…"] if len(names) > 3 else top)


def _depth(scope: str) -> int:
    return scope.count(".") + 1 if scope else 0


def paths(scope: str) -> list[str]:
    """The scopes that a dotted path opens, outermost first.

    >>> paths("net.features.conv1")
    ['net', 'net.features', 'net.features.conv1']
    """
    parts = scope.split(".") if scope else []
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def _common(scopes: Sequence[str]) -> str:
    """The innermost scope around all of these."""
    levels = zip(*(scope.split(".") for scope in scopes), strict=False)
    return ".".join(level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels))
