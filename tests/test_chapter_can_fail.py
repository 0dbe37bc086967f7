"""The tests of the chapter can fail: statements are broken on purpose, and their tests notice."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

import gradgraph as gg
from gradgraph.kernels import numpy_ as kernels
from gradgraph.kernels import pooling
from gradgraph.ops import activation, choice

from . import test_chapter as chapter

convolution = import_module("gradgraph.ops.conv")  # the name `conv` is that of the function
summaries = import_module("gradgraph.nn.summary")


def convolution_instead_of_correlation(patch):
    right = kernels.conv

    def flipped(x, w, *rest):
        return right(x, w[(slice(None, None, -1),) * (w.ndim - 2)], *rest)

    patch.setattr(kernels, "conv", flipped)


def the_odd_pixel_after(patch):
    right = convolution.padding_pairs

    def other(*args):
        return tuple(pair[::-1] for pair in right(*args))

    patch.setattr(convolution, "padding_pairs", other)


def relu_with_slope_one_at_zero(patch):
    op = activation.Relu
    rule = lambda self, g, out, x: gg.mask(g, x >= 0)  # noqa: E731
    patch.setattr(op, "vjps", (rule,))


def the_loser_gets_a_little(patch):
    op = choice.Maximum
    rules = [
        lambda self, g, out, x, y: g * (0.1 + 0.9 * (out == x)),
        lambda self, g, out, x, y: g * (0.1 + 0.9 * (out == y)),
    ]
    patch.setattr(op, "vjps", tuple(rules))


def a_filter_gradient_without_the_last_tap(patch):
    right = kernels.conv_filter

    def short(*args):
        out = right(*args)
        out[-1] = 0
        return out

    patch.setattr(kernels, "conv_filter", short)


def a_layer_counted_without_its_bias(patch):
    patch.setattr(summaries, "_bias", lambda *args: None)


def a_pool_that_takes_the_mean(patch):
    def mean(x, kernel, stride, padding, dilation):
        total = pooling.window_sum(x, kernel, stride, padding, dilation)
        return total / np.prod(kernel), np.zeros(total.shape, np.uint8)

    patch.setattr(pooling, "max_pool", mean)


@pytest.mark.parametrize(
    ("fault", "statement", "args"),
    [
        (convolution_instead_of_correlation, chapter.test_example_f1, ()),
        (convolution_instead_of_correlation, chapter.test_the_operation_is_a_correlation, ()),
        (the_odd_pixel_after, chapter.test_a_filter_is_a_dot_product_at_each_place, ()),
        (the_odd_pixel_after, chapter.test_f1_is_one_exactly_at_left_edges, ()),
        (relu_with_slope_one_at_zero, chapter.test_kinks_have_a_documented_slope, ()),
        (the_loser_gets_a_little, chapter.test_the_losing_network_is_untouched, (0,)),
        (the_loser_gets_a_little, chapter.test_study_question_the_gradient_of_the_maximum,
         (3.0, 1.0, (1, 0))),
        (a_filter_gradient_without_the_last_tap, chapter.test_their_product_is_the_gradient, ()),
        (a_layer_counted_without_its_bias, chapter.test_study_questions_number_of_weights, ()),
        (a_pool_that_takes_the_mean, chapter.test_max_pooling_returns_the_maximum_in_its_field, ()),
        (a_pool_that_takes_the_mean, chapter.test_study_question_two_poolings_are_one, ()),
    ],
)  # fmt: skip
def test_a_broken_statement_is_noticed(monkeypatch, fault, statement, args):
    fault(monkeypatch)
    with pytest.raises((AssertionError, BaseExceptionGroup)):
        statement(*args)
