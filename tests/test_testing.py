"""What `gradgraph.testing` tells its users: refusals, reports, reproducers, command, plugin."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import os
import pickle
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

import gradgraph as gg
from gradgraph import nn
from gradgraph.testing import (
    Arguments,
    CannotCheck,
    WrongGradient,
    blame,
    broadcastable,
    check,
    check_op,
    conv_cases,
    given_gradients,
    index_cases,
    pool_cases,
    shapes,
    tensors,
)

ROOT = Path(gg.__file__).parents[1]
X = np.array([[0.3, -0.5, 1.2], [0.7, 0.1, -0.9]])


def _put(g, x):
    out = np.zeros(x.shape)
    out[x > 0.25] = g
    return out


def _pairs(g, x):
    return (2 * g[..., None] * x.reshape(*g.shape, 2)).reshape(x.shape)


def bad_sine():
    return gg.custom(np.sin, vjp=lambda g, out, x: g * np.sin(x), name="bad sine")


def test_the_definition_rounds_too():
    """ln(eˣ) in the definition of log_softmax rounds to eps of 1, not of x."""
    x = np.array([[8.04554356e-06], [-4.05558782e-01], [1e-9]])
    op = gg.Op.registry["log_softmax"](-1)
    assert check_op(op, x).verdict == "passed"


class TestRefusals:
    """Bad input gets a clear message of one sentence and one fix, and is never passed."""

    def refused(self, function, *args, **options):
        with pytest.raises(CannotCheck) as error:
            check(function, *args, **options)
        text = str(error.value)
        assert text.startswith("cannot check ")
        assert "Traceback" not in text
        return text

    def test_not_deterministic(self):
        rng = np.random.default_rng(0)
        text = self.refused(lambda x: x * rng.normal(), X)
        assert "two calls with the same arguments gave different results" in text
        calls = []
        text = self.refused(lambda x: x.sum() * len(calls) + (calls.append(1) or 0), X)
        assert "different results" in text

    def test_nothing_is_returned(self):
        def forgot(x):
            x * 2.0

        assert "it returned nothing, not a tensor. Does it lack a return?" in self.refused(
            forgot, X
        )
        assert "it returned nothing" in self.refused(lambda x: None, X, vjp=lambda g, x: g)

    def test_something_else_is_returned(self):
        assert "it returned a str, not a tensor" in self.refused(lambda x: "3", X)
        assert "it returned a dict" in self.refused(lambda x: {"loss": x.sum()}, X)

    @pytest.mark.parametrize(
        "function",
        [
            lambda x: gg.cast(x, np.int64),
            lambda x: x > 0,
            lambda x: 3,
            lambda x: gg.Tensor(np.array([1, 2])),
        ],
    )
    def test_no_floats_are_returned(self, function):
        assert "only floats have derivatives" in self.refused(function, X)

    def test_the_argument_is_written(self):
        def scale(x):
            x.data[0] = 2.0
            return x

        def scale_array(x):
            x *= 2
            return x

        def assign(x):
            x.assign(x.data + 1.0)
            return x * 2.0

        assert "it writes into an array of its graph" in self.refused(scale, X)
        assert "it changes its argument x in place" in self.refused(assign, X)
        with pytest.raises(WrongGradient, match="changes its argument x in place"):
            check(scale_array, X, vjp=lambda g, x: 2 * g)

    def test_a_kink_exactly_at_the_sample(self):
        text = self.refused(gg.relu, np.array([0.0, 1.0]))
        assert "the slope of out[0] is 0 on one side and" in text
        assert check(gg.relu, np.array([0.0, 1.0]), kinks="accept").tally.kinks

    def test_a_point_outside_the_domain(self):
        assert "is not finite" in self.refused(gg.log, np.array([-1.0, 2.0]))
        text = self.refused(gg.log, tensors((3,), values="tied"))
        assert "not finite for" in text

    def test_it_raises(self):
        def only_small(x):
            if x.shape[0] > 2:
                raise ValueError("more than two rows.")
            return x.sum()

        text = self.refused(only_small, tensors(shapes(1, 2)))
        assert "it raised ValueError for x (3" in text
        assert text.count("..") == 0
        assert "RecursionError" in self.refused(lambda x: only_small.__call__(forever(x)), X)

    def test_it_needs_another_rank(self):
        text = self.refused(lambda x: gg.conv(x, np.ones((3, 3, 1, 1))), np.ones((2, 3)))
        assert "it raised ShapeError for x (2, 3) float64" in text

    def test_no_shape_that_is_guessed_fits(self):
        text = self.refused(lambda x: x.reshape(7, 11))
        assert "accepts none of the shapes that were tried" in text

    def test_nothing_to_differentiate_by(self):
        assert "there is nothing to differentiate by" in self.refused(lambda n: 2.0 * n, 3)
        assert "Pass floats, 2.0 instead of 2" in self.refused(lambda n: 2 * n, np.arange(3))
        assert "it takes no arguments" in self.refused(lambda: gg.Tensor([1.0]))
        assert "not inside of others" in self.refused(lambda xs: xs[0], [X], vjp=lambda g, xs: g)

    def test_bad_options(self):
        assert "order is 3" in self.refused(gg.sin, X, order=3)
        assert "kinks is 'ignore'" in self.refused(gg.sin, X, kinks="ignore")
        assert "it is no function" in self.refused(3, X)
        for examples in (0, -1, 1.5, True):
            assert "examples is" in self.refused(gg.sin, X, examples=examples)

    def test_differences_that_decide_nothing(self):
        def noise(x):
            return np.frombuffer(np.sin(1e12 * x).tobytes()).reshape(x.shape)

        text = self.refused(noise, X, vjp=lambda g, x: 1e12 * np.cos(1e12 * x) * g)
        assert "differences decided nothing" in text

    def test_an_empty_tuple_infinity_and_a_class(self):
        assert "an empty tuple" in self.refused(lambda x: (), X)
        assert "an argument is not finite" in self.refused(gg.tanh, np.array([1.0, np.inf]))
        assert "it is a class" in self.refused(nn.ReLU, X)
        assert "seed is -1" in self.refused(gg.sin, X, seed=-1)
        assert "the strategies draw no inputs" in self.refused(
            gg.sin, tensors((2,)).filter(lambda x: False)
        )

    def test_rules_that_cannot_be_called(self):
        assert "vjp is 3, no function" in self.refused(np.sin, X, vjp=3)
        text = self.refused(lambda x: np.sin(x), X, vjp=lambda g: g)
        assert text.endswith("Write vjp(g, x) or vjp(g, out, x).")

    def test_a_function_that_calls_backward_or_exits(self):
        def sweeps(x):
            (x * x).sum().backward()
            return x * 2.0

        assert "it raised GradError" in self.refused(sweeps, X)
        assert "it raised SystemExit" in self.refused(lambda x: sys.exit(0), X)
        assert "it raised SystemExit" in self.refused(np.sin, X, vjp=lambda g, x: sys.exit(0))
        text = self.refused(np.sin, tensors((2,)).map(lambda x: 1 / 0), vjp=lambda g, x: g)
        assert "it raised ZeroDivisionError" in text

    def test_seldom_different(self):
        rng = np.random.default_rng(0)
        for _ in range(5):
            self.refused(lambda x: x * (rng.random(3) > 0.1), np.ones(3))

    def test_where_a_function_ends(self):
        assert "was not finite" in self.refused(gg.sqrt, np.array([0.0, 1.0]))
        bases = self.refused(lambda x, p: x**p, np.array([-2.0, 1.0]), np.array([2.0, 3.0]))
        assert "was not finite" in bases

    def test_low_precision_inside(self):
        def rounded(x):
            return np.sin(x.astype(np.float32)).astype(float)

        assert "decided nothing" in self.refused(rounded, X, vjp=lambda g, x: 0 * g)
        assert check(rounded, X, vjp=lambda g, x: g * np.cos(x)).verdict == "passed"
        with pytest.raises(WrongGradient):
            check(rounded, X, vjp=lambda g, x: 2 * g * np.cos(x))

    def test_a_second_derivative_that_cannot_be_had(self):
        with pytest.raises(CannotCheck, match="pass order=1"):
            check(gg.custom(np.exp, vjp=lambda g, out, x: np.array(g) * np.exp(float(x))), 0.5)


def forever(x):
    return forever(x)


class TestWhatIsRight:
    """No false alarm: numbers that are small because large terms cancel, ties, odd shapes."""

    @pytest.mark.parametrize(
        "function",
        [
            lambda x: gg.softmax(x).sum(-1),
            lambda x: (x * 0.1) * 0.3 - x * (0.1 * 0.3),
            lambda x: gg.log(gg.exp(x)) - x,
            lambda x: (gg.sin(x) ** 2 + gg.cos(x) ** 2).sum(),
            lambda x: (x - x.mean(-1, keepdims=True)).sum(),
            lambda x: (x + 1e6) - 1e6 - x,
            lambda x: x * 0.0,
            lambda x: gg.exp(x * 1e-9),
            lambda x: x[:0],
        ],
    )
    def test_cancellation(self, function):
        for seed in range(5):
            assert check(function, X, seed=seed).verdict == "passed"

    @pytest.mark.parametrize(
        ("function", "x"),
        [
            (gg.tanh, [17.0]),
            (gg.tanh, [20.0, 21.0]),
            (gg.tanh, [711.0, 1.0]),
            (gg.sigmoid, [40.0, -40.0]),
            (gg.sigmoid, [-800.0]),
            (gg.softmax, [0.0, 1000.0]),
            (gg.log_softmax, [800.0, 1.0, 2.0]),
            (gg.log, [1e-12, 1.0]),
            (gg.log, [3e-14]),
            (gg.sqrt, [1e-20, 1e-8]),
            (lambda x: gg.log(1 + gg.exp(x)), [-40.0]),
            (lambda x: (gg.exp(x) - 1) / x, [1e-6]),
            (lambda x: (1 - gg.cos(x)) / x**2, [1e-4, 1e-6]),
            (lambda x: x * x, [1e150]),
            (lambda x: x * x, [1e-150]),
            (lambda x: x * 1e-150, [0.3]),
            (lambda x: 1 / x, [1e-9, -1e-9, 1.0]),
            (lambda x: gg.tanh(1e12 * x), [1e-12]),
            (lambda x: gg.sin(1e5 * x), [0.3, 1.0]),
            (lambda x: x / gg.sqrt((x * x).sum()), [1e-10, 2e-10]),
            (lambda x: gg.relu(x), [1e-4, -1e-4, 1e-9, -1e-9]),
            (lambda x: (x, np.ones(2)), [1.0]),
            (lambda x: np.ones(2), [1.0]),
            (lambda x: gg.cast(gg.cast(x, np.float32) * 3, np.float64), [0.1]),
        ],
    )
    def test_saturation_and_scales(self, function, x):
        assert check(function, np.array(x)).verdict == "passed"

    @pytest.mark.parametrize(
        "function",
        [
            lambda x: gg.relu(x) ** 2,
            lambda x: gg.relu(x) - gg.relu(-x),
            lambda x: gg.absolute(x) * gg.absolute(x),
            lambda x: gg.max(x) - gg.max(-x),
            lambda x: gg.where(gg.absolute(x) > 1, gg.absolute(x) - 0.5, 0.5 * x * x),
            lambda x: gg.where(x > 0, x, 0.25 * x),
        ],
    )
    def test_kinks_of_several_ops(self, function):
        assert check(function, tensors((4,))).verdict == "passed"

    def test_networks_on_their_kinks(self):
        image = np.zeros((1, 28, 28, 1))
        image[0, 8:20, 12:16] = 1.0
        net = nn.LeNet(rng=0)
        assert check(net, image, kinks="accept", examples=1, order=1).verdict == "passed"
        small = nn.Sequential(a=nn.Linear(3, 4, rng=0), b=nn.ReLU(), c=nn.Linear(4, 2, rng=1))
        assert check(small, tensors((2, 3)), examples=10).verdict == "passed"

    def test_the_scalar_graph_of_a_point_near_parameters(self):
        layer = nn.Linear(2, 1, rng=0)
        assert (
            check(lambda x: gg.exp(layer(x)).sum(), np.ones((1, 2)), examples=4).verdict == "passed"
        )

    def test_a_bias_before_a_normalisation_has_no_gradient(self):
        conv = nn.Conv(1, 2, 3, rng=0)

        def normalised(x):
            y = conv(x)
            y = y - y.mean((0, 1, 2), keepdims=True)
            y = y / gg.sqrt((y * y).mean((0, 1, 2), keepdims=True) + 1e-3)
            return gg.tanh(y).sum()

        x = np.random.default_rng(0).normal(size=(2, 5, 5, 1))
        assert check(normalised, x).verdict == "passed"

    def test_a_pair_whose_terms_cancel(self):
        def softmax(x):
            e = np.exp(x - x.max())
            return e / e.sum()

        def pull(g, x):
            p = softmax(x)
            return p * (g - (g * p).sum())

        for scale in (1, 100):
            check(softmax, scale * X, vjp=pull)
            check(lambda x: softmax(x).sum(), scale * X, vjp=pull)

    @pytest.mark.parametrize(
        ("function", "x", "pull"),
        [
            (lambda x: np.array(math.log(x)), 0.05, lambda g, x: g / x),
            (lambda x: x[x > 0.25], X, lambda g, x: np.where(x > 0.25, 1.0, 0) * _put(g, x)),
            (lambda x: np.abs(x.view(complex)) ** 2, X[:, :2], lambda g, x: _pairs(g, x)),
            (lambda x: 2 / (np.exp(2 * x) + 1), [12.0], lambda g, x: -g * (1 - np.tanh(x) ** 2)),
            (np.linalg.norm, [1e-12, 2e-12], lambda g, x: g * x / np.linalg.norm(x)),
            (lambda x: np.maximum(x, 0), [1e-10], lambda g, x: g * (x > 0)),
        ],
    )
    def test_pairs_with_narrow_domains(self, function, x, pull):
        assert check(function, np.array(x), vjp=pull).verdict == "passed"

    def test_a_rule_with_defaults_gets_the_result(self):
        def pull(g, out, x, alpha=1.0):
            return g * out * alpha, (g * out * x).sum()

        assert check(lambda x, alpha=1.0: np.exp(alpha * x), X, 2.0, vjp=pull).verdict == "passed"

    def test_rounded_results_are_no_faults(self):
        for function in (
            lambda x: np.sin(x.astype(np.float16)).astype(float),
            lambda x: np.round(np.sin(x), 3),
        ):
            with contextlib.suppress(CannotCheck):
                assert check(function, X, vjp=lambda g, x: g * np.cos(x)).verdict == "passed"

    def test_modules_with_parameters(self):
        net = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 2, rng=1))
        report = check(net, X)
        assert report.verdict == "passed"
        assert report.tally.held["second order"]

    def test_arguments_of_every_kind(self):
        def model(batch, weights, *, rate, steps=2):
            total = batch["x"] @ weights[0] + weights[1]
            return total.sum() * rate + 0.0 * steps + batch["y"][0]

        batch = {"x": X, "y": np.array([1, 0])}
        inputs = tensors((3, 2)).map(lambda w: Arguments((batch, [w, np.zeros(2)]), {"rate": 0.3}))
        assert check(model, inputs).verdict == "passed"


class TestWhatIsWrong:
    """Faults that are small, far from size 1, or hidden among others."""

    @pytest.mark.parametrize(
        ("function", "x", "pull"),
        [
            (lambda x: x * 1e-12, [0.3], lambda g, x: g * 2e-12),
            (lambda x: x * 1e-150, [0.3], lambda g, x: 0 * g),
            (lambda x: x * x, [1e-14], lambda g, x: 3 * x * g),
            (lambda x: x * x, [1e8], lambda g, x: 2 * x * g * (1 + 1e-3)),
            (np.exp, [-30.0], lambda g, x: 0 * g),
            (np.log, [1e-12, 1e-13], lambda g, x: g * x),
            (np.log, [1e-12, 1.0], lambda g, x: np.where(x < 0.1, 0, g / x)),
            (np.sin, [0.3, 1.0], lambda g, x: g * np.cos(x) * (1 + 1e-9)),
            (lambda x: np.sin(1e5 * x), [0.3], lambda g, x: 1e5 * g * np.sin(1e5 * x)),
            (
                lambda x: x * np.array([1e10, 1, 1e-10]),
                [0.3, 0.5, 0.7],
                lambda g, x: g * np.array([1e10, 1, 5e-10]),
            ),
            (lambda x: x * 2, [0.3], lambda g, x: g * (2 + 5j)),
            (lambda x: np.maximum(x, 0), [1e-9, 1.0], lambda g, x: g * np.where(x < 1e-6, 0.5, 1)),
        ],
    )
    def test_a_pair(self, function, x, pull):
        with pytest.raises(WrongGradient):
            check(function, np.array(x), vjp=pull)

    def test_one_element_of_many(self):
        x = np.linspace(-30, 30, 100)
        with pytest.raises(WrongGradient):
            check(np.exp, x, vjp=lambda g, x: g * np.exp(x) * (x > -10))

    def test_a_right_jvp_hides_no_wrong_vjp(self):
        x = np.linspace(-30, 30, 10)
        wrong = {"vjp": lambda g, x: g * np.where(x < -10, 0, np.exp(x))}
        with pytest.raises(WrongGradient):
            check(np.exp, x, jvp=lambda ts, x: ts[0] * np.exp(x), **wrong)

    def test_a_jvp_that_clips_or_writes(self):
        with pytest.raises(WrongGradient, match="linear"):
            check(np.sin, X, jvp=lambda ts, x: np.clip(ts[0], -3, 3) * np.cos(x))

        def writes(ts, x):
            x *= 1.5
            return ts[0] * np.cos(x)

        with pytest.raises(WrongGradient, match="the jvp changes its argument x in place"):
            check(lambda x: np.sin(x), X, jvp=writes)

    @pytest.mark.parametrize(
        "function",
        [
            lambda x: gg.relu(x * np.array([1, 0, 1.0])) + x * x.data,
            lambda x: gg.maximum(x, x * 1.0).sum() * x.data.sum(),
        ],
    )
    def test_a_kink_elsewhere_is_no_excuse(self, function):
        with pytest.raises(WrongGradient):
            check(function, X)

    def test_what_leaves_the_graph(self):
        for function in (lambda x: np.tanh(x.data), lambda x: gg.tanh(x) * x.data):
            with pytest.raises(WrongGradient) as error:
                check(function, X)
            assert error.value.law == "differences"
            assert "a value left the graph" in error.value.culprit

    def test_small_errors_print_different_numbers(self):
        with pytest.raises(WrongGradient) as error:
            check(np.sin, X, vjp=lambda g, x: g * np.cos(x) * (1 + 1e-9))
        for entry in error.value.entries:
            wanted, got = str(entry).partition("expected ")[2].split(", got ")
            assert wanted != got


class TestFailureReport:
    def test_it_names_entry_op_line_and_picture(self):
        f = bad_sine()

        def model(x):
            return gg.exp(f(x * 2.0)).sum()

        with gg.debug(), pytest.raises(WrongGradient) as error:
            check(model, X)
        e = error.value
        assert e.law in gg.testing.LAWS
        assert "bad sine" in e.culprit
        assert f"test_testing.py:{model.__code__.co_firstlineno + 1}" in e.culprit
        x = e.example["x"]
        entry = next(n for n in e.entries if "for a cotangent of ones" in n.what)
        at = tuple(int(i) for i in entry.what.split("[")[1].split("]")[0].split(","))
        v = 2 * x[at]
        assert entry.expected == pytest.approx(np.exp(np.sin(v)) * np.cos(v) * 2, rel=1e-5)
        assert entry.got == pytest.approx(np.exp(np.sin(v)) * np.sin(v) * 2, rel=1e-5)
        svg = Path(e.picture).read_text(encoding="utf-8")
        assert "wrong derivative" in svg
        for part in (e.law, str(entry), e.culprit, e.picture, "reproduce with"):
            assert part in str(e)

    def test_the_smallest_counterexample(self):
        def wrong_from_three(x):
            return x * x

        def pull(g, x):
            return 2 * x * g * (1.5 if x.size >= 3 else 1.0)

        with pytest.raises(WrongGradient) as error:
            check(wrong_from_three, tensors(), vjp=pull)
        assert error.value.example["x"].size == 3

    def test_op_by_its_own_sample(self):
        with pytest.raises(WrongGradient) as error:
            check_op(wrong_op())
        assert error.value.culprit == "wrong_double"
        assert sum(np.size(a) for a in error.value.example.values()) <= 3

    def test_the_line_without_debug(self):
        f = bad_sine()

        def model(x):
            return gg.exp(f(x)).sum()

        with pytest.raises(WrongGradient) as error:
            check(model, X)
        assert f"test_testing.py:{model.__code__.co_firstlineno + 1}" in error.value.culprit

    def test_copies_and_pickles(self):
        with pytest.raises(WrongGradient) as error:
            check(np.sin, X, vjp=lambda g, x: g)
        again = pickle.loads(pickle.dumps(error.value))
        assert str(again) == str(error.value)
        assert str(copy.copy(error.value)) == str(error.value)

    def test_why_there_is_no_program(self):
        namespace = {"np": np}
        exec("def f(x): return np.sin(x)", namespace)
        with pytest.raises(WrongGradient) as error:
            check(namespace["f"], X, vjp=lambda g, x: g)
        assert "no program to reproduce it: it uses a function without source" in str(error.value)

    def test_blame_spares_what_lacks_a_rule(self):
        right = gg.custom(np.sin, vjp=lambda g, out, x: g * gg.cos(x), name="right")
        other = gg.custom(np.sin, jvp=lambda ts, out, x: ts[0] * gg.cos(x), name="other")
        f = bad_sine()
        assert blame(lambda x: gg.exp(right(x)), X) == []
        assert blame(lambda x: gg.exp(other(x)), X) == []
        assert [str(s) for s in blame(lambda x: f(gg.exp(right(x))), X)] == ["bad sine"]
        assert check(other, X).verdict == "passed"

    def test_blame_finds_the_vertex(self):
        f = bad_sine()
        found = blame(lambda x: gg.tanh(gg.exp(x) * f(x)), X)
        assert [str(s).partition(" made")[0] for s in found] == ["bad sine"]
        assert blame(lambda x: gg.tanh(gg.exp(x)), X) == []


def wrong_op():
    """An op that is not registered for the rest of the suite."""
    before = dict(gg.Op.registry)

    class WrongDouble(gg.Op):
        name = "wrong_double"
        args = ("x",)

        def spec(self, x):
            return x

        def forward(self, x):
            return 2 * x

        def reference(self, x):
            return x + x

        def vjp_x(self, g, out, x):
            return 3 * g

        def jvp_x(self, t, out, x):
            return 2 * t

        @classmethod
        def sample(cls, draw):
            return cls(), (draw.normal(draw.shape()),)

    gg.Op.registry.clear()
    gg.Op.registry.update(before)
    return WrongDouble


WRONG = """
import numpy as np
import gradgraph as gg
from gradgraph import nn
from functools import partial
import enum
from gradgraph.testing import check, check_op, tensors

