"""`gradgraph draw`: the picture of a tensor, a function or a module."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..locate import shape
from ..nn import Module
from ..tensor import Tensor
from .arguments import called, located, positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "target",
        help="what to draw: module:name or file.py:name of a tensor, a graph, a module or a"
        " function; a function without --shape is called, and what it returns is drawn",
    )
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("graph.svg"), metavar="FILE",
        help="where to: .svg, .html (interactive), .png or .dot (default graph.svg)",
    )  # fmt: skip
    parser.add_argument(
        "--shape", action="append", default=[], metavar="1x28x28x1",
        help="shape of the next input of a module or function",
    )  # fmt: skip
    parser.add_argument(
        "--flow",
        action="store_true",
        help="draw the gradient's flow too; the target gives one number then, such as a loss",
    )
    parser.add_argument("--backward", action="store_true", help="draw the way back beside it")
    parser.add_argument("--thumbnails", action="store_true", help="small images in the cards")
    parser.add_argument("--detail", choices=("full", "overview"), default="full")
    parser.add_argument("--collapse", action="append", default=[], metavar="SCOPE")
    parser.add_argument("--title")
    parser.add_argument("--budget", type=positive, help="the most cards")


def run(args: argparse.Namespace) -> int:
    """Draw what a module and a name say, into a file."""
    from .. import viz

    target = located(args.target, inputs=bool(args.shape))
    inputs: list[Any] = [shape(text) for text in args.shape]
    made = ""
    if inputs and (args.flow or args.backward):  # a gradient needs values
        rng = np.random.default_rng(0)
        inputs = [np.asarray(called(partial(rng.normal, size=n), "--shape")) for n in inputs]
        made = " on random inputs"
    if callable(target) and not isinstance(target, Module | Tensor) and not inputs:
        target = called(target, args.target)
    budget = {} if args.budget is None else {"budget": args.budget}
    drawing = called(
        partial(viz.draw, target, *inputs),
        args.target,
        flow=args.flow,
        backward=args.backward,
        detail=args.detail,
        collapse=args.collapse,
        thumbnails=args.thumbnails,
        title=args.title or args.target.rpartition(":")[2] + made,
        **budget,
    )
    print(drawing.save(args.out))
    return 0
