"""What a picture shows of a graph: cards, and the links between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from gradgraph.graph import Graph, Step
from gradgraph.node import Vertex

Use = tuple[int, int]  # (output slot of the step that reads, index of the operand)


@dataclass(frozen=True, slots=True)
class Card:
    """One box of the picture.

    Attributes:
        kind: "op"; "fold" (several ops in one card); "input", "constant" or "weight" for a leaf.
        title: its name (not yet cleaned).
        detail: the op and its parameters, or what was folded.
        style: colour group.
        scope: dotted path of the cluster it lies in.
        slots: the graph's slots that it stands for, ascending.
        main: the slot whose op the card is about.
    """

    kind: str
    title: str
    detail: str
    style: str
    scope: str
    slots: tuple[int, ...]
    main: int

    @property
    def id(self) -> int:
        """The slot of its result: stable from run to run."""
        return self.slots[-1]

    @property
    def computes(self) -> bool:
        """Whether there are ops in it."""
        return self.kind in ("op", "fold")


@dataclass(frozen=True, slots=True)
class Link:
    """A connection from one card to another.

    Attributes:
        source, target: ids of the cards that data flow from and to.
        slots: the slots that are read.
        uses: for each of them, who reads it.
    """

    source: int
    target: int
    slots: tuple[int, ...]
    uses: tuple[Use, ...]


@dataclass(frozen=True)
class View:
    """An immutable picture plan: every slot of the graph belongs to exactly one card.

    Attributes:
        graph: what is drawn.
        cards: in the order of their results.
        notes: what was folded, in words.
        marks: a few words about some slots.
        pinned: the slots whose cards stay as they are: neither merged nor folded.
        data: the leaves that were passed to what was run: no parameters, even if they require grad.
        fixed: the leaves that are parameters and do not require grad: frozen ones.
        crowded: leaves that so many cards read that no link is drawn from them.
    """

    graph: Graph
    cards: tuple[Card, ...]
    notes: tuple[str, ...] = ()
    marks: Mapping[int, str] = field(default_factory=dict)
    pinned: frozenset[int] = frozenset()
    data: frozenset[int] = frozenset()
    fixed: frozenset[int] = frozenset()
    crowded: frozenset[int] = frozenset()

    @staticmethod
    def of(
        graph: Graph,
        marks: Mapping[Vertex, str] | None = None,
        data: Iterable[Vertex] = (),
        fixed: Iterable[Vertex] = (),
    ) -> View:
        """One card for each slot; the marked ones are pinned.

        >>> import gradgraph as gg
        >>> x = gg.Tensor([1.0, 2.0], requires_grad=True, name="x")
        >>> view = View.of(gg.Graph.of((x * x).sum()))
        >>> [(card.kind, card.title) for card in view.cards]
        [('input', 'x'), ('op', 'multiply'), ('op', 'sum')]
        >>> [(link.source, link.target) for link in view.links]
        [(0, 1), (0, 1), (1, 2)]
        """
        cards = {step.output: _op_card(step, graph) for step in graph.steps}
        roles = {
            slot: arg
            for step in graph.steps
            for slot, arg in zip(step.inputs, step.op.args, strict=False)
            if arg in step.op.constant
        }
        for slot in range(len(graph.vertices)):
            if slot not in cards:
                cards[slot] = _leaf_card(slot, graph, roles.get(slot, "data"))
        told = {i: marks[v] for i, v in enumerate(graph.vertices) if v in marks} if marks else {}
        for slot in told:
            if cards[slot].kind == "constant":  # a pill has no room for words
                cards[slot] = replace(cards[slot], kind="input", detail="input")
        ordered = tuple(cards[slot] for slot in sorted(cards))
        place = {v: i for i, v in enumerate(graph.vertices)}
        given, kept = (frozenset(place[v] for v in vs if v in place) for vs in (data, fixed))
        return View(graph, ordered, marks=told, pinned=frozenset(told), data=given, fixed=kept)

    def with_cards(self, new: Sequence[Card], note: str = "") -> View:
        """The view in which these cards replace all cards whose slots they stand for."""
        if not new and not note:
            return self
        taken = {slot for card in new for slot in card.slots}
        kept = [card for card in self.cards if card.id not in taken]
        cards = sorted([*kept, *new], key=lambda card: card.id)
        return replace(self, cards=tuple(cards), notes=(*self.notes, note) if note else self.notes)

    @cached_property
    def steps(self) -> dict[int, Step]:
        """The step that writes each slot."""
        return {step.output: step for step in self.graph.steps}

    @cached_property
    def owner(self) -> dict[int, Card]:
        """The card of each slot."""
        return {slot: card for card in self.cards for slot in card.slots}

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """Connections between different cards; those of a folded card are bundled."""
        owner = self.owner
        found: dict[tuple[int, ...], list[tuple[int, Use]]] = {}
        for step in self.graph.steps:
            target = owner[step.output]
            for i, slot in enumerate(step.inputs):
                source = owner[slot]
                if source is not target and slot not in self.crowded:
                    key: tuple[int, ...] = (source.id, target.id)
                    if "fold" not in (source.kind, target.kind):
                        key = (*key, step.output, i)
                    found.setdefault(key, []).append((slot, (step.output, i)))
        return tuple(
            Link(key[0], key[1], *zip(*reads, strict=True)) for key, reads in found.items()
        )

    def words(self, card: Card) -> list[str]:
        """The marks of the slots that a card stands for."""
        return [self.marks[slot] for slot in card.slots if slot in self.marks]

    def is_pinned(self, card: Card) -> bool:
        """Whether the card must stay as it is."""
        return not self.pinned.isdisjoint(card.slots)

    def parameters(self, card: Card) -> list[int]:
        """The slots of the leaves inside a card that computes (or the leaf that it is)."""
        if card.kind == "weight":
            return [card.main]
        if not card.computes:
            return []
        return [s for s in card.slots if s not in self.steps and self.is_parameter(s)]

    def is_parameter(self, slot: int) -> bool:
        """Whether a leaf is a parameter: it requires grad or is frozen, or has a dotted name."""
        vertex, name = self.graph.vertices[slot], self.graph.names[slot] or ""
        return slot not in self.data and (vertex.requires_grad or slot in self.fixed or "." in name)

    def weigh(self, cards: Iterable[Card]) -> int:
        """How many numbers the parameters of these cards hold."""
        return sum(self.graph.specs[s].size for card in cards for s in self.parameters(card))

    def flops(self, cards: Iterable[Card]) -> int:
        """How many floating point operations the ops of these cards are."""
        steps = (self.steps[s] for card in cards for s in card.slots if s in self.steps)
        return sum(map(self.graph.cost, steps))


def _op_card(step: Step, graph: Graph) -> Card:
    name = graph.names[step.output] or step.op.name
    label = step.op.label()
    words = [step.op.name] if name != step.op.name else []
    return Card(
        kind="op",
        title=name,
        detail=" ".join([*words, label] if label else words),
        style=step.op.style,
        scope=".".join(part for part in step.scope.split(".") if part),
        slots=(step.output,),
        main=step.output,
    )


def _leaf_card(slot: int, graph: Graph, role: str) -> Card:
    spec, name = graph.specs[slot], graph.names[slot]
    small = not name and spec.size == 1 and not graph.vertices[slot].requires_grad
    return Card(
        kind="constant" if small else "input",
        title=name or role,
        detail="" if small else "input",
        style="leaf",
        scope="",
        slots=(slot,),
        main=slot,
    )
