"""Write docs/ops.md, the page of all ops and public functions, and the drawings beside it.

    pip install -e ".[viz]" && python docs/ops/run.py [--check]

With `--check` nothing is written; it ends with 1 and names the files that differ.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import gradgraph as gg
from gradgraph import viz
from gradgraph.protocol import COMPARISONS, FUNCTIONS, UFUNCS
from gradgraph.spec import brief
from gradgraph.viz import engine

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import choose  # noqa: E402
from compact import compact  # noqa: E402
from names import NAMES  # noqa: E402
from traces import recorded  # noqa: E402

PAGE = HERE.parent / "ops.md"
WIDEST = 60  # characters of a parameter that are shown
LONGEST = 12  # lines of a rule that are shown
DRAWN = range(2, 13)  # steps of a function's graph that is drawn
INTRODUCTION = """\
# Ops and functions

Every op, and every public function that is made of ops. This page is made from the code:

```sh
pip install -e ".[viz]" && python docs/ops/run.py
```

An **op** is a class with rules of its own. Its card below is what the graph records of the sample
that stands above it; unfolded, it is the op's textbook definition on single numbers. `g` is the
cotangent of the result `out`, `t` the tangent of an argument. A **function** that is no op is
composed of ops, and so are its derivatives; which ones it records was read off its own example.
Ops that are listed as "inside" have no public function: rules and other functions apply them.
What the rules do at kinks and ties is collected in [`kinks.md`](kinks.md).
"""

Function = Callable[..., Any]


class Files:
    """What the command makes: texts by path."""

    def __init__(self) -> None:
        self.texts: dict[Path, str] = {}

    def draw(self, name: str, graph: gg.Graph, title: str) -> str:
        """The markdown of a drawing that is put into a file."""
        picture = viz.draw(graph, engine=port(), title=title, budget=choose.MOST)
        self.texts[HERE / f"{name}.svg"] = compact(picture.svg)
        return f'<img src="ops/{name}.svg" alt="{title}">'

    def stale(self) -> list[Path]:
        """The files that are not as they would be written, or should not be there."""
        return sorted(
            path
            for path in {*self.texts, *HERE.glob("*.svg")}
            if path not in self.texts
            or not path.exists()
            or path.read_bytes() != self.texts[path].encode()
        )

    def write(self) -> None:
        """Write what is stale, and remove what belongs to no op any more."""
        for path in self.stale():
            if path in self.texts:
                path.write_bytes(self.texts[path].encode())
            else:
                path.unlink()


@cache
def port() -> str:
    """The engine that pip installs, so that the files are the same everywhere."""
    found = engine.find()
    if Path(found).stem != engine.PORT:
        sys.exit(f'{engine.PORT} is missing: pip install "gradgraph-engine[viz]"')
    return found


def ops() -> list[type[gg.Op]]:
    """Our ops, in the order of their definition."""
    return [cls for cls in gg.Op.registry.values() if cls.trusted]


def functions() -> dict[str, Function]:
    """The public functions of `gradgraph.ops` by name."""
    return {name: getattr(gg.ops, name) for name in gg.ops.__all__}


def missing(page: str) -> list[str]:
    """The ops and functions that have no heading on a page."""
    headings = set(re.findall(r"^### `(\w+)`", page, re.M))
    return sorted(({cls.name for cls in ops()} | functions().keys()) - headings)


def everything() -> Files:
    """The page and its drawings."""
    files = Files()
    graphs = {name: recorded(f) for name, f in functions().items()}
    files.texts[PAGE] = "\n".join(page(files, graphs)) + "\n"
    return files


def page(files: Files, graphs: Mapping[str, gg.Graph | None]) -> Iterator[str]:
    """The lines of the page; draws into `files`."""
    modules = by_module(ops(), functions().values())
    yield INTRODUCTION
    for module, (classes, functions_) in modules.items():
        public = {f.__name__ for f in functions_}
        inside = {cls.name for cls in classes} - functions().keys() - set(gg.__all__)
        public |= {cls.name for cls in classes} & set(gg.__all__)
        groups = [links(public)] * bool(public) + [f"inside: {links(inside)}"] * bool(inside)
        yield f"- [{module}](#module-{module}): {'; '.join(groups)}"
    yield from elsewhere()
    named = {cls.name for cls in ops()}
    for module, (classes, functions_) in modules.items():
        yield f"\n## Module `{module}`\n\n{paragraph(sys.modules[path_of(module)])}"
        for cls in classes:
            yield from op_entry(files, cls, [n for n, g in graphs.items() if only(g) == cls.name])
        for function in functions_:
            if function.__name__ not in named:
                yield from function_entry(files, function, graphs[function.__name__])


def links(names: set[str]) -> str:
    return " ".join(f"[`{name}`](#{name})" for name in sorted(names))


def elsewhere() -> Iterator[str]:
    """The lines that say what is called otherwise than in numpy or PyTorch."""
    yield "\n## From numpy and PyTorch\n"
    same = sorted(name for name in functions() if numpys(name))
    yield (
        "Functions with numpy's name take its arguments, and numpy's function given a tensor"
        f" records them: {', '.join(f'`np.{name}`' for name in same)}; those of `np.linalg` too.\n"
    )
    yield "| elsewhere | here |\n|---|---|"
    for theirs, here in NAMES.items():
        yield f"| {theirs} | {here} |"


def numpys(name: str) -> bool:
    """Whether numpy's function of that name is ours when it gets a tensor."""
    theirs = getattr(np, name, None)
    return theirs in UFUNCS or theirs in FUNCTIONS or theirs in COMPARISONS


