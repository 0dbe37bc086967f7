"""Faults planted by hand: what people get wrong in rules, kernels and engines.

`FAULTS` are spread over every op that has a derivative and over the engine. `HISTORICAL` are bugs
that other engines had, planted again as the nearest change of our code; `source` says where.

`ops` names the checks of which at least one must notice: names of ops, `"programs"` for random
composite graphs, or `"test:<node id>"` for a test that holds what is no matter of gradient laws.
"""

from __future__ import annotations

from gradgraph.testing.mutants import Fault

ELEMENTWISE = "gradgraph.ops.elementwise:"
ARITHMETIC = "gradgraph.ops.arithmetic:"
CHOICE = "gradgraph.ops.choice:"
ACTIVATION = "gradgraph.ops.activation:"
EXPONENTIAL = "gradgraph.ops.exponential:"
TRIGONOMETRY = "gradgraph.ops.trigonometry:"
CLIP = "gradgraph.ops.clip:"
GATED = "gradgraph.ops.gated:"
ROUNDING = "gradgraph.ops.rounding:"
SOFTPLUS = "gradgraph.ops.softplus:"
LINALG = "gradgraph.ops.linalg:"
EINSUM = "gradgraph.ops.einsum:"
FACTOR = "gradgraph.ops.factor:"
CHOLESKY = "gradgraph.ops.cholesky:"
ATTENTION = "gradgraph.ops.attention:"
REDUCE = "gradgraph.ops.reduce:"
SHAPE = "gradgraph.ops.shape:"
JOIN = "gradgraph.ops.join:"
PAD = "gradgraph.ops.pad:"
ARRANGE = "gradgraph.ops.arrange:"
SCAN = "gradgraph.ops.scan:"
SCANS = "gradgraph.kernels.scan:"
STATISTICS = "gradgraph.ops.statistics:"
MAGNITUDE = "gradgraph.ops.magnitude:"
NORMALISATION = "gradgraph.ops.normalisation:"
INDEX = "gradgraph.ops.index:"
PUT = "gradgraph.ops.put:"
SORT = "gradgraph.ops.sort:"
SCATTER = "gradgraph.kernels.scatter:"
SOFTMAX = "gradgraph.ops.softmax:"
LOSS = "gradgraph.ops.loss:"
CLASSIFY = "gradgraph.ops.classify:"
BINARY = "gradgraph.ops.binary:"
SIMILARITY = "gradgraph.ops.similarity:"
RANDOM = "gradgraph.ops.random:"
CONV = "gradgraph.ops.conv:"
POOL = "gradgraph.ops.pool:"
UNFOLD = "gradgraph.ops.unfold:"
AVERAGE = "gradgraph.ops.average:"
CUSTOM = "gradgraph.ops.custom:"
KERNELS = "gradgraph.kernels.numpy_:"
POOLING = "gradgraph.kernels.pooling:"
OP = "gradgraph.op:"
SWEEP = "gradgraph.sweep:"
TENSOR = "gradgraph.tensor:"
GRAPH = "gradgraph.graph:"
TRANSFORM = "gradgraph.transform:"
CHECKPOINT = "gradgraph.checkpoint:"

CONVS = ("conv", "conv_input", "conv_filter")
TEST = "test:tests/"

_ELEMENTWISE = (
    Fault(
        "add: the sign of y is that of a subtraction",
        ARITHMETIC + "Add.vjp_y",
        "return g",
        "return -g",
    ),
    Fault(
        "subtract: the sign of y is missing",
        ARITHMETIC + "Subtract.vjp_y",
        "return -g",
        "return g",
    ),
    Fault(
        "subtract: the cotangent is negated in place",
        ARITHMETIC + "Subtract.vjp_y",
        "return -g",
        "return np.negative(g, out=g) if isinstance(g, np.ndarray) else -g",
    ),
    Fault(
        "multiply: x gets x instead of y",
        ARITHMETIC + "Multiply.vjp_x",
        "g * y",
        "g * x",
    ),
    Fault(
        "multiply: only the second derivative is wrong, for x is read as an array",
        ARITHMETIC + "Multiply.vjp_y",
        "g * x",
        'g * getattr(x, "_data", x)',
    ),
    Fault(
        "divide: the factor 1/y is missing in the VJP of x",
        ARITHMETIC + "Divide.vjp_x",
        "g / y",
        "g",
    ),
    Fault(
        "divide: the second factor 1/y is missing in the VJP of y",
        ARITHMETIC + "Divide.vjp_y",
        "out / y",
        "out",
    ),
    Fault(
        "power: the exponent is not decremented",
        ARITHMETIC + "Power.vjp_x",
        "(y - 1.0)",
        "y",
    ),
    Fault(
        "power: the factor ln x is missing",
        ARITHMETIC + "Power.vjp_y",
        "g * (mask(out, negate(flat)) * np.log(base))",
        "g * mask(out, negate(flat))",
    ),
    Fault(
        "power: 0 to the 0 is NaN in the VJP of x",
        ARITHMETIC + "Power.vjp_x",
        "where(flat, 1.0, x)",
        "x",
    ),
    Fault(
        "negative: the sign is missing",
        ARITHMETIC + "Negative.vjp_x",
        "return -g",
        "return g",
    ),
    Fault(
        "exp: x instead of the result",
        EXPONENTIAL + "Exp.vjp_x",
        "g * out",
        "g * x",
    ),
    Fault(
        "exp: only the second derivative is wrong, for the result is read as an array",
        EXPONENTIAL + "Exp.vjp_x",
        "g * out",
        'g * getattr(out, "_data", out)',
    ),
    Fault(
        "log: divided by the result",
        EXPONENTIAL + "Log.vjp_x",
        "g / x",
        "g / out",
    ),
    Fault(
        "sqrt: the factor one half is missing",
        EXPONENTIAL + "Sqrt.vjp_x",
        "0.5 * g / out",
        "g / out",
    ),
    Fault(
        "sin: the sign of cos is turned",
        TRIGONOMETRY + "Sin.vjp_x",
        "g * np.cos(x)",
        "-(g * np.cos(x))",
    ),
    Fault(
        "cos: the sign is missing",
        TRIGONOMETRY + "Cos.vjp_x",
        "-(g * np.sin(x))",
        "g * np.sin(x)",
    ),
    Fault(
        "tanh: the square is missing",
        TRIGONOMETRY + "Tanh.vjp_x",
        "out * out",
        "out",
    ),
    Fault(
        "sigmoid: the factor 1 - out is missing",
        ACTIVATION + "Sigmoid.vjp_x",
        "(out * (1 - out))",
        "out",
    ),
    Fault(
        "sigmoid: float32 becomes float64",
        ACTIVATION + "Sigmoid.forward",
        "return 1 / e",
        "return np.ones(1) / e",
    ),
    Fault(
        "absolute: nothing for negative elements",
        ARITHMETIC + "Absolute.vjp_x",
        "SIGNED(g, x)",
        "mask(g, greater(x, 0))",
    ),
    Fault(
        "relu: the mask is forgotten",
        ACTIVATION + "Relu.vjp_x",
        "mask(g, greater(out, 0))",
        "g",
    ),
    Fault(
        "relu: x is overwritten",
        ACTIVATION + "Relu.forward",
        "dispatch.relu(x)",
        "np.maximum(x, 0, out=x) if isinstance(x, np.ndarray) else np.maximum(x, 0)",
    ),
    Fault(
        "maximum: at a tie x gets the whole gradient and y its half",
        CHOICE + "_Extreme.vjp_x",
        "self._share(g, x, y)",
        "self._share(g, x, y) + 0.5 * mask(g, equal(x, y))",
        ("maximum",),
    ),
    Fault(
        "maximum: y gets what x should get",
        CHOICE + "_Extreme.vjp_y",
        "self._share(g, y, x)",
        "self._share(g, x, y)",
        ("maximum",),
    ),
    Fault(
        "where: the side that is not taken gets the gradient too",
        CHOICE + "Where.vjp_y",
        "mask(g, negate(condition))",
        "g",
    ),
    Fault(
        "where: sides exchanged",
        CHOICE + "Where.vjp_x",
        "mask(g, condition)",
        "mask(g, negate(condition))",
    ),
    Fault(
        "mask: the mask is forgotten on the way back",
        ELEMENTWISE + "Mask.vjp_x",
        "mask(g, chosen)",
        "g",
    ),
    Fault(
        "cast: stops the gradient",
        ELEMENTWISE + "Cast.vjp_x",
        "return g",
        "return g * 0.0",
    ),
    Fault(
        "cast: by way of float32",
        ELEMENTWISE + "Cast.forward",
        "astype(self.dtype)",
        'astype("float32").astype(self.dtype)',
    ),
    Fault(
        "alias: counted twice",
        ELEMENTWISE + "Alias.vjp_x",
        "return g",
        "return g + g",
    ),
)

