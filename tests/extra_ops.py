"""Ops that only tests need. Each function defines its class anew: a class that is defined at
import time would stay in the registry, and the laws would test it."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np

import gradgraph as gg


@contextmanager
def unregistered():
    """Ops that are defined inside leave the registry again."""
    before = dict(gg.Op.registry)
    try:
        yield
    finally:
        gg.Op.registry.clear()
        gg.Op.registry.update(before)


class _Untested(gg.Op, abstract=True):
    """What completeness asks for, and these tests do not use."""

    def spec(self, *xs):
        raise NotImplementedError

    def reference(self, *xs):
        raise NotImplementedError

    @classmethod
    def sample(cls, draw):
        raise NotImplementedError


def sin_cos():
    """Two outputs."""
    with unregistered():

        class SinCos(_Untested):
            outputs = 2

            def forward(self, x):
                return np.sin(x), np.cos(x)

            def vjp_x(self, g, out, x):
                return g[0] * out[1] - g[1] * out[0]

            def jvp_x(self, t, out, x):
                return t * out[1], -(t * out[0])

            def spec(self, x):
                return x, x

        return SinCos()


def x_exp():
    """x eˣ, with eˣ as a second output that only the rules see."""
    with unregistered():

        class XExp(_Untested):
            outputs = 2
            hidden = 1

            def forward(self, x):
                e = np.exp(x)
                return x * e, e

            def vjp_x(self, g, out, x):
                return g[0] * (out[0] + out[1]) + g[1] * out[1]

            def jvp_x(self, t, out, x):
                return t * (out[0] + out[1]), t * out[1]

        op = XExp()
        return lambda x: op(x)[0]


def leaky():
    """A slope of 0.1 below zero, with the sign saved for the rules."""
    with unregistered():

        class Leaky(_Untested):
            saves = ("positive",)

            def forward(self, x):
                return np.where(x > 0, x, 0.1 * x), x > 0

            def vjp_x(self, g, out, x, positive):
                return gg.mask(g, positive) + 0.1 * gg.mask(g, ~positive)

            jvp_x = vjp_x

        return Leaky()


def counting():
    """x · w, and the list of the arguments whose rules were called."""
    calls = []
    with unregistered():

        class Counting(_Untested):
            linear = ("x", "w")
            checks = False

            def forward(self, x, w):
                return x * w

            def vjp_x(self, g, out, x, w):
                calls.append("x")
                return g * w

            def vjp_w(self, g, out, x, w):
                calls.append("w")
                return g * x

        return Counting(), calls
