"""Draw the gallery: every picture, and the page that shows them with the code that drew them.

    pip install -e ".[train,viz]" && python docs/gallery/run.py [--check] [name ...]

With `--check` nothing is written; it ends with 1 and names the files that differ.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import gradgraph as gg
from gradgraph import nn, viz

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import nets  # noqa: E402

ENGINE = str(Path(sys.executable).with_name("graphviz-pure"))
INTRODUCTION = """\
# Gallery

Networks, and what `gradgraph.viz` shows of them. The networks are in [`nets.py`](nets.py); `draw`
is `viz.draw`, `gg` is `gradgraph`. Every picture follows dark surroundings, and a card or a line
says what it means when the pointer rests on it. Made by

```sh
pip install -e ".[train,viz]" && python docs/gallery/run.py
```
"""


@dataclass(frozen=True)
class Entry:
    """One picture.

    Attributes:
        make: computes something with `save`; its docstring is what the picture says.
        formats: suffixes of the files it is saved to.
    """

    make: Callable[[], Any]
    formats: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.make.__name__.strip("_")

    @property
    def words(self) -> str:
        return " ".join((self.make.__doc__ or "").split())

    @property
    def code(self) -> str:
        """What the function does, without its head and its docstring."""
        source = textwrap.dedent(inspect.getsource(self.make))
        (function,) = ast.parse(source).body
        assert isinstance(function, ast.FunctionDef)
        lines = source.splitlines()[function.body[1].lineno - 1 :]
        return textwrap.dedent("\n".join(lines)).replace("return ", "")

    def save(self, folder: Path) -> list[Path]:
        """Draw it into a folder; the files."""
        picture = self.make()
        return [picture.save(folder / f"{self.name}{suffix}") for suffix in self.formats]


ENTRIES: dict[str, Entry] = {}


def shown(*formats: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Put what the function draws into the gallery."""

    def add(make: Callable[[], Any]) -> Callable[[], Any]:
        entry = Entry(make, formats)
        ENTRIES[entry.name] = entry
        return make

    return add


def draw(*target: Any, **options: Any) -> viz.Drawing:
    """`viz.draw` with the engine that pip installs, so that the files are the same everywhere."""
    return viz.draw(*target, engine=ENGINE, **options)


@shown(".svg")
def architecture() -> Any:
    """The typical architecture (chapter, section 7.3): images shrink, channels grow, and fully
    connected layers decide."""
    return viz.cuboids(nets.LeNet(), (1, 28, 28, 1), title="LeNet")


@shown(".svg")
def forward() -> Any:
    """A LeNet on 32 digits: what every op makes of its input, with its filters and feature maps."""
    x, _ = nets.digits()
    return draw(nets.LeNet(), x, thumbnails=True, title="LeNet")


@shown(".svg", ".html")
def healthy() -> Any:
    """The gradient of one training step. With good initial weights about as much of it arrives at
    the first filters as leaves the loss."""
    return draw(nets.lenet(), flow=True, thumbnails=True, title="LeNet, healthy")


@shown(".svg")
def vanishing() -> Any:
    """Two sigmoids and small initial weights: each sigmoid lets at most a quarter through, and
    little is left for the filters."""
    loss = nets.lenet(head=nn.Sigmoid, small=0.3)
    return draw(loss, flow=True, thumbnails=True, title="LeNet, vanishing gradient")


@shown(".svg")
def dead() -> Any:
    """Two steps that were ten times too large: most relus are zero for every image, and will stay
    so, because no gradient passes them."""
    return draw(nets.overstepped(), flow=True, thumbnails=True, title="LeNet, dead units")


@shown(".svg")
def diff() -> Any:
    """Before and after sigmoids became relus: how many times as much gradient passes each edge."""
    before = draw(nets.lenet(act=nn.Sigmoid, head=nn.Sigmoid), flow=True, title="sigmoid")
    after = draw(nets.lenet(), flow=True, title="relu")
    return before.diff(after)


@shown(".svg")
def folded() -> Any:
    """A VGG of sixteen layers, folded to 24 cards: each says what is in it, and the least and the
    greatest norm inside."""
    return draw(nets.vgg(), flow=True, budget=24, title="VGG, folded")


@shown(".svg")
def residual() -> Any:
    """Residual blocks: the shortcut brings gradient past the filters, and at each fan-out the card
    lists what every reader sent back."""
    return draw(nets.resnet(), flow=True, title="ResNet, three blocks")


