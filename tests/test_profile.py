"""Profiles: every op once, forward and back, with its module, its time and its memory."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import nn


def net():
    return nn.Sequential(
        conv=nn.Conv(1, 4, 3, rng=0), relu=nn.ReLU(), flat=nn.Flatten(), fc=nn.Linear(144, 3, rng=0)
    )


def step(model):
    loss = gg.cross_entropy(model(np.ones((2, 8, 8, 1), np.float32)), np.array([0, 2]))
    loss.backward()
    return loss


def test_every_op_is_there_once_forward_and_back():
    model = net()
    with gg.profile() as found:
        step(model)
    ops = ["conv", "add", "relu", "reshape", "matmul", "add", "cross_entropy"]
    assert [e.op for e in found.events if e.when == "forward"] == ops
    assert [e.op for e in found.events if e.when == "backward"] == ops[::-1]
    modules = {e.module for e in found.events if e.op == "matmul"}
    assert modules == {"sequential.fc"}
    first = found.events[0]
    assert (first.shape, first.nbytes) == ((2, 6, 6, 4), 2 * 6 * 6 * 4 * 4)
    back = next(e for e in found.events if e.op == "relu" and e.when == "backward")
    assert (back.shape, back.nbytes) == ((2, 6, 6, 4), 2 * 6 * 6 * 4 * 4)
    assert {e.thread for e in found.events} == {threading.get_ident()}


def test_times_are_in_order_and_add_up():
    with gg.profile() as found:
        step(net())
    ends = [e.start + e.seconds for e in found.events]
    assert ends == sorted(ends)
    assert all(e.seconds >= 0 for e in found.events)
    assert sum(e.seconds for e in found.events) <= found.seconds
    assert ends[-1] <= found.seconds


def test_numbers_are_those_without_it():
    plain, seen = net(), net()
    expected = step(plain)
    with gg.profile():
        loss = step(seen)
    assert loss.item() == expected.item()
    for p, q in zip(plain.parameters(), seen.parameters(), strict=True):
        assert np.array_equal(p.grad.data, q.grad.data)
    with gg.profile() as found:
        tangent = gg.jvp(lambda x: gg.sin(x).sum(), [np.zeros(3)], [np.ones(3)])[1]
    assert tangent == 3.0
    assert [(e.op, e.when) for e in found.events] == [
        *(("sin", "forward"), ("sum", "forward"), ("sin", "jvp"), ("sum", "jvp")),
    ]


def test_it_ends_with_its_block_and_holds_in_its_thread():
    with gg.profile() as found:
        other = threading.Thread(target=lambda: gg.exp(gg.Tensor(1.0)))
        other.start()
        other.join()
    gg.exp(gg.Tensor(1.0))
    assert found.events == []
    assert found.seconds > 0


def test_the_debug_mode_goes_on():
    x = gg.Tensor([4.0, 0.0], requires_grad=True)
    with gg.debug(), gg.profile() as found, pytest.raises(gg.NonFiniteError, match="sqrt"):
        gg.sqrt(x).sum().backward()
    assert [e.op for e in found.events] == ["sqrt", "sum", "sum"]
    with gg.profile() as found, gg.debug(), np.errstate(all="ignore"):  # the inner one holds
        gg.sqrt(gg.Tensor([1.0]))
    assert found.events == []


def test_it_is_opened_once_and_belongs_to_its_generator():
    with gg.profile() as found, pytest.raises(gg.GradError, match="open already"), found:
        pass
    gg.exp(gg.Tensor(1.0))
    assert found.events == []

    def generator():
        with gg.profile() as inner:
            yield inner
            gg.sin(gg.Tensor(1.0))
            yield inner

    running = generator()
    inner = next(running)
    gg.exp(gg.Tensor(1.0))
    next(running)
    assert [e.op for e in inner.events] == ["sin"]
    running.close()


def test_tables():
    with gg.profile() as found:
        step(net())
    head, *rows, total = str(found).splitlines()
    assert head.split() == ["op", "calls", "forward", "ms", "backward", "ms", "share", "MB"]
    calls = {row.split()[0]: int(row.split()[1]) for row in rows}
    assert calls["add"] == 2
    assert calls["conv"] == 1
    assert total.endswith("of them outside ops")
    modules = {row.split()[0] for row in found.table("module").splitlines()[1:-1]}
    assert modules == {
        "sequential.conv",
        "sequential.relu",
        "sequential.flat",
        "sequential.fc",
        "(outside)",
    }
    with pytest.raises(gg.DomainError, match="there is no table by 'layer'"):
        found.table("layer")
    assert "0.00 ms in all" in gg.profile().table()


def test_a_trace_for_chrome(tmp_path):
    with gg.profile() as found:
        step(net())
    path = found.save(tmp_path / "step.json")
    events = json.loads(path.read_text())["traceEvents"]
    assert len(events) == len(found.events) == 14
    assert {e["ph"] for e in events} == {"X"}
    assert events[0]["name"] == "conv"
    assert events[0]["args"] == {"module": "sequential.conv", "result": "2×6×6×4", "bytes": 1152}
    assert events[-1]["name"] == "conv, backward"
    assert all(e["ts"] >= 0 and e["dur"] >= 0 for e in events)
    with pytest.raises(gg.DomainError, match=r"does not end in \.json"):
        found.save(tmp_path / "step.txt")