SCALE = 2.0

def helper(x):
    return SCALE * x

def forward(x, k=3):
    return np.tanh(helper(x)) * k

def backward(g, x, k=3):
    return g * k * (1 - np.tanh(helper(x)) ** 2)  # the factor SCALE is forgotten

bad = gg.custom(lambda x: x ** 3, vjp=lambda g, out, x: 2 * x**2 * g, name="bad cube")

def model(x, y):
    return (bad(x) * y).sum()

def nested():
    factor = 3.0
    def inner(x):
        return bad(x) * factor
    return inner

class Bad(gg.Op):
    name = "bad_double"
    args = ("x",)
    def spec(self, x): return x
    def forward(self, x): return 2 * x
    def reference(self, x): return x + x
    def vjp_x(self, g, out, x): return 3 * g
    def jvp_x(self, t, out, x): return 2 * t
    @classmethod
    def sample(cls, draw): return cls(), (draw.normal(draw.shape()),)

class Net(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(2, 3, rng=0)
    def forward(self, x):
        return bad(self.layer(x))

def leave(x):
    raise SystemExit(0)

def times(k):
    def h(x):
        return k * x
    return h

double, triple = times(2.0), times(3.0)
pulls = [lambda g, x: g * 2.0, lambda g, x: g * 3.0]

def annotated(x: "Unknown", c=SCALE) -> "Unknown":
    return x * x.data * c

class Colour(enum.IntEnum):
    RED = 2

def coloured(x, k=Colour.RED):
    return x * x.data * k

def hinge(x):
    return np.abs(x - 1)

def noted(f):
    return f

@noted
def decorated(x):
    return x * x.data

class Box:
    def __init__(self):
        self.k = float("inf")
    def method(self, x):
        return x * x.data * (2.0 if self.k > 1 else 1.0)

x = np.array([[0.3, -0.5], [1.2, 0.25]])
"""


class TestReproducer:
    @pytest.mark.parametrize(
        "call",
        [
            "check(forward, x, vjp=backward)",
            "check(lambda x: bad(x).sum(), x)",
            "check(model, x, x)",
            "check(nested(), x)",
            "check(partial(model, y=x), x)",
            "check_op(Bad)",
            "check(lambda x: Bad()(x) * 2.0, x)",
            "check(Net(), x)",
            "check(lambda x: double(x) * triple(x).data, x)",
            "check(double, x, vjp=pulls[1])",
            "check(annotated, x)",
            "check(coloured, x)",
            "check(hinge, tensors((2,)), vjp=lambda g, x: 3 * g * np.sign(x - 1))",
            "check(decorated, x)",
            "check(Box().method, x)",
            "check(lambda x, np=np: x * x.data * np.pi, x)",
        ],
    )
    def test_it_runs_as_pasted(self, call, tmp_path):
        (tmp_path / "homework.py").write_text(WRONG, encoding="utf-8")
        first = textwrap.dedent(f"""
            from homework import *
            from gradgraph.testing import WrongGradient
            try:
                {call}
            except WrongGradient as error:
                open("law.txt", "w").write(error.law)
                open("pasted.py", "w").write(error.reproducer)
        """)
        (tmp_path / "first.py").write_text(first, encoding="utf-8")
        run(tmp_path, "first.py")
        program = (tmp_path / "pasted.py").read_text()
        assert program
        done = run(tmp_path, "pasted.py", fails=True)
        assert "WrongGradient: the derivative of" in done.stderr
        assert f"law      {(tmp_path / 'law.txt').read_text()}" in done.stderr


def run(folder, *args, fails=False):
    """Python in a folder, with the engine but nothing else on its path."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *args], cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode != 0) == fails, done.stderr
    return done


class TestCommand:
    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "homework.py").write_text(WRONG, encoding="utf-8")
        (tmp_path / "broken.py").write_text("1 / 0", encoding="utf-8")
        return tmp_path

    def command(self, folder, *args):
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        words = [sys.executable, "-m", "gradgraph", "check", *args]
        return subprocess.run(
            words, cwd=folder, env=env, capture_output=True, text=True, timeout=120
        )

    def test_passed(self, folder):
        done = self.command(folder, "homework:helper", "--shape", "2x3", "--examples", "5")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("passed: helper, 5 examples")

    def test_wrong_as_json(self, folder):
        words = ("homework.py:forward", "--vjp", "backward", "--shape", "3", "--json")
        done = self.command(folder, *words, "--seed", "3")
        assert done.returncode == 1
        found = json.loads(done.stdout, parse_constant=pytest.fail)
        assert found["verdict"] == "wrong"
        assert found["law"] == "differences"
        assert found["entries"][0]["expected"] != found["entries"][0]["got"]
        again = json.loads(self.command(folder, *words, "--seed", "3").stdout)
        for key in ("seconds", "picture", "reproducer"):
            del found[key], again[key]
        assert found == again

    def test_json_of_what_is_no_number(self, folder):
        source = (
            "import numpy as np\n"
            "def f(x):\n    print('hello')\n    return np.sin(x)\n"
            "def nan(g, x): return g * np.nan\n"
            "def inf(g, x): return g * np.inf\n"
        )
        (folder / "numbers2.py").write_text(source, encoding="utf-8")
        for rule in ("nan", "inf"):
            done = self.command(folder, "numbers2.py:f", "--vjp", rule, "--shape", "2", "--json")
            assert done.returncode == 1
            found = json.loads(done.stdout, parse_constant=pytest.fail)
            assert rule in str(found["entries"][0]["got"])
            assert "hello" in done.stderr

    @pytest.mark.parametrize(
        ("target", "says"),
        [
            ("nowhere:f", "importing nowhere fails with ModuleNotFoundError"),
            ("homework:nothing", "homework has no nothing"),
            ("homework", "it is not module:function"),
            ("missing.py:f", "there is no file missing.py"),
            ("homework:SCALE", "it is no function"),
            ("homework:leave", "it raised SystemExit"),
            ("broken.py:f", "importing broken.py fails with ZeroDivisionError"),
        ],
    )
    def test_what_cannot_be_checked(self, folder, target, says):
        done = self.command(folder, target)
        assert done.returncode == 2
        assert says in done.stderr
        assert "Traceback" not in done.stderr
        found = json.loads(self.command(folder, target, "--json").stdout)
        assert found["verdict"] == "cannot check"
        assert says in found["problem"]