_MATH = (
    Fault(
        "remainder: the quotient is truncated, as in C, not rounded down",
        ROUNDING + "Remainder.vjp_y",
        "np.round((out - x) / y)",
        "-np.trunc(x / y)",
    ),
    Fault(
        "clip: what is clipped goes to no one",
        CLIP + "Clip.vjp_bounds",
        "return mask(g, below if high is None else both(below, greater(high, low)))",
        "return mask(g, False)",
    ),
    Fault(
        "clip: on a bound the slope is that of the inside",
        CLIP + "Clip.vjp_x",
        "above = greater(x, low)",
        "above = greater_equal(x, low)",
        (TEST + "test_ops_math.py::TestMinimumAndClip",),
    ),
    Fault(
        "minimum: the rules of maximum",
        CHOICE + "Minimum._taken",
        "greater(other, own)",
        "greater(own, other)",
    ),
    Fault(
        "hypot: NaN at the origin",
        EXPONENTIAL + "Hypot.vjp_x",
        "where(equal(out, 0), 1, out)",
        "out",
    ),
    Fault(
        "log2: the factor ln 2 is missing",
        EXPONENTIAL + "Log2.vjp_x",
        "(x * ln(2))",
        "x",
    ),
    Fault(
        "arctan2: x and y exchanged",
        TRIGONOMETRY + "Arctan2.vjp_y",
        "_turn(x, y)",
        "_turn(y, x)",
    ),
    Fault(
        "gelu: the density is missing in the slope",
        GATED + "Gated.vjp_x",
        "gate + x * self.slope(x, gate)",
        "gate",
        ("gelu", "gelu_tanh", "silu", "mish"),
    ),
    Fault(
        "gelu: 1 + erf cancels far left",
        GATED + "Gelu.gate",
        "0.5 * erfc(x * -sqrt(0.5))",
        "1.0 - 0.5 * erfc(x * sqrt(0.5))",
        (TEST + "test_ops_math.py::TestActivations::test_gelu_keeps_its_digits_far_left",),
    ),
    Fault(
        "logaddexp: the same infinity twice is NaN",
        SOFTPLUS + "_difference",
        "return where(same, 0, x) - where(same, 0, y)",
        "return x - y",
        (TEST + "test_ops_math.py::TestExponentials::test_logaddexp_of_infinities",),
    ),
)

_LINALG = (
    Fault(
        "matmul: y is not transposed in the VJP of x",
        LINALG + "Matmul.vjp_x",
        "matmul(g, swapaxes(y, -1, -2))",
        "g @ y",
    ),
    Fault(
        "matmul: the batch is not summed, its first item is taken",
        LINALG + "Matmul.vjp_y",
        "matmul(swapaxes(rows, 0, 1), reshape(g, (count, g.shape[-1])))",
        "(swapaxes(x, -1, -2) @ g)[(0,) * (x.ndim - 2)]",
    ),
    Fault(
        "matmul: of two vectors, y gets y",
        LINALG + "Matmul.vjp_y",
        "g[..., None] * x if",
        "g[..., None] * y if",
    ),
    Fault(
        "matmul: only the second derivative is wrong, for y is read as an array",
        LINALG + "Matmul.vjp_x",
        "matmul(g, swapaxes(y, -1, -2))",
        'g @ swapaxes(getattr(y, "_data", y), -1, -2)',
    ),
    Fault(
        "matmul: np.dot, which treats leading axes otherwise",
        LINALG + "Matmul.forward",
        "dispatch.matmul(x, y)",
        "np.dot(x, y)",
    ),
)

_EINSUM = (
    Fault(
        "einsum: labels that are summed with another operand are forgotten",
        EINSUM + "Einsum.vjp_xs",
        '_among(own, "".join([result, *others]))',
        "_among(own, result)",
    ),
    Fault(
        "einsum: a diagonal's cotangent goes to the first column",
        EINSUM + "_spread",
        "sum(n ** np.arange(times[v]))",
        "n ** (times[v] - 1)",
        ("einsum",),
    ),
    Fault(
        "einsum: the cotangent has the labels in the order of the result",
        EINSUM + "Einsum.vjp_xs",
        "lead + kept)",
        "lead + _among(result, kept) + _among(kept, _unused(result)))",
    ),
    Fault(
        "einsum: only the second derivative is wrong, for an operand is read as an array",
        EINSUM + "Einsum.vjp_xs",
        "*xs[:i],",
        '*(getattr(x, "_data", x) for x in xs[:i]),',
    ),
)

_FACTOR = (
    Fault(
        "solve: the matrix is not transposed in the VJP of b",
        FACTOR + "Solve.vjp_b",
        "self(matrix_transpose(a), g)",
        "self(a, g)",
    ),
    Fault(
        "solve: the sign is missing in the VJP of a",
        FACTOR + "Solve.vjp_a",
        "return -(",
        "return (",
    ),
    Fault(
        "inv: one factor is not transposed",
        FACTOR + "Inv.vjp_a",
        "turned @ g @ turned",
        "out @ g @ turned",
    ),
    Fault(
        "det: the inverse is not transposed",
        FACTOR + "Det.vjp_a",
        "matrix_transpose(inv(a))",
        "inv(a)",
    ),
    Fault(
        "slogdet: the determinant is a factor of the gradient of its logarithm",
        FACTOR + "Slogdet.vjp_a",
        "g[1][..., None, None]",
        "(g[1] * out[1])[..., None, None]",
    ),
    Fault(
        "cholesky: the diagonal is not halved in the JVP",
        CHOLESKY + "Cholesky.jvp_a",
        " - 0.5 * mask(inner, on_diagonal)",
        "",
    ),
    Fault(
        "cholesky: the upper triangle of the product is not cut off in the VJP",
        CHOLESKY + "Cholesky.vjp_a",
        "where(_low(out), product, matrix_transpose(product))",
        "(product + matrix_transpose(product))",
    ),
    Fault(
        "cholesky: the lower triangle is read, and the gradient is symmetric",
        CHOLESKY + "Cholesky.forward",
        "mean = _symmetric(mean)",
        "pass",
    ),
    Fault(
        "attention: a query that may look at nothing gets the mean of all values",
        ATTENTION + "attention",
        "return masked(matmul(softmax(where(allowed, scores, closed)), v), some)",
        "return matmul(softmax(where(allowed, scores, closed)), v)",
        (TEST + "test_ops_linalg.py::TestAttention",),
    ),
)

