"""`python -m gradgraph check module:function`."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from contextlib import redirect_stdout
from typing import Any

from ..errors import DomainError, GradgraphError
from ..locate import locate, member, shape
from ..op import Op
from .case import CannotCheck
from .checks import check, check_op
from .report import WrongGradient
from .strategies import tensors


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "target",
        help="what to check: module:function or file.py:function (a function of tensors, a test"
        " made by given_gradients, an Op class, or with --vjp/--jvp a numpy function)",
    )
    parser.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="2x3",
        help="shape of the next argument (scalar for none); by default shapes are guessed",
    )
    parser.add_argument("--vjp", metavar="NAME", help="hand-written vjp in the same module")
    parser.add_argument("--jvp", metavar="NAME", help="hand-written jvp in the same module")
    parser.add_argument("--order", type=int, choices=(1, 2), default=2, help="of derivatives")
    parser.add_argument("--examples", type=_count, help="how many inputs to try")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing (default 0)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Check; returns 0 if the laws hold, 1 if one breaks, 2 if nothing can be said."""
    try:
        with redirect_stdout(sys.stderr):  # what the function prints is no part of the result
            result = _check(args)
    except WrongGradient as error:
        return _say(_as_dict(error) if args.json else error, 1)
    except (CannotCheck, GradgraphError, MemoryError) as error:
        problem = str(error) or type(error).__name__
        if args.json:
            return _say({"verdict": "cannot check", "problem": problem}, 2)
        print(problem, file=sys.stderr)
        return 2
    return _say(result.as_dict() if args.json else result, 0)


def _say(result: Any, code: int) -> int:
    """Print a result, a dict as JSON; nobody has to read it to its end."""
    try:
        print(json.dumps(_plain(result), indent=2) if isinstance(result, dict) else result)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _plain(value: Any) -> Any:
    """JSON has no word for NaN and infinity: strings stand for them."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _check(args: argparse.Namespace) -> Any:
    try:
        module, target = locate(args.target)
        rules = {
            kind: member(module, name, args.target)
            for kind, name in (("vjp", args.vjp), ("jvp", args.jvp))
            if name
        }
        inputs = [tensors(shape(text)) for text in args.shape]
    except DomainError as error:
        raise CannotCheck(error.op, error.problem, error.fix) from error
    options: dict[str, Any] = {"order": args.order, "seed": args.seed}
    if args.examples is not None:
        options["examples"] = args.examples
    if isinstance(target, type) and issubclass(target, Op):
        return check_op(target, **options)
    return check(target, *inputs, **rules, **options)


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no int ≥ 1")
    return int(text)


def _as_dict(error: WrongGradient) -> dict[str, Any]:
    entries = [{"what": e.what, "expected": e.expected, "got": e.got} for e in error.entries]
    return {
        **error.report.as_dict(),
        "law": error.law,
        "problem": error.problem,
        "input": error.input,
        "entries": entries,
        "culprit": error.culprit,
        "picture": error.picture,
        "reproducer": error.reproducer,
    }