def by_module(
    classes: list[type[gg.Op]], others: Any
) -> dict[str, tuple[list[type[gg.Op]], list[Function]]]:
    """Classes and functions by the last part of their module's name; sorted."""
    found: dict[str, tuple[list[Any], list[Any]]] = {}
    for value in (*classes, *others):
        entry = found.setdefault(value.__module__.rpartition(".")[2], ([], []))
        entry[0 if isinstance(value, type) else 1].append(value)
    return {m: (cs, sorted(fs, key=lambda f: f.__name__)) for m, (cs, fs) in sorted(found.items())}


def path_of(module: str) -> str:
    inside = f"gradgraph.ops.{module}"
    return inside if inside in sys.modules else f"gradgraph.{module}"


def only(graph: gg.Graph | None) -> str | None:
    """The op that a graph consists of, if it is one."""
    return graph.steps[0].op.name if graph and len(graph.steps) == 1 else None


def paragraph(thing: Any) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())


def signature(function: Function) -> str:
    """The call of a function, without types."""
    old = inspect.signature(function)
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in old.parameters.values()]
    text = str(old.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    return re.sub(r"<(?:function|class|ufunc) '?([\w.]+)'?[^>]*>", r"\1", function.__name__ + text)


def op_entry(files: Files, cls: type[gg.Op], used_by: list[str]) -> Iterator[str]:
    """The lines about an op."""
    yield f"\n### `{cls.name}`\n\n{paragraph(cls)}\n"
    function = functions().get(cls.name)
    if function is not None:
        yield f"`{signature(function)}`: {paragraph(function)}\n"
    elif used_by:
        yield f"Recorded by {listed(used_by)}.\n"
    else:
        yield "No public function is only this: rules and other functions apply it.\n"
    sample = choose.shown(cls)
    if sample is None:
        yield "Its argument is no array, so there is no sample to draw.\n"
    else:
        yield described(sample) + "\n"
    yield f"```python\n{rules(cls)}\n```\n"
    for kink in cls.kinks:
        yield f"- At {kink.where}: {kink.takes}."
    if cls.kinks:
        yield ""
    if sample is not None:
        yield files.draw(cls.name, sample.graph, cls.name) + "\n"
        yield from in_scalars(files, cls)


def in_scalars(files: Files, cls: type[gg.Op]) -> Iterator[str]:
    """The lines that show an op unfolded."""
    graph = choose.unfolded(cls)
    if isinstance(graph, int):
        yield f"In scalars its smallest sample has {graph} vertices, too many to draw here.\n"
    elif graph is None and len(cls.constant) == len(cls.args):
        yield "Its result has no derivative, so in scalars it is a constant.\n"
    elif graph is None:
        yield "In scalars nothing is recorded: the result is given elements, or constants.\n"
    else:
        image = files.draw(f"{cls.name}_scalars", graph, f"{cls.name} in scalars")
        count = len(graph.vertices)
        yield f"<details><summary>in scalars, {count} vertices</summary>\n\n{image}\n\n</details>\n"


def described(sample: choose.Sample) -> str:
    """The sample in a line."""
    op = sample.op
    fields = ", ".join(f"{k}={shown(getattr(op, k))}" for k in op.fields)
    given = ", ".join(
        f"{name} {argument(a)}"
        for name, a in zip(choose.names(op, len(sample.args)), sample.args, strict=True)
    )
    results = ", ".join(str(spec.dtype) + " " + brief(spec.shape) for spec in sample.specs)
    plural = "" if sample.flops == 1 else "s"
    return f"Sample: `{op.name}({fields})` of {given} → {results}; {sample.flops:,} FLOP{plural}."


def argument(a: Any) -> str:
    return f"{a.dtype} {brief(a.shape)}" if hasattr(a, "dtype") else repr(a)


def shown(value: Any) -> str:
    """A parameter; functions by their names, which are the same in every run."""
    text = value.__name__ if callable(value) else repr(value)
    return text if len(text) <= WIDEST else f"{type(value).__name__}(…)"


def rules(cls: type[gg.Op]) -> str:
    """The rules of every argument, as the class has them."""
    lines = []
    for arg in cls.args:
        if arg in cls.constant:
            lines.append(f"# {arg}: no derivative")
            continue
        lines.append(source(getattr(cls, f"vjp_{arg}")))
        if f"jvp_{arg}" not in cls.derived:
            lines.append(source(getattr(cls, f"jvp_{arg}")))
        elif arg in cls.linear:
            lines.append(f"# jvp_{arg}: linear, the op itself")
        else:
            lines.append(f"# jvp_{arg}: diagonal, the same as vjp_{arg}")
    return "\n".join(lines)


def source(rule: Any) -> str:
    """A rule without its types and its docstring; its head only, if it is long."""
    text = textwrap.dedent(inspect.getsource(rule))
    text = re.sub(r": Any\b| -> Any\b|  # type: ignore.*", "", text)
    lines = re.sub(r'\n\s+"""(?:.|\n)*?"""', "", text, count=1).rstrip().splitlines()
    if len(lines) <= LONGEST:
        return "\n".join(lines)
    return f"{lines[0]}\n    ...  # {len(lines) - 1} lines"


def function_entry(files: Files, function: Function, graph: gg.Graph | None) -> Iterator[str]:
    """The lines about a function that is no op."""
    name = function.__name__
    yield f"\n### `{name}`\n\n`{signature(function)}`: {paragraph(function)}\n"
    if graph is None:
        yield "Its example records no op.\n"
        return
    yield f"Records {listed([step.op.name for step in graph.steps])}.\n"
    if len(graph.steps) in DRAWN:
        yield files.draw(name, graph, name) + "\n"


def listed(names: list[str]) -> str:
    return ", ".join(f"[`{name}`](#{name})" for name in names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, but write nothing")
    check = parser.parse_args().check
    files = everything()
    stale = files.stale()
    if check and stale:
        sys.exit(f"these differ: {', '.join(str(p.relative_to(HERE.parent)) for p in stale)}")
    if not check:
        files.write()
        print(f"{len(stale)} of {len(files.texts)} files were written")


if __name__ == "__main__":
    main()
