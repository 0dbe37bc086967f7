"""Wrong rules are noticed: every fault planted by hand, and a part of the mechanical mutants.

`python -m tests.verify run` does all of them, and prints the table of docs/verification.md.
"""

from __future__ import annotations

import pytest

from tests.blamed import first_blamed
from tests.faults import FAULTS, HISTORICAL
from tests.planted import all_mutants, equivalent, noticed
from tests.survivors import EQUIVALENT, NOTICED_BY

EXAMPLES = 300  # inputs that each check may try
PART = 8  # every n-th mutant is tried
PROGRAMS = 60

MUTANTS = all_mutants()
LIVE = [m for m in MUTANTS if not equivalent(m)]


def test_there_are_enough_of_them():
    assert len(FAULTS) >= 60
    assert len({fault.source for fault in HISTORICAL}) >= 20
    assert all(fault.source for fault in HISTORICAL)
    names = [fault.name for fault in (*FAULTS, *HISTORICAL, *MUTANTS)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("fault", [*FAULTS, *HISTORICAL], ids=lambda fault: fault.name)
def test_a_fault_planted_by_hand_is_noticed(fault):
    assert noticed(fault, EXAMPLES)


@pytest.mark.parametrize("mutant", LIVE[::PART], ids=lambda mutant: mutant.name)
def test_a_mechanical_mutant_is_noticed(mutant):
    assert noticed(mutant, EXAMPLES)


@pytest.mark.parametrize("name", EQUIVALENT)
def test_an_equivalent_mutant_exists_and_computes_the_same(name):
    (mutant,) = (m for m in MUTANTS if m.name == name)
    assert EQUIVALENT[name]
    assert not noticed(mutant, 50)


def test_no_function_that_a_test_holds_is_out_of_date():
    assert set(NOTICED_BY) <= {m.where for m in MUTANTS}


def test_blame_names_the_wrong_vertex_of_random_programs():
    found = [first_blamed(seed) for seed in range(PROGRAMS)]
    first = sum(blamed[:1] == [wrong] for wrong, blamed in found)
    assert first >= 0.95 * PROGRAMS
    assert sum(name != wrong for wrong, blamed in found for name in blamed) == 0