@shown(".svg")
def bottlenecks() -> Any:
    """The 176 ops of a small ResNet-50 in overview: one card for each bottleneck block."""
    loss = nets.resnet50()
    return draw(loss, flow=True, detail="overview", budget=60, title="ResNet-50, in overview")


@shown(".svg")
def unet() -> Any:
    """A U-Net: what was seen on the way down is concatenated to what comes up again."""
    return draw(nets.unet(), flow=True, title="U-Net")


@shown(".svg")
def attention() -> Any:
    """One head of attention: queries meet keys, softmax weighs the values, and the block adds what
    it found to the tokens."""
    return draw(nets.attention(), flow=True, title="Attention")


@shown(".svg", ".html")
def steps() -> Any:
    """The simple CNN of the chapter (section 7.4), step by step, with the actual numbers."""
    inputs = nets.chapter_inputs()
    return gg.playback(nets.chapter, *inputs, title="Section 7.4, step by step")


@shown(".svg", ".html")
def steps_with_pool() -> Any:
    """The same with a max pooling: the gradient goes to the winner of each window, and nowhere
    else."""
    inputs = nets.chapter_inputs(2)
    pooled = partial(nets.chapter, pool=2)
    return gg.playback(pooled, *inputs, title="Section 7.4 with a max pooling")


@shown(".svg")
def scalars() -> Any:
    """A convolution unfolded into scalars: each of its two weights is used at both positions, and
    its gradient is the sum of what comes back from them."""
    signal, weights = np.array([2.0, -1, 3]), np.array([0.5, 1])
    unfolded = gg.scalars(gg.conv, signal.reshape(1, 3, 1), weights.reshape(2, 1, 1))
    for letter, numbers in zip("xw", unfolded.inputs, strict=True):
        for i, number in enumerate(numbers.ravel(), 1):
            number.name = f"{letter}{i}"
    y1, y2 = unfolded.output.ravel()
    return draw(y1 + y2, flow=True, title="A convolution in scalars")


@shown(".svg")
def backward() -> Any:
    """Forward and backward side by side: every op, the rules that its way back applies, what it
    kept for them, and to whom it sends."""
    loss = nets.chapter(*nets.chapter_inputs())
    return draw(loss, backward=True, title="Section 7.4, there and back")


@shown(".svg")
def second_derivative() -> Any:
    """A derivative is a graph too: that of the derivative of the derivative of tanh at 0.5."""
    x = gg.Tensor(0.5, requires_grad=True, name="x")
    return draw(gg.grad(gg.grad(gg.tanh))(x), title="tanh″")


def page() -> Iterator[str]:
    """The lines of the gallery's page."""
    yield INTRODUCTION
    for entry in ENTRIES.values():
        yield f"## {entry.name.replace('_', ' ').capitalize()}\n\n{entry.words}\n"
        yield f"```python\n{entry.code}\n```\n"
        yield f"![{entry.words}]({entry.name}.svg)\n"
        if ".html" in entry.formats:
            yield f"[`{entry.name}.html`]({entry.name}.html) is the same, to play with.\n"


def differing(entry: Entry) -> list[str]:
    """The names of its files that are not as it would draw them."""
    with tempfile.TemporaryDirectory() as folder:
        return [
            file.name
            for file in entry.save(Path(folder))
            if not (HERE / file.name).exists()
            or file.read_bytes() != (HERE / file.name).read_bytes()
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(ENTRIES))
    parser.add_argument("--check", action="store_true", help="compare, but write nothing")
    args = parser.parse_args()
    unknown = set(args.names) - ENTRIES.keys()
    if unknown:
        parser.error(f"no picture is called {', '.join(sorted(unknown))}")
    text, readme = "\n".join(page()), HERE / "README.md"
    different = []
    for name in args.names or ENTRIES:
        start = time.perf_counter()
        if args.check:
            different += differing(ENTRIES[name])
        else:
            ENTRIES[name].save(HERE)
        print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)
    if not args.check:
        readme.write_text(text, encoding="utf-8")
    elif not readme.exists() or readme.read_text(encoding="utf-8") != text:
        different.append(readme.name)
    if different:
        sys.exit(f"these differ: {', '.join(different)}")


if __name__ == "__main__":
    main()