_REDUCE = (
    Fault(
        "reductions: the folded axes are re-inserted at the end",
        REDUCE + "Reduce._spread",
        "self._folded(x.shape, keepdims=True)",
        "self._folded(x.shape, keepdims=False) + (1,) * len(self.axis)",
        ("sum", "mean", "max"),
    ),
    Fault(
        "sum: an empty tuple of axes is taken for all axes",
        REDUCE + "Sum.forward",
        "self.axis",
        "self.axis or None",
    ),
    Fault(
        "sum: the VJP divides as that of a mean",
        REDUCE + "Sum.vjp_x",
        "self._spread(g, out, x)",
        "self._spread(g * (1.0 / max(self._count(x), 1)), out, x)",
    ),
    Fault(
        "sum: spec announces the dtype of x, also for small integers",
        REDUCE + "Sum._dtype",
        "np.sum(np.empty(0, x.dtype)).dtype",
        "x.dtype",
    ),
    Fault(
        "mean: of a tuple of axes, only the last one is counted",
        REDUCE + "Mean.vjp_x",
        "self._count(x)",
        "(x.shape[self.axis[-1]] if self.axis else 1)",
    ),
    Fault(
        "mean: not divided on the way back",
        REDUCE + "Mean.vjp_x",
        "g * (1.0 / self._count(x))",
        "g",
    ),
    Fault(
        "mean: the definition divides by n - 1",
        REDUCE + "Mean.fold",
        "len(values)",
        "max(len(values) - 1, 1)",
    ),
    Fault(
        "max: the whole gradient to all ties",
        REDUCE + "Extremum.vjp_x",
        "g / reshape(count, out.shape)",
        "g",
        ("max", "min"),
    ),
    Fault(
        "max: only the JVP is wrong, ties add up",
        REDUCE + "Extremum.jvp_x",
        "mask(t / count, winners)",
        "mask(t, winners)",
        ("max", "min"),
    ),
    Fault(
        "max: taken for linear, the tangent is the maximum of the tangents",
        REDUCE + "Extremum.jvp_x",
        "Sum.of(self.axis, self.keepdims)(mask(t / count, winners))",
        "self(t)",
        ("max", "min"),
    ),
    Fault(
        "prod: the result divided by the element, NaN at a zero",
        REDUCE + "Prod.vjp_x",
        "self._others(x)",
        "reshape(out, self._folded(x.shape, keepdims=True)) / x",
    ),
    Fault(
        "cumprod: the running product includes the element itself",
        SCAN + "_before",
        "_filled(_start(products, axis), axis, products.shape[axis], True, 1.0)",
        "products",
        ("cumprod", "prod"),
    ),
    Fault(
        "cumprod: its gradient is that of a cumulative sum of the cotangent times the result",
        SCAN + "CumProd.vjp_x",
        "Recurrence.of(self.axis, True)(_rest(x, self.axis), g) * _before(out, self.axis)",
        "CumSum.of(self.axis, True)(g * out) / x",
    ),
    Fault(
        "cumsum: the cotangent runs in the same direction",
        SCAN + "CumSum.vjp_x",
        "not self.reverse",
        "self.reverse",
    ),
    Fault(
        "a scan by halves meets infinity times zero",
        SCANS + "recurrence",
        "if failed.any():",
        "if False:",
        (TEST + "test_ops_reduce.py::test_a_recurrence_whose_couplings_leave_the_range_of_floats",),
    ),
    Fault(
        "var: the VJP forgets the degrees of freedom",
        STATISTICS + "Var.vjp_x",
        "self._weight(x)",
        "(1.0 / self._count(x))",
    ),
    Fault(
        "std: the slope of a square root at 0",
        STATISTICS + "std",
        "mask(np.sqrt(where(flat, 1, variance)), negate(flat))",
        "np.sqrt(variance)",
        (TEST + "test_ops_reduce.py::test_the_deviation_of_equal_elements_has_gradient_zero",),
    ),
    Fault(
        "norm: 0 / 0 at the origin",
        MAGNITUDE + "_Norm._slopes",
        "where(equal(out, 0), 1, out)",
        "out",
        ("norm",),
    ),
    Fault(
        "norm: the gradient at the origin is that of x / 1, which has a second derivative",
        MAGNITUDE + "_Norm.vjp_x",
        "mask(g, negate(equal(out, 0)))",
        "g",
        (TEST + "test_ops_reduce.py::test_norms_at_zero",),
    ),
    Fault(
        "norm: squares overflow",
        MAGNITUDE + "_Norm.forward",
        "& np.isfinite(total)",
        "",
        (TEST + "test_ops_reduce.py::test_norms_of_huge_and_tiny_vectors",),
    ),
    Fault(
        "argmax: the last of several",
        "gradgraph.ops.decision:ArgMax.forward",
        "np.argmax(x, axis=axis, keepdims=self.keepdims)",
        "x.shape[axis] - 1 - np.argmax(np.flip(x, axis), axis=axis, keepdims=self.keepdims)",
    ),
)

_NORMALISATION = (
    Fault(
        "standardise: the mean is taken for a constant",
        NORMALISATION + "Standardise.vjp_x",
        "shift - rate * self._mean(gy)",
        "shift",
    ),
    Fault(
        "standardise: the variance is taken for a constant",
        NORMALISATION + "Standardise.vjp_x",
        "along - rate * self._mean(gy * y)",
        "along",
    ),
    Fault(
        "standardise: eps is added to the deviation, not to the variance",
        NORMALISATION + "Standardise.forward",
        "np.sqrt(var + self.eps)",
        "(np.sqrt(var) + self.eps)",
    ),
    Fault(
        "standardise: the variance of the batch is the unbiased one",
        NORMALISATION + "Standardise.forward",
        "np.mean(np.square(y), axis=self.axis, keepdims=True)",
        "np.sum(np.square(y), axis=self.axis, keepdims=True) / max(self._count(x.shape) - 1, 1)",
    ),
    Fault(
        "batch_norm: the batch's statistics when not training",
        NORMALISATION + "batch_norm",
        "if training:",
        "if True:",
        (TEST + "test_ops_reduce.py::test_normalisation_is_the_plain_expression",),
    ),
    Fault(
        "group_norm: the number of groups is taken for their size",
        NORMALISATION + "group_norm",
        "(*x.shape[:-1], int(groups), channels // groups)",
        "(*x.shape[:-1], channels // groups, int(groups))",
        (TEST + "test_ops_reduce.py::test_normalisation_without_scale_and_shift",),
    ),
)

_SHAPE = (
    Fault(
        "reshape: the leading axis of a Jacobian's rows is lost",
        SHAPE + "Reshape.vjp_x",
        "g.shape[: g.ndim - out.ndim] + x.shape",
        "x.shape",
    ),
    Fault(
        "reshape: elements in the order of memory",
        SHAPE + "Reshape.forward",
        "np.reshape(x, self.shape)",
        'np.reshape(x, self.shape, order="A")',
    ),
    Fault(
        "transpose: the same order of axes back as forth",
        SHAPE + "Transpose.vjp_x",
        "sorted(range(len(self.axes)), key=self.axes.__getitem__)",
        "self.axes",
    ),
    Fault(
        "broadcast_to: the repetitions share the gradient",
        SHAPE + "BroadcastTo.vjp_x",
        "return g",
        "return g * (x.size / max(out.size, 1))",
    ),
    Fault(
        "pad: cut off by what was added after",
        PAD + "Pad.vjp_x",
        "slice(b, b + n) for (b, _)",
        "slice(a, a + n) for (_, a)",
    ),
    Fault(
        "pad: the tangent is padded with the value",
        PAD + "Pad.jvp_x",
        "Pad.of(self.width)(t)",
        "self(t)",
    ),
    Fault(
        "concatenate: all parts are taken to be as long as the first",
        JOIN + "_offset",
        "sum(x.shape[axis] for x in xs[:i])",
        "i * xs[0].shape[axis]",
        ("concatenate",),
    ),
    Fault(
        "concatenate: the tangent is put at the other end",
        JOIN + "Concatenate.jvp_xs",
        "start = _offset(xs, i, self.axis)",
        "start = _offset(xs[::-1], len(xs) - 1 - i, self.axis)",
    ),
    Fault(
        "extend: what lies beyond the ends is dropped",
        PAD + "FoldBack.forward",
        "inside[sources[i]] += rows[i]",
        "pass",
        ("extend", "fold_back"),
    ),
    Fault(
        "extend: reflecting repeats the edge itself",
        PAD + "_sources",
        "max(2 * n - 2, 1)",
        "max(2 * n - 1, 1)",
        ("extend",),
    ),
    Fault(
        "roll: moved the same way back as forth",
        ARRANGE + "Roll.vjp_x",
        "tuple(-n for n in self.shifts)",
        "self.shifts",
    ),
    Fault(
        "repeat: the gradient is that of tiles",
        ARRANGE + "Repeat.vjp_x",
        "x.shape[self.axis], self.times, *g",
        "self.times, x.shape[self.axis], *g",
    ),
    Fault(
        "sort: the cotangent is taken in the order of the values",
        SORT + "Sort.vjp_x",
        "Rank.of(self.axis)(x)",
        "Argsort.of(self.axis)(x)",
    ),
    Fault(
        "put: a value that was overwritten gets a gradient, too",
        PUT + "Put.vjp_values",
        "mask(arriving, equal(gather(last, *indices), order))",
        "arriving",
        ("put",),
    ),
    Fault(
        "put: what was replaced gets a gradient",
        PUT + "Put.vjp_x",
        "self(g, 0.0, *indices)",
        "g",
        ("put",),
    ),
    Fault(
        "embedding: a row that is named twice gets the last gradient only",
        SCATTER + "take_add",
        "np.add.at(out.reshape(-1), flat.ravel(), g.ravel())",
        "out.reshape(-1)[flat.ravel()] = g.ravel()",
        ("embedding", "take"),
    ),
)