class TestPlugin:
    SUITE = """
        import gradgraph as gg
        from gradgraph.testing import given_gradients, tensors

        @given_gradients(tensors((2,)), examples=5)
        def test_square(x):
            return x * x

        @given_gradients(tensors((2,)), vjp=lambda g, x: 3 * x * g)
        def test_cube(x):
            return x * x * x
    """

    def test_the_table(self, tmp_path):
        (tmp_path / "test_mine.py").write_text(textwrap.dedent(self.SUITE), encoding="utf-8")
        words = ("-m", "pytest", "-q", "--gradgraph-report", "-p", "no:cacheprovider")
        done = run(tmp_path, *words, *self.loaded(), fails=True)
        assert "gradient checks" in done.stdout
        assert re.search(r"test_square +passed", done.stdout)
        assert re.search(r"test_cube +wrong", done.stdout)
        assert "1 failed, 1 passed" in done.stdout

    def test_no_checks(self, tmp_path):
        (tmp_path / "test_mine.py").write_text("def test_nothing(): pass", encoding="utf-8")
        words = ("-m", "pytest", "-q", "--gradgraph-report", "-p", "no:cacheprovider")
        assert "no gradient was checked" in run(tmp_path, *words, *self.loaded()).stdout

    def loaded(self):
        """Load the plugin by hand where the package is not installed."""
        from importlib.metadata import entry_points

        known = any(e.name == "gradgraph" for e in entry_points(group="pytest11"))
        return () if known else ("-p", "gradgraph.testing.plugin")


