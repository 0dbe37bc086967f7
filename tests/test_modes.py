"""Modes: what is recorded, and where; never in anybody else's code."""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack, contextmanager
from contextvars import copy_context

import pytest

import gradgraph as gg
from gradgraph.mode import MODE, Mode, current


def records():
    """Whether an op on a tracked tensor is recorded here."""
    return (gg.Tensor(2.0, requires_grad=True) * 3).requires_grad


@pytest.fixture(autouse=True)
def _every_test_leaves_the_mode_as_it_was():
    before = MODE.get()
    yield
    assert MODE.get() is before


def test_no_grad_and_enable_grad_nest():
    assert records()
    with gg.no_grad():
        assert not records()
        with gg.enable_grad():
            assert records()
            with gg.no_grad():
                assert not records()
            assert records()
        assert not records()
    assert records()


def test_one_instance_may_be_entered_again():
    quiet = gg.no_grad()
    with quiet, quiet:
        assert not records()
    with quiet:
        assert not records()
    assert records()


@pytest.mark.parametrize("mode", [gg.no_grad, gg.capture, lambda: gg.scope("net")])
def test_modes_are_restored_on_exceptions(mode):
    before = current()
    with pytest.raises(ZeroDivisionError), mode():
        1 / 0
    assert current() is before


def test_untracked_results_have_no_past():
    w = gg.Tensor(2.0, requires_grad=True)
    with gg.no_grad():
        y = w * 3
    assert (y.op, y.inputs, y.requires_grad) == (None, (), False)


def test_capture_records_untracked_ops():
    with gg.capture():
        y = gg.Tensor(2.0) * 3
    assert y.op.name == "multiply"
    assert not y.requires_grad
    assert (gg.Tensor(2.0) * 3).op is None


def test_capture_in_no_grad_records_without_tracking():
    w = gg.Tensor(2.0, requires_grad=True)
    with gg.capture(), gg.no_grad():
        y = w * 3
    assert y.op.name == "multiply"
    assert not y.requires_grad


def test_scopes_nest_and_name_vertices():
    w = gg.Tensor(2.0, requires_grad=True)
    with gg.scope("net"):
        a = w * 2
        with gg.scope("features.conv1"):
            b = w * 2
        c = w * 2
    assert [v.scope for v in (w, a, b, c)] == ["", "net", "net.features.conv1", "net"]


def test_threads_do_not_leak():
    seen = []
    inside, done = threading.Event(), threading.Event()

    def quiet():
        with gg.no_grad(), gg.scope("worker"):
            inside.set()
            done.wait(5)
            seen.append((records(), current().scope))

    thread = threading.Thread(target=quiet)
    thread.start()
    inside.wait(5)
    assert records()
    assert current().scope == ""
    done.set()
    thread.join()
    assert seen == [(False, "worker")]