_INDEX = (
    Fault(
        "getitem: a cotangent overwrites what arrived at the same slice before",
        SCATTER + "add_at",
        "total[index] += g",
        "total[index] = g",
        ("getitem", "programs"),
    ),
    Fault(
        "getitem: the recorded cotangent is cut off",
        INDEX + "Getitem.vjp_x",
        "(g, *indices)",
        '(getattr(g, "_data", g), *indices)',
    ),
    Fault(
        "scatter: the recorded cotangent is cut off",
        INDEX + "Scatter.vjp_g",
        "(c, *indices)",
        '(getattr(c, "_data", c), *indices)',
    ),
    Fault(
        "scatter: float32 becomes float64",
        INDEX + "Scatter.forward",
        "np.zeros(self.shape, g.dtype)",
        "np.zeros(self.shape)",
    ),
    Fault(
        "scatter: spec announces float64 for all",
        INDEX + "Scatter.spec",
        "g.with_shape(self.shape)",
        "Spec(self.shape, np.dtype(float))",
    ),
)

_SOFTMAX = (
    Fault(
        "softmax: the sum term is missing",
        SOFTMAX + "Softmax.vjp_x",
        "out * (g - (g * out).sum(axis=self.axis, keepdims=True))",
        "out * g",
    ),
    Fault(
        "softmax: the maximum is not subtracted",
        SOFTMAX + "to_top",
        "return np.asarray(x - top), top",
        "return np.array(x), top",
        ("softmax",),
    ),
    Fault(
        "softmax: normalised along the last axis",
        SOFTMAX + "Softmax.forward",
        "np.sum(e, axis=self.axis, keepdims=True)",
        "np.sum(e, axis=-1, keepdims=True)",
    ),
    Fault(
        "log_softmax: summed along the last axis on the way back",
        SOFTMAX + "LogSoftmax.vjp_x",
        "axis=self.axis",
        "axis=-1",
    ),
    Fault(
        "log_softmax: only the JVP is wrong, it is copied from the VJP",
        SOFTMAX + "LogSoftmax.jvp_x",
        "(np.exp(out) * t).sum(axis=self.axis, keepdims=True)",
        "np.exp(out) * t.sum(axis=self.axis, keepdims=True)",
    ),
)

_LOSS = (
    Fault(
        "losses: the factor 1/n of the mean is missing",
        LOSS + "Loss._each",
        'g * (1.0 / count) if self.reduction == "mean" else g',
        "g",
        ("squared_error", "cross_entropy"),
    ),
    Fault(
        "squared_error: the factor 2 is missing",
        LOSS + "SquaredError.vjp_guess",
        "2 * (guess - actual)",
        "guess - actual",
    ),
    Fault(
        "squared_error: the sign of the truth is that of the guess",
        LOSS + "SquaredError.vjp_actual",
        "(actual - guess)",
        "(guess - actual)",
    ),
    Fault(
        "squared_error: only the JVP is wrong, taken for linear",
        LOSS + "SquaredError.jvp_guess",
        "t * (2 * (guess - actual))",
        "t * t",
    ),
    Fault(
        "squared_error: only the second derivative is wrong, for the difference is an array",
        LOSS + "SquaredError.vjp_guess",
        "(guess - actual)",
        '(getattr(guess, "_data", guess) - getattr(actual, "_data", actual))',
    ),
    Fault(
        "cross_entropy: the mean counts logits, not items",
        CLASSIFY + "CrossEntropy.vjp_logits",
        "labels.size",
        "logits.size",
    ),
    Fault(
        "cross_entropy: softmax over the batch",
        CLASSIFY + "_surplus",
        "softmax(logits) -",
        "softmax(logits, 0) -",
        ("cross_entropy",),
    ),
    Fault(
        "cross_entropy: the maximum is not subtracted",
        CLASSIFY + "CrossEntropy.forward",
        "to_top(logits, -1)",
        "np.array(logits, float), 0",
    ),
)

_MORE_LOSSES = (
    Fault(
        "binary cross-entropy: the exponential of a logit overflows",
        BINARY + "BinaryCrossEntropyWithLogits.forward",
        "np.exp(-np.abs(x))",
        "np.exp(-x)",
    ),
    Fault(
        "binary cross-entropy: the truth is missing in the slope by the logit",
        BINARY + "BinaryCrossEntropyWithLogits.vjp_logits",
        "sigmoid(logits) - actual",
        "sigmoid(logits)",
    ),
    Fault(
        "binary cross-entropy: the factor 1 - p is missing in the slope",
        BINARY + "_slope",
        "maximum(p * (1 - p), least)",
        "maximum(p, least)",
        ("binary_cross_entropy",),
    ),
    Fault(
        "classifiers: the gradient goes to the class counted from the end",
        CLASSIFY + "_one_hot",
        "(labels)",
        "(classes - 1 - labels)",
        ("chosen", "cross_entropy"),
    ),
    Fault(
        "classifiers: the weighted mean divides by the number of items",
        CLASSIFY + "_class_losses",
        "total = sum(cast(each, wide))",
        "total = sum(cast(equal(each, each), wide))",
        (TEST + "test_ops_loss.py::TestCrossEntropy",),
    ),
    Fault(
        "classifiers: smoothing takes the rest of the label from the label alone",
        CLASSIFY + "_class_losses",
        "(1 - smoothing) * losses",
        "losses",
        (TEST + "test_ops_loss.py::TestCrossEntropy",),
    ),
    Fault(
        "huber: beyond δ the line goes on as high as the parabola",
        LOSS + "huber_loss",
        "(error - 0.5 * near)",
        "(error - 0.5 * error)",
        (TEST + "test_ops_loss.py::test_the_definition",),
    ),
    Fault(
        "dropout: what is kept is divided by the rate",
        RANDOM + "_dropped",
        "1 / (1 - rate)",
        "1 / rate",
        (TEST + "test_ops_random.py::TestDropouts",),
    ),
    Fault(
        "channel dropout: pixels of one channel are dropped apart",
        RANDOM + "channel_dropout",
        "*(1 for _ in shape[1:-1])",
        "*shape[1:-1]",
        (TEST + "test_ops_random.py::test_whole_channels_of_each_item",),
    ),
    Fault(
        "checkpoint: only the second derivative is wrong, for other operands count as constants",
        CHECKPOINT + "_stand_in",
        "wanted or x.requires_grad",
        "wanted",
        ("checkpoint",),
    ),
    Fault(
        "checkpoint: a leaf that the function makes gets no gradient",
        CHECKPOINT + "Program.of",
        "v.birth < start or (v.op is None and v.requires_grad)",
        "v.birth < start",
        (TEST + "test_checkpoint.py::test_leaves_that_it_makes_get_their_gradient",),
    ),
)