class TestDecorator:
    @given_gradients(tensors((2,)), examples=3)
    def test_method(self, x):
        assert isinstance(self, TestDecorator)
        return x * x

    def test_options_are_kept(self):
        @given_gradients(tensors((2,)), vjp=lambda g, x: 7 * g)
        def wrong(x):
            return np.sin(x)

        @given_gradients(np.array([0.0, 1.0]), kinks="accept")
        def kinked(x):
            return gg.relu(x)

        with pytest.raises(WrongGradient):
            wrong()
        with pytest.raises(WrongGradient):
            check(wrong)
        kinked()
        assert check(kinked).verdict == "passed"


@given_gradients(conv_cases(), examples=10)
def test_decorator_with_conv_cases(x, w, **options):
    return gg.conv(x, w, **options)


@given_gradients(pool_cases(), examples=10)
def test_decorator_with_pool_cases(x, window, **options):
    return gg.max_pool(x, window, **options)


@given_gradients(index_cases(), examples=10)
def test_decorator_with_index_cases(x, index):
    return gg.getitem(x, index)


@given_gradients(broadcastable(3), examples=10)
def test_decorator_with_broadcastable(x, y, z):
    return x * y + z


class TestStrategies:
    @given(tensors(shapes(1, 2), values="positive"))
    def test_positive(self, x):
        assert 1 <= x.ndim <= 2
        assert np.all(x > 0)

    @given(tensors((2, 2), values="away_from_zero", dtype=np.float32))
    def test_away_from_zero(self, x):
        assert x.dtype == np.float32
        assert np.all(np.abs(x) > 0.1)

    @given(tensors((3,), dtype=np.int64))
    def test_integers(self, x):
        assert x.dtype == np.int64

    @given(broadcastable(3))
    def test_broadcastable(self, found):
        np.broadcast_shapes(*(a.shape for a in found.args))

    def test_unknown_values(self):
        with pytest.raises(gg.DomainError, match="values='odd' is unknown"):
            tensors(values="odd")


