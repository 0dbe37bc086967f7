"""Verify derivatives: of functions, modules, ops, and of numpy code with hand-written rules.

>>> import numpy as np
>>> import gradgraph as gg
>>> from gradgraph.testing import check
>>> def f(x, w):
...     return gg.tanh(x @ w)
>>> check(f, np.ones((2, 3)), np.full((3, 2), 0.1), examples=5).verdict
'passed'
"""

from .blame import Suspect, blame
from .case import CannotCheck
from .checks import check, check_op, given_gradients
from .kinks import kink_table
from .laws import LAWS, Broken, Entry, Tally
from .mutants import Fault, Mutant, mutants
from .report import Report, WrongGradient, table
from .strategies import (
    Arguments,
    broadcastable,
    conv_cases,
    drawn,
    index_cases,
    labels,
    pool_cases,
    samples,
    shapes,
    tensors,
)

__all__ = [
    "LAWS",
    "Arguments",
    "Broken",
    "CannotCheck",
    "Entry",
    "Fault",
    "Mutant",
    "Report",
    "Suspect",
    "Tally",
    "WrongGradient",
    "blame",
    "broadcastable",
    "check",
    "check_op",
    "conv_cases",
    "drawn",
    "given_gradients",
    "index_cases",
    "kink_table",
    "labels",
    "mutants",
    "pool_cases",
    "samples",
    "shapes",
    "table",
    "tensors",
]
