"""The long run: every op at thousands of inputs, every fault, every mutant, blame on programs.

    python -m tests.verify run docs/verification --examples 5000 --shard 1/2
    python -m tests.verify table docs/verification > docs/verification.md

The work is cut into tasks. A shard does every n-th and writes one line of JSON for each; started
again, it goes on after the last line. `table` prints what all shards of a folder found.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import gradgraph as gg
from gradgraph.testing.case import CannotCheck
from gradgraph.testing.checks import search_op
from gradgraph.testing.laws import LAWS
from tests.blamed import first_blamed
from tests.faults import FAULTS, HISTORICAL
from tests.planted import all_mutants, equivalent, noticed

OPS = sorted(name for name, cls in gg.Op.registry.items() if cls.trusted and name != "part")
SEEDS = (0, 1, 2)
CHUNK = 20  # faults, mutants or programs per task
FAULT_EXAMPLES, MUTANT_EXAMPLES = 300, 200
PROGRAMS = 400

INTRODUCTION = """\
Every op is held to every law of `gradgraph.testing`; then rules are made wrong on purpose, one at a
time, to see that the laws notice. This is the long run, done once for a release; each CI run does a
part of it. Made by"""

OF_LAWS = """\
The worst error is in eps (2.2e-16) of the sum of the absolute terms that a number is made of. The
laws that compare with differences bring their own estimate of the error instead."""

Task = Callable[[], dict[str, Any]]


def tasks(examples: int) -> Iterator[tuple[str, Task]]:
    """(name, work) for everything there is to do."""
    first, *later = SEEDS
    yield from _of_ops(first, examples)
    planted = [*FAULTS, *HISTORICAL]
    for i in range(0, len(planted), CHUNK):
        part = planted[i : i + CHUNK]
        yield f"planted {i}", lambda part=part: of_faults(part, FAULT_EXAMPLES)
    mechanical = all_mutants()
    for i in range(0, len(mechanical), CHUNK):
        part = mechanical[i : i + CHUNK]
        yield f"mutants {i}", lambda part=part: of_faults(part, MUTANT_EXAMPLES)
    for i in range(0, PROGRAMS, CHUNK):
        yield f"blame {i}", lambda i=i: of_programs(range(i, i + CHUNK))
    for seed in later:
        yield from _of_ops(seed, examples)


def _of_ops(seed: int, examples: int) -> Iterator[tuple[str, Task]]:
    for op in OPS:
        yield f"op {op} seed {seed}", lambda op=op: of_op(op, seed, examples)


def of_op(name: str, seed: int, examples: int) -> dict[str, Any]:
    """Hold an op to the laws at inputs that its sample draws."""
    result = search_op(gg.Op.registry[name], examples, seed)
    alarm = ""
    if result.found is not None:
        trial, broken = result.found
        alarm = f"{broken} at {trial.case.describe()}"
    return {
        "op": name,
        "seed": seed,
        "examples": result.examples,
        "outside": result.outside,
        "alarm": alarm,
        **vars(result.tally),
    }


def of_faults(faults: Any, examples: int) -> dict[str, Any]:
    """Plant faults one at a time; those that nothing notices are told."""
    same = [f.name for f in faults if not hasattr(f, "target") and equivalent(f)]
    live = [f for f in faults if f.name not in same]
    missed = []
    for f in live:
        try:
            if not noticed(f, examples):
                missed.append(f.name)
        except CannotCheck:
            pass  # refused, which is noticed, too
    historical = sum(1 for f in live if getattr(f, "source", ""))
    return {"live": len(live), "missed": missed, "equivalent": same, "historical": historical}


def of_programs(seeds: range) -> dict[str, Any]:
    """Spoil a vertex of random programs; how often `blame` names it first, and others too."""
    found = [first_blamed(seed) for seed in seeds]
    return {
        "programs": len(found),
        "first": sum(blamed[:1] == [wrong] for wrong, blamed in found),
        "others": sum(name != wrong for wrong, blamed in found for name in blamed),
    }


def run(folder: Path, examples: int, shard: int, of: int) -> None:
    """Do every task of a shard that is not yet done, by whichever shard."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{shard}-of-{of}.jsonl"
    done = {line["task"] for held in folder.glob("*.jsonl") for line in _lines(held)}
    asked = ("git", "describe", "--always", "--dirty", "--exclude=*")
    commit = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    with path.open("a") as file:
        for name, work in list(tasks(examples))[shard - 1 :: of]:
            if name in done:
                continue
            start = time.perf_counter()
            line = {
                "task": name,
                **work(),
                "seconds": time.perf_counter() - start,
                "commit": commit,
            }
            file.write(json.dumps(line) + "\n")
            file.flush()
            print(f"{line['seconds']:6.1f} s  {name}", flush=True)


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