def test_the_page_of_kinks_is_that_of_the_declarations():
    page = (ROOT / "docs" / "kinks.md").read_text(encoding="utf-8")
    assert gg.testing.kink_table() in page


def sliding(x, w):
    """A filter with stride 2, as homework has it."""
    return np.array([x[i : i + len(w)] @ w for i in range(0, len(x) - len(w) + 1, 2)])


def sliding_back(g, x, w, *, overlap):
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i, c in enumerate(g):
        window = slice(2 * i, 2 * i + len(w))
        dx[window] = c * w + (dx[window] if overlap else 0)
        dw += c * x[window]
    return dx, dw


def test_guessed_shapes_are_not_all_alike_and_are_told():
    right = check(sliding, vjp=lambda g, x, w: sliding_back(g, x, w, overlap=True))
    assert "x (7,), w (3,); x (5,), w (2,)" in str(right)
    assert "shapes were guessed, and may hide a fault" in str(right)
    with pytest.raises(WrongGradient):
        check(sliding, vjp=lambda g, x, w: sliding_back(g, x, w, overlap=False))
    with pytest.raises(WrongGradient):
        check(lambda x, w, b: x @ w + b, vjp=lambda g, x, w, b: (g @ w.T, x.T @ g, g))
    report = check(lambda x, w: x @ w)
    assert "x 2×3, w 3×4" in str(report)
    assert "guessed" not in str(check(lambda x: x * x, np.ones(2)))