def test_a_new_thread_starts_with_the_default_mode():
    seen = []
    with gg.no_grad():
        thread = threading.Thread(target=lambda: seen.append(records()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_one_decorated_function_in_two_threads():
    first_in, second_in, first_out = (threading.Event() for _ in range(3))
    after = {}

    @gg.no_grad()
    def step(which):
        if which == "first":
            first_in.set()
            second_in.wait(5)
        else:
            first_in.wait(5)
            second_in.set()
            first_out.wait(5)
        return records()

    def run(which):
        inside = step(which)
        if which == "first":
            first_out.set()
        after[which] = (inside, records())

    threads = [threading.Thread(target=run, args=(w,)) for w in ("first", "second")]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert after == {"first": (False, True), "second": (False, True)}


def test_one_instance_in_two_threads():
    quiet = gg.no_grad()
    first_in, second_in, first_out = (threading.Event() for _ in range(3))
    after = {}

    def first():
        with quiet:
            first_in.set()
            second_in.wait(5)
        after["first"] = records()
        first_out.set()

    def second():
        first_in.wait(5)
        with quiet:
            second_in.set()
            first_out.wait(5)
            after["inside second"] = records()
        after["second"] = records()

    threads = [threading.Thread(target=f) for f in (first, second)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert after == {"first": True, "inside second": False, "second": True}


def test_tasks_do_not_leak():
    async def quiet(inside, go_on):
        with gg.no_grad():
            inside.set()
            await go_on.wait()
            return records()

    async def main():
        inside, go_on = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(quiet(inside, go_on))
        await inside.wait()
        meanwhile = records()
        go_on.set()
        return meanwhile, await task, records()

    assert asyncio.run(main()) == (True, False, True)


def two_steps():
    with gg.no_grad():
        yield records()
        yield records()
    yield records()


def test_a_generator_does_not_leak_into_its_consumer():
    generator = two_steps()
    assert next(generator) is False
    assert records()
    assert next(generator) is False
    assert records()
    assert next(generator) is True
    assert records()
    generator.close()


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * x,
        gg.exp,
        lambda x: gg.concatenate([x, x]),
        lambda x: gg.grad(lambda y: (y * x).sum())(x),
    ],
)
def test_every_way_into_an_op_asks_the_generator(f):
    def generator():
        with gg.no_grad():
            while True:
                yield f(gg.Tensor([2.0], requires_grad=True)).requires_grad

    g = generator()
    assert next(g) is False
    with gg.scope("consumer"):
        assert f(gg.Tensor([2.0], requires_grad=True)).requires_grad
        assert next(g) is False
    g.close()


def test_an_abandoned_generator_leaves_no_mode_behind():
    generator = two_steps()
    next(generator)
    generator.close()
    assert records()
    assert current().__class__ is Mode


def test_a_generators_mode_holds_when_resumed_inside_another_mode():
    generator = two_steps()
    next(generator)
    with gg.scope("consumer"):
        assert next(generator) is False
        assert records()
        assert current().scope == "consumer"
    generator.close()


def test_a_generators_mode_is_the_inner_one():
    generator = two_steps()
    next(generator)
    with gg.enable_grad():
        assert next(generator) is False
    generator.close()


def test_a_generator_that_ends_its_block_leaves_the_consumers_alone():
    generator = two_steps()
    next(generator)
    with gg.scope("outer"), gg.no_grad():
        assert list(generator) == [False, False]
        assert not records()
        assert current().scope == "outer"
    assert records()
    assert current().scope == ""


def test_a_consumers_block_may_end_before_the_generators():
    generator = two_steps()
    with gg.scope("outer"):
        next(generator)
    assert current().scope == ""
    assert records()
    assert next(generator) is False
    assert list(generator) == [True]


def test_a_function_called_by_a_generator_has_the_last_word():
    def helper():
        with gg.enable_grad():
            return records()

    def generator():
        with gg.no_grad():
            yield
            yield helper(), records()

    g = generator()
    next(g)
    with gg.scope("consumer"):
        assert next(g) == (True, False)
    g.close()


def test_generators_interleave():
    def generator(name, mode):
        with gg.scope(name), mode():
            while True:
                yield current().scope, records()

    a, b = generator("a", gg.no_grad), generator("b", gg.enable_grad)
    for _ in range(3):
        assert next(a) == ("a", False)
        assert next(b) == ("b", True)
        assert current().scope == ""
    a.close()
    assert next(b) == ("b", True)
    b.close()


def test_a_generator_that_drives_another():
    def inner():
        with gg.enable_grad():
            while True:
                yield records()

    def outer(i):
        with gg.no_grad():
            while True:
                yield next(i), records()

    i = inner()
    o = outer(i)
    assert next(o) == (True, False)
    assert next(o) == (True, False)
    assert next(i) is True
    o.close()
    i.close()


def test_exit_stack_in_a_generator_does_not_leak():
    def generator():
        with ExitStack() as stack:
            stack.enter_context(gg.no_grad())
            yield records()
            yield records()

    g = generator()
    assert next(g) is False
    assert records()
    assert next(g) is False
    g.close()


def test_contextmanager_functions_pass_the_mode_on():
    @contextmanager
    def quiet(name):
        with gg.no_grad(), gg.scope(name):
            yield

    with quiet("a"):
        assert not records()
        assert current().scope == "a"
    assert records()

    def generator():
        with quiet("b"):
            yield current().scope, records()
            yield current().scope, records()

    g = generator()
    assert next(g) == ("b", False)
    assert records()
    assert next(g) == ("b", False)
    g.close()


def test_asynchronous_generators_do_not_leak():
    async def generator():
        with gg.no_grad():
            yield records()
            await asyncio.sleep(0)
            yield records()

    async def main():
        seen = []
        async for inside in generator():
            seen.append((inside, records()))
        return seen

    assert asyncio.run(main()) == [(False, True), (False, True)]


def test_a_generator_closed_in_another_context_disturbs_nobody():
    generator = two_steps()
    copy_context().run(next, generator)
    generator.close()
    assert records()


def test_decorated_function():
    @gg.no_grad()
    def step():
        """Doc."""
        return records()

    assert step() is False
    assert records()
    assert (step.__name__, step.__doc__) == ("step", "Doc.")


def test_decorated_generator_function():
    @gg.no_grad()
    def generator(n):
        for _ in range(n):
            received = yield records()
            assert received is None or received == "hello"
        return "end"

    g = generator(2)
    assert next(g) is False
    assert records()
    assert g.send("hello") is False
    assert records()
    with pytest.raises(StopIteration, match="end"):
        next(g)


def test_decorated_coroutine_function():
    @gg.no_grad()
    async def step():
        await asyncio.sleep(0)
        return records()

    async def main():
        return await step(), records()

    assert asyncio.run(main()) == (False, True)


def test_decorated_asynchronous_generator_function():
    @gg.no_grad()
    async def generator():
        try:
            sent = yield records()
            yield sent, records()
        except KeyError:
            yield "caught", records()

    async def main():
        g = generator()
        seen = [await g.asend(None), records(), await g.asend("sent"), records()]
        seen.append(await g.athrow(KeyError()))
        seen.append([x async for x in g])
        await g.aclose()
        return seen

    seen = asyncio.run(main())
    assert seen == [False, True, ("sent", False), True, ("caught", False), []]


def test_a_decorated_recursion_restores_every_level():
    @gg.no_grad()
    def down(n):
        return records() if n == 0 else down(n - 1)

    assert down(5) is False
    assert records()