def table(folder: Path) -> str:
    """What the shards of a folder found, as Markdown."""
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in _lines(path)]
    ops = [line for line in lines if "op" in line]
    by_hand = [line for line in lines if line["task"].startswith("planted")]
    mechanical = [line for line in lines if line["task"].startswith("mutants")]
    blamed = [line for line in lines if "programs" in line]
    names = sorted({line["op"] for line in ops})
    compared = sum(line["compared"] for line in ops)
    unclear = sum(line["unclear"] for line in ops)
    alarms = [f"{a['op']}, seed {a['seed']}: {a['alarm']}" for a in ops if a["alarm"]]
    historical = sum(line["historical"] for line in by_hand)
    programs, first, others = (sum(b[k] for b in blamed) for k in ("programs", "first", "others"))
    every = len(list(tasks(1)))
    summary = [
        ("done of this run", f"{len({line['task'] for line in lines})} of {every} tasks"),
        ("ops covered of ops registered", f"{len(names)} of {len(OPS)}"),
        ("made by commits", ", ".join(sorted({line["commit"] for line in lines}))),
        ("examples", f"{sum(line['examples'] for line in ops):,} (seeds {_seeds(ops)})"),
        ("false alarms on right rules", str(len(alarms))),
        ("comparisons with differences", f"{compared:,}"),
        ("undecided", f"{unclear / max(1, compared):.3%}"),
        ("comparisons at a kink", f"{sum(line['kinks'] for line in ops):,}"),
        ("faults planted by hand, caught", _caught(by_hand)),
        ("of them bugs that other engines had", str(historical)),
        ("mechanical mutants, caught", _caught(mechanical)),
        ("mutants that compute the same", str(sum(len(m["equivalent"]) for m in mechanical))),
        ("blame names the wrong vertex first", f"{first} of {programs} random programs"),
        ("right vertices that blame suspects", str(others)),
        ("time of all shards together", f"{sum(line['seconds'] for line in lines) / 60:.0f} min"),
    ]
    each = max((line["examples"] for line in ops), default=0)
    text = [
        "# The verifier, verified",
        "",
        INTRODUCTION,
        "",
        "```sh",
        f"python -m tests.verify run docs/verification --examples {each} --shard 1/2  # and 2/2",
        "python -m tests.verify table docs/verification > docs/verification.md",
        "```",
        "",
        f"with Python {platform.python_version()}, numpy {np.__version__}, {os.cpu_count()} cores.",
        "",
        "| what | found |",
        "|---|---|",
        *(f"| {k} | {v} |" for k, v in summary),
        "",
        "## By law",
        "",
        OF_LAWS,
        "",
        "| law | says | held | worst |",
        "|---|---|---:|---:|",
        *(_of_law(law, ops) for law in LAWS),
        "",
        "## By op",
        "",
        "| op | examples | undecided | kinks | worst | seconds |",
        "|---|---:|---:|---:|---:|---:|",
        *(_of_name(name, [line for line in ops if line["op"] == name]) for name in names),
    ]
    missed = [name for line in (*by_hand, *mechanical) for name in line["missed"]]
    same = [name for line in mechanical for name in line["equivalent"]]
    text += ["", "## What was not caught", "", *([f"- {m}" for m in missed] or ["Nothing."])]
    text += ["", "## False alarms", "", *([f"- {a}" for a in alarms] or ["None."])]
    text += ["", "## Mutants that compute the same", ""]
    text += [f"- `{name}`: {equivalent_reason(name)}" for name in same]
    return "\n".join(text) + "\n"


def equivalent_reason(name: str) -> str:
    """Why a mutant cannot be told from the rule that it was made of."""
    return next(equivalent(m) for m in all_mutants() if m.name == name)


def _seeds(ops: list[dict[str, Any]]) -> str:
    return ", ".join(map(str, sorted({line["seed"] for line in ops})))


def _caught(lines: list[dict[str, Any]]) -> str:
    live = sum(line["live"] for line in lines)
    return f"{live - sum(len(line['missed']) for line in lines)} of {live}"


def _of_law(law: str, ops: list[dict[str, Any]]) -> str:
    held = sum(line["held"].get(law, 0) for line in ops)
    worst = max((line["worst"].get(law, 0.0) for line in ops), default=0.0)
    return f"| {law} | {LAWS[law]} | {held:,} | {f'{worst:.3g}' if worst else ''} |"


def _of_name(name: str, lines: list[dict[str, Any]]) -> str:
    examples, unclear, compared, kinks, seconds = (
        sum(line[k] for line in lines)
        for k in ("examples", "unclear", "compared", "kinks", "seconds")
    )
    worst = max((e for line in lines for e in line["worst"].values()), default=0.0)
    share = f"{unclear / compared:.2%}" if compared else ""
    return f"| {name} | {examples:,} | {share} | {kinks:,} | {worst:.3g} | {seconds:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.verify", description=__doc__)
    parser.add_argument("what", choices=("run", "table"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--examples", type=int, default=5_000, help="inputs per op and seed")
    parser.add_argument("--shard", default="1/1", help="which part of the work, e.g. 2/4")
    options = parser.parse_args()
    if options.what == "table":
        print(table(options.folder), end="")
        return
    shard, of = map(int, options.shard.split("/"))
    if not 1 <= shard <= of:
        parser.error(f"--shard {options.shard}: write 1/4, 2/4, … 4/4")
    run(options.folder, options.examples, shard, of)


if __name__ == "__main__":
    main()