_CONV = (
    Fault(
        "conv: the stride is forgotten in the gradient of x",
        CONV + "Conv.vjp_x",
        "*self.geometry, x.shape",
        "(1,) * len(self.stride), *self.geometry[1:], x.shape",
    ),
    Fault(
        "conv: stride and dilation exchanged in the gradient of w",
        CONV + "Conv.vjp_w",
        "*self.geometry",
        "self.dilation, self.padding, self.stride, self.groups",
    ),
    Fault(
        "conv_input: only the second derivative is wrong, for w is read as an array",
        CONV + "ConvInput.vjp_g",
        "(c, w)",
        '(c, getattr(w, "_data", w))',
    ),
    Fault(
        "conv_input: image and cotangent exchanged in the gradient of w",
        CONV + "ConvInput.vjp_w",
        "(c, g)",
        "(g, c)",
    ),
    Fault(
        "conv_filter: the groups are forgotten",
        CONV + "ConvFilter.vjp_g",
        "*self.geometry",
        "*self.geometry[:3], 1",
    ),
    Fault(
        "conv_filter: the padding is turned round in the gradient of x",
        CONV + "ConvFilter.vjp_x",
        "*self.geometry",
        "self.stride, tuple(p[::-1] for p in self.padding), self.dilation, self.groups",
    ),
    Fault(
        "conv kernel: the filter is not flipped in the gradient of the image",
        KERNELS + "conv_input",
        "w[(slice(None, None, -1),) * len(span)]",
        "w",
        ("conv", "conv_input"),
    ),
    Fault(
        "conv kernel: padding before and after exchanged in the gradient of the image",
        KERNELS + "conv_input",
        "(s - b, s - a)",
        "(s - a, s - b)",
        ("conv", "conv_input"),
    ),
    Fault(
        "conv kernel: padding off by one in the gradient of the image",
        KERNELS + "unpad",
        "slice(b, b + n)",
        "slice(max(b - 1, 0), max(b - 1, 0) + n)",
        ("conv", "conv_input"),
    ),
    Fault(
        "conv kernel: the gradient of the image ends where its last window ends",
        KERNELS + "_conv_input",
        "[n + b + a for n, (b, a) in zip(size, padding, strict=True)]",
        "[(p - 1) * s + d * (k - 1) + 1 for p, s, d, k in"
        " zip(g.shape[1:-1], stride, dilation, kernel)]",
        ("conv", "conv_input"),
    ),
    Fault(
        "conv kernel: overlapping windows overwritten in the gradient of the image",
        KERNELS + "_conv_input",
        "below[(slice(None), *where)] +=",
        "below[(slice(None), *where)] =",
        ("conv", "conv_input"),
    ),
    Fault(
        "conv kernel: stride and dilation exchanged in the gradient of the filter",
        KERNELS + "conv_filter",
        "windows(x, kernel, stride, dilation)",
        "windows(x, kernel, dilation, stride)",
        ("conv", "conv_filter"),
    ),
    Fault(
        "conv kernel: padding turned round in the gradient of the filter",
        KERNELS + "conv_filter",
        "pad_spatial(x, padding)",
        "pad_spatial(x, tuple(p[::-1] for p in padding))",
        ("conv", "conv_filter"),
    ),
    Fault(
        "conv kernel: blocks of images overwrite each other in the gradient of the filter",
        KERNELS + "conv_filter",
        "total += ",
        "total[...] = ",
        (TEST + "test_kernels.py::test_blocks_change_nothing",),
    ),
    Fault(
        "conv kernel: groups mixed, channels of the result interleaved",
        KERNELS + "_split",
        ", slice(k * o, k * o + o), slice(k * o, k * o + o)",
        ", slice(k * o, k * o + o), slice(k, None, groups)",
        CONVS,
    ),
    Fault(
        "conv kernel: a 1×1 filter ignores the stride",
        KERNELS + "_conv_parts",
        "prod(kernel) == 1 and prod(stride) == 1",
        "prod(kernel) == 1",
        CONVS,
    ),
    Fault(
        "conv kernel: the image is taken to be in C order",
        KERNELS + "windows",
        "= x.strides",
        "= np.empty(x.shape, x.dtype).strides",
        CONVS,
    ),
    Fault(
        "conv kernel: float32 becomes float64",
        "gradgraph.kernels.dispatch:_by_numpy",
        "np.result_type(*arguments[:2])",
        "np.result_type(*arguments[:2], float)",
        CONVS,
    ),
    Fault(
        "conv kernel: the last position is lost when there is a stride",
        KERNELS + "out_size",
        "// stride + 1",
        "// stride + (stride == 1 or n < 2 * stride)",
        (*CONVS, "max_pool", "avg_pool"),
    ),
    Fault(
        "convolutions: spec announces float64",
        CONV + "Conv.spec",
        "promote(x, w)",
        "np.dtype(float)",
    ),
)

_POOL = (
    Fault(
        "max_pool: padding is 0, which wins over negative pixels",
        POOLING + "max_pool",
        "pad_spatial(x, padding, low)",
        "pad_spatial(x, padding)",
        ("max_pool",),
    ),
    Fault(
        "max_pool: taken for linear, the tangent is the maximum of the tangents",
        POOL + "MaxPool.jvp_x",
        "Pick.of(*self.geometry)(t, winner)",
        "MaxPool.of(*self.geometry)(t)",
    ),
    Fault(
        "max_pool: the stride is taken for the kernel's size on the way back",
        POOL + "MaxPool.vjp_x",
        "*self.geometry",
        "self.kernel, self.kernel, self.padding, self.dilation",
    ),
    Fault(
        "pick: the padding is turned round on the way back",
        POOL + "Pick.vjp_x",
        "*self.geometry",
        "self.kernel, self.stride, tuple(p[::-1] for p in self.padding), self.dilation",
    ),
    Fault(
        "place: the stride is taken for the kernel's size on the way back",
        POOL + "Place.vjp_g",
        "*self.geometry",
        "self.kernel, self.kernel, self.padding, self.dilation",
    ),
    Fault(
        "pool kernel: overlapping windows overwritten",
        POOLING + "place",
        "image[(slice(None), *where)] += share",
        "image[(slice(None), *where)] = share",
        ("max_pool", "pick", "place"),
    ),
    Fault(
        "pool kernel: windows that overlap along one axis only are taken to be apart",
        POOLING + "spacing",
        "apart = all(",
        "apart = any(",
        ("max_pool", "pick", "place"),
    ),
    Fault(
        "pool kernel: what remains beside the last window is not set to zero",
        POOLING + "spacing",
        "n == k * m and s == k",
        "s == k",
        ("max_pool", "pick", "place"),
    ),
    Fault(
        "window_spread: padding counts again",
        AVERAGE + "WindowSpread.vjp_g",
        "self.counted",
        "self.padding",
    ),
    Fault(
        "window_spread: overlapping windows overwritten",
        POOLING + "window_spread",
        "+= share",
        "= share",
        ("avg_pool", "window_spread"),
    ),
    Fault(
        "window_spread: float32 becomes float64",
        AVERAGE + "WindowSpread.forward",
        "np.asarray(self._counts(self.size), dtype)",
        "np.asarray(self._counts(self.size), float)",
    ),
    Fault(
        "avg_pool: divided by the number of taps, whatever they weigh",
        AVERAGE + "WindowMean._counts",
        "prod(self.kernel) if weights is None else weights.sum()",
        "prod(self.kernel)",
        ("blur_pool", "blur_spread"),
    ),
    Fault(
        "blur_pool: the gradient is that of the plain average",
        AVERAGE + "BlurPool.vjp_x",
        "BlurSpread",
        "WindowSpread",
    ),
    Fault(
        "blur_spread: the gradient is that of the plain average",
        AVERAGE + "BlurSpread.vjp_g",
        "BlurPool",
        "WindowMean",
    ),
    Fault(
        "blur_pool: weights of the next row of Pascal's triangle, which is not symmetric here",
        AVERAGE + "_binomial",
        "comb(k - 1, i)",
        "comb(k, i)",
        (TEST + "test_pitfalls.py::test_16_blurring_weighs_like_binomial_coefficients",),
    ),
)

