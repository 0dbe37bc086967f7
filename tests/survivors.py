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
    "Extremum._winners:4: x.dtype if x.dtype.itemsize > 2 else float → float": "the sweep rounds"
    " every cotangent to its argument's dtype; a count is exact in both",
    "Extremum._winners:4: 2 → 3": NO_SUCH_DTYPE,
    "_Norm.forward:6: total >= info.tiny → total > info.tiny": "at the threshold both ways round"
    " to the same length",
    "_shifted:12: 0 → 1": "-inf minus any finite number is -inf",
    "_shifted:12: 0 → -1": "-inf minus any finite number is -inf",
    "_Norm.forward:9: 0 → -1": "absolute values are greater, and what is not greater than 0 is not"
    " divided by",
    "_Norm.forward:10: 1 → 2": "a line of zeros, or with an infinite element, has the same norm"
    " whatever it is divided by",
    "_Norm._slopes:3: 1 → 2": "x is 0 there",
    "PNorm._slopes:4: 1 → 2": "what it changes is masked",
    "_sum_of_powers:2: np.square(x) if p == 2 else np.absolute(x) ** p"
    " → np.absolute(x) ** p": SAME_GRADIENT,
    "_sum_of_powers:2: 2 → 1": SAME_GRADIENT,
    "Power.vjp_x:3: 1.0 → 2.0": TIMES_ZERO,
    "Power.vjp_y:3: 1.0 → 2.0": TIMES_ZERO,
    "Sigmoid.forward:5: x >= 0 → x > 0": "both branches give 0.5 at 0",
    "SquaredError.forward:2: floating(Spec.of(guess), Spec.of(actual))"
    " → floating(Spec.of(actual), Spec.of(guess))": SYMMETRIC,
    "SquaredError.forward:3: np.subtract(guess, actual, dtype=dtype)"
    " → np.subtract(actual, guess, dtype=dtype)": "the difference is squared",
}

_PITFALLS = "test:tests/test_pitfalls.py::"
_ERRORS = "test:tests/test_errors.py::test_golden"
_REDUCE = "test:tests/test_ops_reduce.py::"
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
    "Extremum._winners": "test:tests/test_pitfalls.py",
    "_shifted": _REDUCE + "test_exponentials_of_infinite_logits",
    "_log_sum": _REDUCE + "test_exponentials_of_infinite_logits",
    "Softmax.forward": _REDUCE + "test_exponentials_of_infinite_logits",
    "LogSoftmax.forward": _REDUCE + "test_exponentials_of_infinite_logits",
    "_Norm.vjp_x": _REDUCE + "test_norms_at_zero",
    "_Norm.jvp_x": _REDUCE + "test_norms_at_zero",
    "PNorm._slopes": _REDUCE + "test_norms_at_zero",
    "Var._deviations": _REDUCE + "test_variance_does_not_cancel",
    "_Norm.forward": _REDUCE + "test_norms_of_huge_and_tiny_vectors",
}
