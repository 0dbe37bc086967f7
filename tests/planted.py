"""Whether a planted fault is noticed, and which mechanical mutants are not."""

from __future__ import annotations

import contextlib
import io
from importlib import import_module

import pytest

import gradgraph as gg
from gradgraph.draw import Draw
from gradgraph.testing import CannotCheck
from gradgraph.testing.case import FunctionCase
from gradgraph.testing.checks import search_op
from gradgraph.testing.laws import Broken, examine
from gradgraph.testing.mutants import Fault, Mutant, mutants
from gradgraph.testing.programs import Program
from tests.survivors import EQUIVALENT, NOTICED_BY

OPS = [cls for name, cls in sorted(gg.Op.registry.items()) if name != "part" and cls.trusted]


def all_mutants() -> list[Mutant]:
    """The mechanical mutants of every rule of every op of the engine."""
    return mutants(*OPS)


def noticed(fault: Fault | Mutant, examples: int, seed: int = 0) -> str:
    """What notices the fault while it is planted: an op's check, or a test; empty if nothing does.

    Args:
        fault: what is planted.
        examples: how many inputs each check may try.
        seed: of the drawing.
    """
    if isinstance(fault, Mutant):
        test = NOTICED_BY.get(fault.where)
        wanted = (*fault.ops, test) if test else fault.ops
    else:
        wanted = fault.ops or (fault.owner,)
    for test in wanted:  # a fault must not break the making of the test's own ops
        if test.startswith("test:"):
            import_module(test.removeprefix("test:").partition(".py")[0].replace("/", "."))
    with fault.planted():
        return next((name for name in wanted if _fails(name, examples, seed)), "")


def _fails(name: str, examples: int, seed: int) -> bool:
    if name.startswith("test:"):
        return _test_fails(name.removeprefix("test:"))
    if name == "programs":
        return any(_program_breaks(seed + k) for k in range(examples))
    try:
        return search_op(gg.Op.registry[name], examples, seed).found is not None
    except (CannotCheck, RuntimeError):  # errors about gradients and writes are of this kind
        return True  # the op no longer accepts its own samples


def _program_breaks(seed: int) -> bool:
    program = Program.drawn(Draw.seeded(seed))
    try:
        examine(FunctionCase(program, program.inputs), seed)
    except (Broken, gg.GradgraphError):
        return True
    return False


def _test_fails(node: str) -> bool:
    quiet = ("pytest.PytestAssertRewriteWarning", "hypothesis.errors.HypothesisSideeffectWarning")
    options = ["-qx", "-p", "no:cacheprovider", *(f"-Wignore::{name}" for name in quiet)]
    words = io.StringIO()
    with contextlib.redirect_stdout(words), contextlib.redirect_stderr(words):
        code = pytest.main([*options, node])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"{node} did not run: {words.getvalue()[-1000:]}")
    return code == pytest.ExitCode.TESTS_FAILED


def equivalent(mutant: Mutant) -> str:
    """Why a mutant computes the same; empty if it does not."""
    return EQUIVALENT.get(mutant.name, "")