_WINDOWS = (
    Fault(
        "unfold: the dilation is forgotten on the way back",
        UNFOLD + "Unfold.vjp_x",
        "*self.geometry",
        "*self.geometry[:3], (1,) * len(self.kernel)",
    ),
    Fault(
        "fold: stride and dilation exchanged on the way back",
        UNFOLD + "Fold.vjp_columns",
        "*self.geometry",
        "self.kernel, self.dilation, self.padding, self.stride",
    ),
    Fault(
        "fold kernel: overlapping windows overwritten",
        KERNELS + "fold",
        "+= rows",
        "= rows",
        ("unfold", "fold"),
    ),
    Fault(
        "max_pool: the dilation is forgotten on the way back",
        POOLING + "place",
        "taps(kernel, stride, dilation,",
        "taps(kernel, stride, (1,) * len(kernel),",
        ("max_pool", "pick", "place"),
    ),
    Fault(
        "max_pool: dilated windows that interleave are taken to be apart",
        POOLING + "spacing",
        "d * (k - 1) + 1 for",
        "k for",
        ("max_pool", "pick", "place"),
    ),
    Fault(
        "max_pool_indices: counted from the corner of the padded image",
        POOLING + "pixels_of",
        "* s - b)",
        "* s)",
        ("max_pool_indices",),
    ),
    Fault(
        "adaptive_avg_pool: bins do not overlap",
        POOLING + "bins",
        "-(-(i + 1) * size // count)",
        "max((i + 1) * size // count, i * size // count + 1)",
        ("adaptive_avg_pool", "bin_spread"),
    ),
    Fault(
        "bin_spread: bins that overlap overwrite each other",
        POOLING + "bin_spread",
        "image[(*before, part)] +=",
        "image[(*before, part)] =",
        ("adaptive_avg_pool", "bin_spread"),
    ),
    Fault(
        "depthwise kernel: the gradient of the image overwrites itself",
        KERNELS + "depthwise_input",
        "below[(slice(None), *where)] += share",
        "below[(slice(None), *where)] = share",
        ("conv", "conv_input"),
    ),
    Fault(
        "conv_transpose: padding before and after exchanged",
        "gradgraph.ops.conv_transpose:conv_transpose",
        "ConvTranspose.of(strides, pairs,",
        "ConvTranspose.of(strides, tuple(p[::-1] for p in pairs),",
        (TEST + "test_ops_conv.py::TestConvTranspose",),
    ),
)

_CUSTOM = (
    Fault(
        "custom: cotangents are handed to the arguments in reverse",
        CUSTOM + "Custom.pulls",
        "list(result) if",
        "list(result)[::-1] if",
    ),
    Fault(
        "custom: an argument without a tangent gets ones",
        CUSTOM + "Custom.pushes",
        "np.zeros_like(x) if t is None",
        "np.ones_like(x) if t is None",
    ),
    Fault(
        "part: the cotangent goes to the first of several results",
        OP + "Part.vjp_x",
        "i == self.index",
        "i == 0",
        (TEST + "test_sweep.py::test_several_outputs",),
    ),
)

_SWEEP = (
    Fault(
        "pull: fan-out overwritten instead of summed",
        SWEEP + "_collect",
        "np.add(prior, c, out=np.empty_like(c))",
        "c",
        ("programs",),
    ),
    Fault(
        "pull: the sum is written into an array that somebody else holds",
        SWEEP + "_collect",
        "out=np.empty_like(c)",
        "out=prior",
        ("programs",),
    ),
    Fault(
        "pull: the fast path for y writes into an array that somebody else holds",
        SWEEP + "pull",
        "elif y in owned:",
        "elif isinstance(prior, ndarray):",
        ("programs",),
    ),
    Fault(
        "pull: the fast path for x forgets what arrived before",
        SWEEP + "pull",
        "_collect(grads, owned, x, c, False)\n            prior",
        "grads[x] = c\n            prior",
        ("programs",),
    ),
    Fault(
        "pull: recorded cotangents overwritten instead of summed",
        SWEEP + "_collect",
        "grads[x] = prior + c",
        "grads[x] = c",
        ("programs",),
    ),
    Fault(
        "pull: cotangents of a tuple overwritten instead of summed",
        SWEEP + "_collect",
        "a if b is None else a + b",
        "a",
        (TEST + "test_sweep.py::test_several_outputs",),
    ),
    Fault(
        "pull: a part without a cotangent has no rows",
        SWEEP + "_pull_one",
        "np.zeros(lead + part.shape, part.dtype)",
        "np.zeros(part.shape, part.dtype)",
        (TEST + "test_sweep.py::test_one_of_several_outputs",),
    ),
    Fault(
        "pull: a slice is added into an array that somebody else holds",
        SWEEP + "_buffer",
        "np.array(grads[x])",
        "grads[x]",
        ("getitem", "programs"),
    ),
    Fault(
        "pull: each recorded rule counts once for every argument",
        SWEEP + "_pull_one",
        "[j == i for j in range(len(inputs))]",
        "list(wanted)",
        ("programs",),
    ),
    Fault(
        "pull: every row of a Jacobian is its first row",
        SWEEP + "_row_by_row",
        "else g[i]",
        "else g[0]",
        (*CONVS, "getitem"),
    ),
    Fault(
        "pull: rules that take no extra axis are called with all rows at once",
        SWEEP + "_pull_one",
        "if rows and not op.batched:",
        "if False:",
        (*CONVS, "max_pool"),
    ),
    Fault(
        "pull: inner gradients are handed out as if they were a leaf's",
        SWEEP + "pull",
        "grads[v] if v.retains else grads.pop(v)",
        "grads[v]",
        (TEST + "test_tensor.py::TestBackward::test_inner_tensors_have_no_gradient",),
    ),
    Fault(
        "reach: no topological order",
        SWEEP + "reach",
        "order.sort(key=_BIRTH)",
        "order.sort(key=lambda v: -len(v.inputs))",
        ("programs",),
    ),
    Fault(
        "downstream: a vertex counts only if all its inputs depend on the source",
        SWEEP + "downstream",
        "any(x in found",
        "all(x in found",
        ("programs", "add", "conv"),
    ),
    Fault(
        "fit: unbroadcast by slicing instead of summing",
        SWEEP + "fit",
        "ops.sum(c, axis=axes, keepdims=True)",
        "ops.getitem(c, tuple(slice(0, 1) if i in axes else slice(None) for i in range(c.ndim)))",
        ("add", "broadcast_to", "programs"),
    ),
    Fault(
        "fit: axes of length 1 are counted without the new leading axes",
        SWEEP + "fit",
        "*(i + extra for i in short)",
        "*short",
        ("multiply", "programs"),
    ),
    Fault(
        "fit: the rows of a Jacobian are summed like a broadcast axis",
        SWEEP + "fit",
        "first = 1 if rows else 0",
        "first = 0",
        ("add", "programs"),
    ),
    Fault(
        "push: only the first term is kept",
        SWEEP + "push",
        "total = term if total is None else total + term",
        "total = term if total is None else total",
        ("multiply", "programs"),
    ),
    Fault(
        "push: only the first term is kept in the general step",
        SWEEP + "_total",
        "terms[1:]",
        "()",
        ("conv", "squared_error"),
    ),
    Fault(
        "push: recorded tangents forget all terms but the last",
        SWEEP + "_total",
        "total = total + t",
        "total = t if isinstance(t, Vertex) else total + t",
        ("multiply", "programs"),
    ),
    Fault(
        "saved: the recorded pass keeps the saved array of its moment",
        OP + "Saved.all",
        "make(type(v), saved, Saved.of(i), (v,), (), v.version, False, mode)",
        "make(Op.vertex, saved, None, (), (), 0, False, mode)",
        ("max_pool",),
    ),
    Fault(
        "replay: an array that forward saved is the stale one",
        GRAPH + "Graph.replay",
        "saved[step.inputs[0]][step.op.index]",
        "self.vertices[step.output]._data",
        ("max_pool",),
    ),
    Fault(
        "replay: a constant that has a name of its own is read as ones",
        GRAPH + "Graph.replay",
        "slots[i] = self.vertices[i]._data",
        "slots[i] = np.ones_like(self.vertices[i]._data)",
        ("multiply", "programs"),
    ),
    Fault(
        "replay: hands out the caller's own buffer",
        GRAPH + "Graph.replay",
        "tuple(np.array(slots[i])",
        "tuple(np.asarray(slots[i])",
        (TEST + "test_reviews.py::test_replay_does_not_hand_out_its_argument",),
    ),
    Fault(
        "graph: steps in no order in which they can run",
        GRAPH + "ancestors",
        'attrgetter("birth")',
        "lambda v: -v.birth",
        ("programs",),
    ),
    Fault(
        "backward: .grad is the caller's cotangent",
        TENSOR + "_deposit",
        "np.array(raw(g))",
        "np.asarray(raw(g))",
        ("add", "reshape"),
    ),
    Fault(
        "backward: .grad overwritten instead of accumulated",
        TENSOR + "_deposit",
        "v._grad + g if tracked else v._grad._data + g",
        "g",
        ("programs", TEST + "test_tensor.py::TestBackward::test_accumulates"),
    ),
    Fault(
        "backward: accumulates into a gradient that was handed out",
        TENSOR + "_deposit",
        "else v._grad._data + g",
        "else np.add(v._grad._data, g, out=v._grad._data)",
        (
            TEST
            + "test_tensor.py::TestBackward::test_a_gradient_that_was_read_does_not_change_later",
        ),
    ),
    Fault(
        "backward: tracked gradients of several leaves are one array",
        TENSOR + "_deposit",
        "g._data.base is not None or id(g._data) in taken",
        "False",
        (TEST + "test_tensor.py::TestBackward::test_tracked_gradients_share_no_memory",),
    ),
)