@pytest.mark.parametrize(
    ("function", "rule", "told"),
    [
        (lambda x, y: x * y, lambda g, x, y: (g * y, g * x), "x 2×3, y 2×3"),
        (lambda x, y: np.dot(x, y), lambda g, x, y: (g * y, g * x), "(3,)"),
        (lambda x, y: x @ y, lambda g, x, y: (g @ y.T, x.T @ g), "x 2×3, y 3×4"),
        (lambda w, x: w @ x, lambda g, w, x: (np.outer(g, x), w.T @ g), "w 2×3, x (3,)"),
        (np.outer, lambda g, x, y: (g @ y, x @ g), "(7,)"),
        (lambda x, s: x * s, lambda g, x, s: (g * s, (g * x).sum()), "x 2×3, s scalar"),
        (lambda x, b: x + b, lambda g, x, b: (g, g.sum(0)), "x 2×3, b (3,)"),
        (
            lambda x, w, b: x @ w + b,
            lambda g, x, w, b: (g @ w.T, x.T @ g, g.sum(0)),
            "x 2×3, w 3×4, b (4,)",
        ),
    ],
)
def test_right_rules_are_not_accused_at_guessed_shapes(function, rule, told):
    report = check(function, vjp=rule)
    assert report.verdict == "passed"
    assert told in str(report)
