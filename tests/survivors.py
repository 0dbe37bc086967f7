"""Mechanical mutants that the check of their op lets live: equivalent, or noticed by a test.

A reason must be a proof: the mutant computes the same for every input that the op accepts.
"""

from __future__ import annotations

ONE_LONG = "the axis has length 1: its last element is its first"
SAME_GRADIENT = "another branch computes the same, only slower or faster"
TIMES_ZERO = "what it changes is multiplied by zero"
SYMMETRIC = "the operation is symmetric"
NO_SUCH_DTYPE = "floats have 2, 4 or 8 bytes, and float32 as float32 is itself"

EQUIVALENT = {
    "WindowMean.forward:3: dtype.itemsize < 4 → dtype.itemsize <= 4": NO_SUCH_DTYPE,
    "WindowMean.forward:3: 4 → 5": NO_SUCH_DTYPE,
    "WindowMean.forward:3: 4 → 3": NO_SUCH_DTYPE,
    "CrossEntropy.forward:14: 0 → -1": ONE_LONG,
    "CrossEntropy.vjp_logits:3: each[..., None] if self.reduction == 'none' else each"
    " → each[..., None]": "a scalar broadcasts like an array of one element",
    "Custom.jvp_xs:2: 0 → -1": "the list has one element",
    "Matmul.vjp_x:5: 0 → -1": ONE_LONG,
    "Matmul.vjp_y:5: 0 → -1": ONE_LONG,
    "Matmul.vjp_y:6: x.ndim > 2 → x.ndim >= 2": SAME_GRADIENT,
    "Matmul.vjp_y:6: 2 → 1": SAME_GRADIENT,
    "Matmul.vjp_y:6: 2 → 3 (again)": SAME_GRADIENT,
    "Matmul.vjp_y:6: 2 → 1 (again)": SAME_GRADIENT,
    "Max._winners:4: x.dtype if x.dtype.itemsize > 2 else float → float": "the sweep rounds"
    " every cotangent to its argument's dtype; a count is exact in both",
    "Max._winners:4: 2 → 3": NO_SUCH_DTYPE,
    "Power.vjp_x:3: 1.0 → 2.0": TIMES_ZERO,
    "Power.vjp_y:3: 1.0 → 2.0": TIMES_ZERO,
    "Sigmoid.forward:5: x >= 0 → x > 0": "both branches give 0.5 at 0",
    "SquaredError.forward:2: floating(Spec.of(guess), Spec.of(actual))"
    " → floating(Spec.of(actual), Spec.of(guess))": SYMMETRIC,
    "SquaredError.forward:3: np.subtract(guess, actual, dtype=dtype)"
    " → np.subtract(actual, guess, dtype=dtype)": "the difference is squared",
    "_sources:5: np.clip(at, 0, n - 1) → np.clip(0, at, n - 1)": "max(0, at) = max(at, 0)",
    "_sources:8: 1 → 2": "it counts for one element only, and its place -1 is its place 0",
    "_sources:9: n - 1 → -1": "a place less n is the same place, counted from the end",
    "Put._copy:2: np.ndim(values) > result_ndim(self.pattern, x, indices)"
    " → np.ndim(values) >= result_ndim(self.pattern, x, indices)": "spec says nothing of what fits,"
    " and numpy refuses the rest, too",
    "Put._copy:3: map(Spec.of, (x, values, *indices))"
    " → map((x, values, *indices), Spec.of)": "it raises either way, and spec explains what",
    "Put._copy:4: promote(Spec.of(x), Spec.of(values))"
    " → promote(Spec.of(values), Spec.of(x))": SYMMETRIC,
    "Rank.forward:4: 1 → 2": "numpy takes -2 for -1 in a shape",
}

_PITFALLS = "test:tests/test_pitfalls.py::"
_ERRORS = "test:tests/test_errors.py::test_golden"
_SHAPES = "test:tests/test_ops_shape.py::"
_CUSTOM = "test:tests/test_transform.py::TestCustom"

# What no law of derivatives says: errors, precision, memory, and definitions that a rule shares
# with its own reference.
NOTICED_BY = {
    "WindowMean.forward": _PITFALLS + "test_half_precision_is_summed_in_single",
    "_binomial": _PITFALLS + "test_blurring_weighs_like_binomial_coefficients",
    "CrossEntropy.forward": _ERRORS,
    "Custom.forward": _CUSTOM,
    "Custom.pulls": _CUSTOM,
    "Custom.pushes": _CUSTOM,
    "Custom.vjp_xs": _CUSTOM,
    "Custom.jvp_xs": _CUSTOM,
    "_own": _CUSTOM,
    "Mask.forward": _PITFALLS + "test_relu_of_infinity",
    "_check_range": _SHAPES + "TestSelection::test_no_such_row",
    "Extend.vjp_x": _SHAPES + "test_padding_can_be_differentiated_row_by_row_twice",
    "_sources": _SHAPES + "test_what_was_padded_is_folded_back",
    "Max._winners": "test:tests/test_pitfalls.py",
}