_TRANSFORM = (
    Fault(
        "grad: gradients in the order of the arguments, not of argnums",
        TRANSFORM + "value_and_grad",
        "places = [i % len(xs) for i in picked]",
        "places = sorted(i % len(xs) for i in picked)",
        (TEST + "test_transform.py::TestGrad::test_argnums",),
    ),
    Fault(
        "grad: two arguments get one array",
        TRANSFORM + "_give_all",
        'roots.append(_root(getattr(value, "_data", value)))',
        "pass",
        (TEST + "test_transform.py::TestTypes::test_results_alias_nothing",),
    ),
    Fault(
        "operators: closed-over parameters are forgotten",
        TRANSFORM + "_recorded",
        "or any(v not in own and v.op is None for v in order)",
        "",
        (TEST + "test_transform.py::TestClosures::test_a_gradient_over_a_closed_over_parameter",),
    ),
    Fault(
        "operators: an inner operator's alias stays a leaf that somebody waits for",
        TRANSFORM + "_release",
        "v.requires_grad = False",
        "pass",
        (
            TEST + "test_transform.py::TestClosures"
            "::test_what_an_inner_operator_differentiated_by_is_not_waited_for",
        ),
    ),
    Fault(
        "jvp: a tangent goes to the wrong argument",
        TRANSFORM + "jvp",
        "zip(aliases, ts, strict=True)",
        "zip(aliases, ts[::-1], strict=True)",
        (TEST + "test_transform.py::TestVjpJvp::test_several_results_and_arguments",),
    ),
    Fault(
        "jacobian: rows reshaped as if they were columns",
        TRANSFORM + "jacobian",
        "(*out.shape, *fresh.shape)",
        "(*fresh.shape, *out.shape)",
        (TEST + "test_transform.py::test_jacobian_is_made_of_rows",),
    ),
    Fault(
        "hvp: the gradient instead of its derivative",
        TRANSFORM + "hvp",
        "(v,))[1]",
        "(v,))[0]",
        (
            TEST + "test_transform.py::TestHigherOrder::"
            "test_forward_over_reverse_is_reverse_over_forward",
        ),
    ),
)

FAULTS: tuple[Fault, ...] = (
    *_ELEMENTWISE,
    *_MATH,
    *_LINALG,
    *_EINSUM,
    *_FACTOR,
    *_REDUCE,
    *_NORMALISATION,
    *_SHAPE,
    *_INDEX,
    *_SOFTMAX,
    *_LOSS,
    *_MORE_LOSSES,
    *_CONV,
    *_POOL,
    *_WINDOWS,
    *_CUSTOM,
    *_SWEEP,
    *_TRANSFORM,
)

