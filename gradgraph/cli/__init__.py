"""The command line: `gradgraph COMMAND`, or `python -m gradgraph COMMAND`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ..errors import GradgraphError
from ..testing import command
from ..version import VERSION
from . import bench, demo, draw, report

__all__ = ["COMMANDS", "main"]

COMMANDS = {
    "demo": (
        "teach a LeNet to read handwritten digits, and draw its graph",
        demo.add_arguments,
        demo.run,
    ),
    "draw": (
        "draw the graph of a tensor, a function or a module",
        draw.add_arguments,
        draw.run,
    ),
    "check": (
        "verify the derivatives of a function or an op",
        command.add_arguments,
        command.run,
    ),
    "summary": (
        "say what each layer of a network does, with counts of weights and operations",
        report.add_summary_arguments,
        report.run_summary,
    ),
    "bench": (
        "time training steps and runs of a few networks on this machine",
        bench.add_arguments,
        bench.run,
    ),
    "info": (
        "say what a bug report needs: versions, machine, what computes and what draws",
        report.add_info_arguments,
        report.run_info,
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0, 1 for a failure, 2 for wrong usage, 130 if interrupted.

    Args:
        argv: the arguments; those of the process by default.
    """
    parser = argparse.ArgumentParser(
        prog="gradgraph", description="A computation-graph autodiff engine."
    )
    parser.add_argument("--version", action="version", version=f"gradgraph {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, (words, arguments, run) in COMMANDS.items():
        add = commands.add_parser(name, help=words, description=words.capitalize() + ".")
        arguments(add)
        add.set_defaults(run=run)
    args = parser.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that knows no arrows shows "?"
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (closed by the caller)
    try:
        return int(args.run(args))
    except GradgraphError as error:
        print(f"{error.op}: {error.problem}. {error.fix}", file=sys.stderr)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (whoever read has seen enough)
        return 1
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        print(f"{error.strerror}{where}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 1
