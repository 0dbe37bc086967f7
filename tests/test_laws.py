"""Every registered op obeys every law; a new op is covered by being registered.

pytest tests/test_laws.py --examples 1000 --random
"""

from __future__ import annotations

import secrets

import numpy as np
import pytest

import gradgraph as gg
from gradgraph.draw import Draw
from gradgraph.nn import LeNet
from gradgraph.testing import check, check_op
from gradgraph.testing.case import FunctionCase, OpCase
from gradgraph.testing.kinks import declared, gradients
from gradgraph.testing.laws import examine
from gradgraph.testing.programs import Program

OPS = [cls for name, cls in sorted(gg.Op.registry.items()) if name != "part"]


@pytest.fixture
def tries(request):
    """How many inputs to try, and the seed."""
    seed = secrets.randbits(31) if request.config.getoption("--random") else 0
    return {"examples": request.config.getoption("--examples"), "seed": seed}


@pytest.mark.parametrize("cls", OPS, ids=lambda cls: cls.name)
def test_op(cls, tries):
    report = check_op(cls, **tries)
    assert report.examples >= min(tries["examples"], 5)
    assert report.outside == 0
    assert report.undecided <= 0.01
    differentiable = any(rule is not None for rule in cls.vjps)
    wanted = {"reference", "spec"}
    if differentiable:
        wanted |= {"linear", "adjoint", "scalar graph", "differences", "second order"}
    assert wanted <= report.tally.held.keys()


@pytest.mark.parametrize("cls", OPS, ids=lambda cls: cls.name)
def test_an_op_that_shows_kinks_declares_them(cls):
    kinks = 0
    for seed in range(20):
        draw = Draw.seeded(seed)
        draw.ties = True
        op, args = cls.sample(draw)
        kinks += examine(OpCase(op, args), seed, kinked=True).kinks
    if kinks:
        assert cls.kinks, f"{cls.name} was met at {kinks} kinks"


@pytest.mark.parametrize(("cls", "kink"), list(declared()), ids=lambda v: getattr(v, "where", None))
def test_a_kink_is_as_declared(cls, kink):
    for found, wanted in zip(gradients(cls, kink), kink.gives, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_the_sweeps_obey_the_laws_on_random_programs(tries):
    count = 0
    for seed in range(tries["examples"]):
        program = Program.drawn(Draw.seeded(seed + tries["seed"]))
        examine(FunctionCase(program, program.inputs), seed)
        count += len(program.steps)
    assert count > tries["examples"]


def test_networks_obey_the_laws():
    rng = np.random.default_rng(0)
    report = check(LeNet(rng=0), rng.normal(size=(1, 28, 28, 1)), examples=2)
    assert report.verdict == "passed"