HISTORICAL: tuple[Fault, ...] = (
    Fault(
        "broadcasting undone along new axes only",
        SWEEP + "fit",
        "1 != c.shape[i + extra]",
        "1 != c.shape[i + extra] and extra",
        ("multiply", "programs"),
        "HIPS/autograd#376",
    ),
    Fault(
        "broadcasting undone by a mean",
        SWEEP + "fit",
        "ops.sum(c, axis=axes, keepdims=True)",
        "ops.mean(c, axis=axes, keepdims=True)",
        ("multiply", "programs"),
        "jax#6452",
    ),
    Fault(
        "the batch of a product is not folded before its shape is restored",
        LINALG + "Matmul.vjp_x",
        "return g[..., None] * y",
        "return g[..., None] * y * (x.ndim > 1)",
        ("matmul",),
        "jax#3056",
    ),
    Fault(
        "a label that nothing else has is not spread over its axis",
        EINSUM + "_spread",
        "return broadcast_to(c, lead + shape)",
        "return c",
        ("einsum",),
        "HIPS/autograd#376",
    ),
    Fault(
        "a repeated label has no diagonal to go to",
        EINSUM + "_spread",
        "if len(times) == len(own):",
        "if all(times[v] == 1 for v in kept):",
        ("einsum",),
        "HIPS/autograd#115",
    ),
    Fault(
        "the gradient of a symmetric matrix is triangular",
        CHOLESKY + "Cholesky.vjp_a",
        "return _symmetric(back @ half @ matrix_transpose(back))",
        "return mask(back @ half @ matrix_transpose(back), _low(out))",
        ("cholesky",),
        "pytorch#18825",
    ),
    Fault(
        "float32 in, float64 gradient out",
        SWEEP + "fit",
        "if c.dtype != like.dtype:",
        "if False:",
        ("cast", "max", "power"),
        "HIPS/autograd#163",
    ),
    Fault(
        "the gradient of a maximum has a wider dtype than its argument",
        SWEEP + "fit",
        "if c.dtype != like.dtype:",
        "if False:",
        ("max",),
        "HIPS/autograd PR#199",
    ),
    Fault(
        "an array that is changed after the forward pass changes the gradient",
        "gradgraph.record:_constant",
        "np.array(array) if keep else array",
        "array",
        (TEST + "test_tensor.py::TestData::test_an_array_operand_is_copied",),
        "NVIDIA/warp#1350",
    ),
    Fault(
        "state that is changed after the forward pass goes unnoticed",
        SWEEP + "pull",
        "if v._seen != x.version + y.version:",
        "if False:",
        (TEST + "test_sweep.py::test_mutation_after_forward",),
        "NVIDIA/warp#1350",
    ),
    Fault(
        "repeated indices overwrite each other",
        SCATTER + "add_at",
        "if not repeats(index):",
        "if True:",
        ("getitem", "scatter"),
        "pytorch#1631",
    ),
    Fault(
        "negative indices are lost",
        INDEX + "Scatter.forward",
        "index_of(self.pattern, indices)",
        "index_of(self.pattern, [i if i.dtype == bool else np.maximum(i, 0) for i in indices])",
        ("getitem", "scatter"),
        "mlx#3787",
    ),
    Fault(
        "an empty list is no index",
        INDEX + "as_index",
        "array.size == 0 and isinstance(item, list | tuple)",
        "False",
        (TEST + "test_pitfalls.py::test_05_empty_indices",),
        "jax#13656",
    ),
    Fault(
        "a slice's cotangent is an array of zeros as large as the whole",
        SWEEP + "_pull_one",
        'getattr(op, "vjp_x_into", None)',
        "None",
        (TEST + "test_sweep.py::test_slices_accumulate_in_place",),
        "HIPS/autograd#219",
    ),
    Fault(
        "the last of several greatest pixels wins",
        POOLING + "max_pool",
        "np.greater(pixels, out, out=better)",
        "np.greater_equal(pixels, out, out=better)",
        ("max_pool",),
        "tensorflow#4886",
    ),
    Fault(
        "maximum: the whole gradient to y at a tie",
        CHOICE + "_Extreme.vjp_y",
        "self._share(g, y, x)",
        "mask(g, negate(greater(x, y)))",
        ("maximum",),
        "tinygrad#738",
    ),
    Fault(
        "the number of ties overflows in half precision",
        REDUCE + "Extremum._winners",
        "x.dtype if x.dtype.itemsize > 2 else float",
        "x.dtype",
        (TEST + "test_pitfalls.py::test_07_many_ties_in_half_precision",),
        "tinygrad#12296",
    ),
    Fault(
        "the number of elements of a mean overflows in half precision",
        REDUCE + "Mean.vjp_x",
        "g * (1.0 / self._count(x))",
        "g / x.dtype.type(self._count(x))",
        (TEST + "test_tensor.py::TestDtypes::test_the_mean_of_many_halves",),
        "tinygrad#12296",
    ),
    Fault(
        "0 times infinity on the side that is not taken",
        KERNELS + "weighted",
        "result if finite else np.where(source == 0, np.zeros_like(result), result)",
        "result",
        ("mask", "where", TEST + "test_pitfalls.py::test_08_relu_of_infinity"),
        "jax#1052",
    ),
    Fault(
        "NaN from the logarithm of a base of 0",
        ARITHMETIC + "Power.vjp_y",
        "where(flat, 1.0, x)",
        "x",
        ("power",),
        "jax#5798",
    ),
    Fault(
        "a derivative at 0 by dividing the result by the argument",
        ARITHMETIC + "Power.vjp_x",
        "y * where(flat, 1.0, x) ** (y - 1.0)",
        "y * out / x",
        ("power",),
        "tinygrad#17404",
    ),
    Fault(
        "recursion over the graph: deep ones overflow the stack",
        SWEEP + "reach",
        "order.sort(key=_BIRTH)\n    return order",
        """left, order = set(found), []
    def visit(v):
        left.discard(v)
        for x in v.inputs:
            if x in left:
                visit(x)
        order.append(v)
    while left:
        visit(next(iter(left)))
    return order""",
        (TEST + "test_memory.py::test_deep_chains",),
        "micrograd PR#90",
    ),
    Fault(
        "a vertex holds a closure over itself",
        "gradgraph.node:make",
        "v.name = None",
        "v.name = lambda: v",
        (TEST + "test_memory.py::test_a_dropped_graph_leaves_nothing_to_collect",),
        "micrograd",
    ),
    Fault(
        "create_graph leaves a cycle that only the collector frees",
        TENSOR + "_deposit",
        "taken.add(id(g._data))",
        "g._grad = g",
        (TEST + "test_memory.py::test_create_graph_is_freed_when_the_gradients_are_dropped",),
        "pytorch#7343",
    ),
    Fault(
        "nested derivatives confuse perturbations",
        TRANSFORM + "_aliases",
        "ops.alias(x) if tracked",
        "x if tracked",
        (
            TEST + "test_transform.py::TestHigherOrder"
            "::test_no_perturbation_confusion_with_one_argument",
        ),
        "pytorch#32576",
    ),
    Fault(
        "a tensor that is used twice keeps the last cotangent only",
        SWEEP + "_collect",
        "_add(prior, c, prior)",
        "grads[x] = c",
        ("programs",),
        "micrograd#2",
    ),
    Fault(
        "a second backward counts the first one again",
        SWEEP + "pull",
        "grads: dict[Vertex, Any] = dict.fromkeys(order)",
        "grads = {v: getattr(v._grad, '_data', None) for v in order}",
        (TEST + "test_tensor.py::TestBackward::test_twice_through_one_graph",),
        "micrograd#53",
    ),
    Fault(
        "a rule that is missing is found only when it is called",
        "gradgraph.contract:complete",
        "if not hasattr(cls, method):",
        "if False:",
        (TEST + "test_op_contract.py::test_what_is_missing_is_named_with_what_to_add",),
        "mlx#1771",
    ),
    Fault(
        "an axis of length 0 has no maximum",
        SOFTMAX + "to_top",
        ", initial=-np.inf",
        "",
        ("softmax", TEST + "test_pitfalls.py::test_15_zero_length_axes"),
        "pytorch#31515",
    ),
    Fault(
        "the filter's gradient from an empty batch fails",
        KERNELS + "conv_filter",
        "if not (x.size and g.size):",
        "if False:",
        ("conv", "conv_filter", TEST + "test_pitfalls.py::test_15_zero_length_axes"),
        "pytorch#31782",
    ),
    Fault(
        "average pooling divides by another count on the way back",
        AVERAGE + "WindowMean.vjp_x",
        "self.counted",
        "self.padding",
        ("avg_pool",),
        "pytorch#198119",
    ),
    Fault(
        "spreading a mean divides by another count than the mean",
        AVERAGE + "WindowSpread.forward",
        "np.asarray(self._counts(self.size), dtype)",
        "np.asarray(prod(self.kernel), dtype)",
        ("avg_pool", "window_spread"),
        "burn#5604",
    ),
    Fault(
        "max_pool: what ceil_mode adds starts a window in the padding after the image",
        POOL + "with_last_window",
        "if start >= n + b:",
        "if False:",
        (TEST + "test_ops_conv.py::TestMaxPool",),
        "pytorch#45357",
    ),
    Fault(
        "avg_pool: what ceil_mode adds counts as pixels",
        AVERAGE + "WindowMean._counts",
        "if self.counted == self.padding:",
        "if any(n for pair in self.counted for n in pair):",
        ("avg_pool", "window_spread"),
        "onnxruntime#16203",
    ),
    Fault(
        "a kernel larger than the image gives an empty result",
        "gradgraph.ops.geometry:out_positions",
        "if span > n + b + a:",
        "if False:",
        (TEST + "test_errors.py::test_golden",),
        "jax",
    ),
    Fault(
        "a label out of range counts from the end",
        CLASSIFY + "_check_labels",
        "if not labels.size or (labels.min() >= 0 and labels.max() < classes):",
        "if True:",
        (TEST + "test_errors.py::test_golden",),
        "optax#1185",
    ),
    Fault(
        "the squared error of (4,) and (4, 1) broadcasts silently",
        LOSS + "check_shapes",
        "if guess != actual:",
        "if False:",
        (TEST + "test_errors.py::test_golden",),
        "jax",
    ),
    Fault(
        "the mean of items that are all ignored is NaN",
        CLASSIFY + "_class_losses",
        "where(equal(total, 0), 1.0, total)",
        "total",
        (TEST + "test_ops_loss.py::TestCrossEntropy",),
        "pytorch#75181",
    ),
    Fault(
        "the gradient of the divergence from a probability of 0 is NaN",
        LOSS + "_by_truth",
        "where(equal(actual, 0), 1.0, actual)",
        "actual",
        (TEST + "test_ops_loss.py::TestKlDivergence",),
        "pytorch#89558",
    ),
    Fault(
        "the gradient of the cosine with a vector of zeros is NaN",
        SIMILARITY + "_lengths",
        "maximum(where(equal(length, 0), inf, length), least)",
        "length",
        (TEST + "test_ops_loss.py::TestCosineSimilarity",),
        "optax#946",
    ),
    Fault(
        "the mode of a generator leaks into its consumer",
        "gradgraph.mode:_runs",
        "frame is None or frame.f_back is not None",
        "True",
        (TEST + "test_modes.py::test_a_generator_does_not_leak_into_its_consumer",),
        "pytorch#82145",
    ),
    Fault(
        "an array that is not contiguous is read in the order of memory",
        SHAPE + "Reshape.forward",
        "np.reshape(x, self.shape)",
        'np.reshape(x.ravel(order="K"), self.shape)',
        ("reshape",),
        "safetensors#825",
    ),
)
