"""Mechanical mutants that the check of their op lets live: equivalent, or noticed by a test.

A reason must be a proof: the mutant computes the same for every input that the op accepts.
"""

from __future__ import annotations

ONE_LONG = "the axis has length 1: its last element is its first"
SAME_GRADIENT = "another branch computes the same, only slower or faster"
TIMES_ZERO = "what it changes is multiplied by zero"
SYMMETRIC = "the operation is symmetric"
NO_SUCH_DTYPE = "floats have 2, 4 or 8 bytes, and float32 as float32 is itself"

ALL_ZERO = "both are zero everywhere, and the sweep rounds a cotangent to its argument's dtype"

EQUIVALENT = {
    "CrossEntropy.forward:5: 0 → -1": ONE_LONG,
    "Chosen.forward:3: 0 → -1": ONE_LONG,
    "BinaryCrossEntropy.forward:2: floating(Spec.of(probability), Spec.of(actual))"
    " → floating(Spec.of(actual), Spec.of(probability))": SYMMETRIC,
    "BinaryCrossEntropyWithLogits.forward:2: floating(Spec.of(logits), Spec.of(actual))"
    " → floating(Spec.of(actual), Spec.of(logits))": SYMMETRIC,
    "_log:6: 1.0 → 2.0": "its logarithm is not chosen",
    "CrossEntropy.vjp_logits:3: each[..., None] if self.reduction == 'none' else each"
    " → each[..., None]": "a scalar broadcasts like an array of one element",
    "Checkpoint.pulls:6: 0 → -1 (again) (again) (again)": "all cotangents have as many rows",
    "_one_or_all:2: 0 → -1": "the list has one element",
    "Checkpoint.jvp_xs:2: 0 → -1": "the list has one element",
    "Custom.jvp_xs:2: 0 → -1": "the list has one element",
    "Matmul.vjp_x:5: 0 → -1": ONE_LONG,
    "Matmul.vjp_y:5: 0 → -1": ONE_LONG,
    "Matmul.vjp_y:6: x.ndim > 2 → x.ndim >= 2": SAME_GRADIENT,
    "Matmul.vjp_y:6: 2 → 1": SAME_GRADIENT,
    "Matmul.vjp_y:6: 2 → 3 (again)": SAME_GRADIENT,
    "Matmul.vjp_y:6: 2 → 1 (again)": SAME_GRADIENT,
    "Einsum.vjp_xs:9: c if kept == own else _spread(c, own, kept, g.shape[:extra], xs[i].shape)"
    " → _spread(c, own, kept, g.shape[:extra], xs[i].shape)": SAME_GRADIENT,
    "_product:7: not inner → inner": SAME_GRADIENT,
    "_product:7: not rows + columns → rows + columns": SAME_GRADIENT,
    "_product:7: rows + columns → rows": SAME_GRADIENT,
    "_product:7: rows + columns → columns": SAME_GRADIENT,
    "_arranged:3: x if labels == wanted else np.einsum(f'{labels}->{wanted}', x)"
    " → np.einsum(f'{labels}->{wanted}', x)": SAME_GRADIENT,
    "_fast:3: x if x.itemsize in x.strides[-2:] else np.ascontiguousarray(x) → x": SAME_GRADIENT,
    "_fast:3: x if x.itemsize in x.strides[-2:] else np.ascontiguousarray(x)"
    " → np.ascontiguousarray(x)": SAME_GRADIENT,
    "_fast:3: -2 → 2": SAME_GRADIENT,
    "_fast:3: 2 → 3": SAME_GRADIENT,
    "_fast:3: 2 → 1": SAME_GRADIENT,
    "Cholesky.forward:3: mean == matrix_transpose(mean) → mean != matrix_transpose(mean)": "the"
    " diagonal is equal, so the symmetric part is always computed, also where it is the same",
    "_low:3: 1 → 2": "the matrix is square",
    "Solve.forward:3: lapack_dtype(a, b) → lapack_dtype(b, a)": SYMMETRIC,
    "to_top:12: 0 → 1": "-∞ less any number is -∞",
    "to_top:12: 0 → -1": "-∞ less any number is -∞",
    "HardSwish.forward:5: 3 → 4": "the gate is 0 there",
    "HardSwish.vjp_x:4: 3 → 4 (again)": "what is beyond does not count",
    "HardSwish.vjp_x:4: 3 → 4 (again) (again)": "what is beyond does not count",
    "Scatter.forward:7: np.empty if self._all_named(g, index) else np.zeros"
    " → np.zeros": SAME_GRADIENT,
    "HingeLoss.forward:2: floating(Spec.of(scores), Spec.of(actual))"
    " → floating(Spec.of(actual), Spec.of(scores))": SYMMETRIC,
    "HingeLoss.forward:3: np.multiply(scores, actual, dtype=dtype)"
    " → np.multiply(actual, scores, dtype=dtype)": SYMMETRIC,
    "BinaryCrossEntropy.forward:7: 0.0 → 1.0": "it is no NaN either",
    "KlDiv.forward:2: floating(Spec.of(log_guess), Spec.of(actual))"
    " → floating(Spec.of(actual), Spec.of(log_guess))": SYMMETRIC,
    "_by_truth:3: 1.0 → 2.0": "its logarithm is not chosen",
    "Hypot.vjp_x:2: 1 → 2": "where it stands in, at the origin, 0 is divided by it",
    "Hypot.vjp_y:2: 1 → 2": "where it stands in, at the origin, 0 is divided by it",
    "Logaddexp.forward:3: np.logaddexp(x, y) → np.logaddexp(y, x)": SYMMETRIC,
    "Extremum._winners:4: x.dtype if x.dtype.itemsize > 2 else float → float": "the sweep rounds"
    " every cotangent to its argument's dtype; a count is exact in both",
    "Extremum._winners:4: 2 → 3": NO_SUCH_DTYPE,
    "_Norm.forward:6: total >= info.tiny → total > info.tiny": "at the threshold both ways round"
    " to the same length",
    "_Norm.forward:9: 0 → -1": "absolute values are greater, and what is not greater than 0 is not"
    " divided by",
    "_Norm.forward:10: 1 → 2": "a line of zeros, or with an infinite element, has the same norm"
    " whatever it is divided by",
    "_Norm._slopes:3: 1 → 2": "x is 0 there",
    "PNorm._slopes:4: 1 → 2": "what it changes is masked",
    "_sum_of_powers:2: np.square(x) if p == 2 else np.absolute(x) ** p"
    " → np.absolute(x) ** p": SAME_GRADIENT,
    "_sum_of_powers:2: 2 → 1": SAME_GRADIENT,
    "Power.vjp_x:2: y > 1 → y >= 1": SAME_GRADIENT,
    "Power.vjp_x:2: 1 → 2": SAME_GRADIENT,
    "Power.vjp_x:2: 1 → 0": SAME_GRADIENT,
    "Power.vjp_x:3: x if y == 2 else x ** (y - 1) → x ** (y - 1)": SAME_GRADIENT,
    "Power.vjp_x:3: 2 → 1": SAME_GRADIENT,
    "Power.vjp_x:5: 1.0 → 2.0": TIMES_ZERO,
    "Power.vjp_y:3: 1.0 → 2.0": TIMES_ZERO,
    "Softsign.forward:4: np.clip(x, -largest, largest)"
    " → np.clip(-largest, x, largest)": "a number and its lower bound may be exchanged: the"
    " greater of both is taken",
    "Step.vjp_x:2: mask(g, False) → mask(False, g)": ALL_ZERO,
    "_slant:5: 1 → 2": "a may be any number: only a² / ((1 + x²) a²) and its root are used",
    "_slant:5: 1 → 2 (again)": "a may be any number, as above",
    "_turn:5: 1 → 2": "where it stands in, at the origin, 0 is divided by it",
    "_turn:7: 1 → 2": "where it stands in, at the origin, 0 is divided by it",
    "_bell:3: 30.0 → 60.0": "e^(-30²) and e^(-60²) are both 0",
    "_bell:3: 30.0 → 60.0 (again)": "e^(-30²) and e^(-60²) are both 0",
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
_MATH = "test:tests/test_ops_math.py::"
_ERRORS = "test:tests/test_errors.py::test_golden"
_SHAPES = "test:tests/test_ops_shape.py::"
_LABELS = "test:tests/test_ops_loss.py::TestCrossEntropy::test_labels_beyond_the_classes"
_BINARY = "test:tests/test_ops_loss.py::TestBinary"
_DIVERGENCE = "test:tests/test_ops_loss.py::TestKlDivergence"
_RULES = "test:tests/test_checkpoint.py::test_the_rules_of_one_operand"
_REDUCE = "test:tests/test_ops_reduce.py::"
_CUSTOM = "test:tests/test_transform.py::TestCustom"

# What no law of derivatives says: errors, precision, memory, and definitions that a rule shares
# with its own reference.
_COMPILED = "test:tests/test_compiled.py::test_a_normalisation_of_channels"
NOTICED_BY = {
    "Standardise.forward": _COMPILED,
    "Standardise.vjp_x": _COMPILED,
    "WindowMean.forward": _PITFALLS + "test_16_half_precision_is_summed_in_single",
    "_binomial": _PITFALLS + "test_16_blurring_weighs_like_binomial_coefficients",
    "CrossEntropy.forward": _ERRORS,
    "_check_labels": _LABELS,
    "argument": "test:tests/test_ops_loss.py::TestNll::test_errors",
    "lapack_dtype": "test:tests/test_ops_linalg.py::TestSystems::test_dtypes",
    "BinaryCrossEntropy.forward": _BINARY,
    "BinaryCrossEntropy._check": _BINARY,
    "KlDiv.forward": _DIVERGENCE,
    "_by_truth": _DIVERGENCE,
    "_where_true": _DIVERGENCE,
    "PairLoss._per_element": "test:tests/test_ops_loss.py::test_a_plain_number_as_truth",
    "Getitem.vjp_x_into": "test:tests/test_sweep.py::test_slices_accumulate_in_place",
    "Scatter._all_named": _SHAPES + "test_a_scattered_number_that_goes_nowhere",
    "_log": _BINARY,
    "_slope": _BINARY,
    "Checkpoint.pulls": "test:tests/test_checkpoint.py::test_jacobians_go_through_in_one_sweep",
    "Checkpoint.pushes": _RULES,
    "Checkpoint.vjp_xs": _RULES,
    "Checkpoint.jvp_xs": _RULES,
    "Custom.forward": _CUSTOM,
    "Custom.pulls": _CUSTOM,
    "Custom.pushes": _CUSTOM,
    "Custom.vjp_xs": _CUSTOM,
    "Custom.jvp_xs": _CUSTOM,
    "_one_number": _SHAPES + "test_integers_are_padded_with_their_own_kind",
    "Mask.forward": _PITFALLS + "test_08_relu_of_infinity",
    "Power.vjp_y": _MATH + "test_the_slope_by_an_exponent_has_the_precision_of_the_result",
    "_difference": _MATH + "TestExponentials::test_logaddexp_of_infinities",
    "_turn": _MATH + "TestTrigonometry",
    "_slant": _MATH + "TestTrigonometry",
    "_check_range": _SHAPES + "TestSelection::test_no_such_row",
    "index_of": _SHAPES + "TestIndexing",
    "Extend.vjp_x": _SHAPES + "test_padding_can_be_differentiated_row_by_row_twice",
    "_sources": _SHAPES + "test_what_was_padded_is_folded_back",
    "Extremum._winners": "test:tests/test_pitfalls.py",
    "Softmax.forward": _REDUCE + "test_exponentials_of_infinite_logits",
    "LogSoftmax.forward": _REDUCE + "test_exponentials_of_infinite_logits",
    "to_top": _REDUCE + "test_exponentials_of_infinite_logits",
    "log_total": _REDUCE + "test_exponentials_of_infinite_logits",
    "_Norm.vjp_x": _REDUCE + "test_norms_at_zero",
    "_Norm.jvp_x": _REDUCE + "test_norms_at_zero",
    "PNorm._slopes": _REDUCE + "test_norms_at_zero",
    "Var._deviations": _REDUCE + "test_variance_does_not_cancel",
    "_Norm.forward": _REDUCE + "test_norms_of_huge_and_tiny_vectors",
}
