"""What a history notes, against numbers found by hand, and its picture."""

from __future__ import annotations

import math
import re
import weakref
from xml.etree import ElementTree

import numpy as np
import pytest
from gradgraph.viz.axes import MOST_POINTS
from gradgraph.viz.curves import curves
from gradgraph.viz.history import History, Track

import gradgraph as gg
from gradgraph import nn, optim


class Line(nn.Module):
    """w · x, without any layer below it."""

    def __init__(self, w):
        self.w = gg.Tensor(w, requires_grad=True)

    def forward(self, x):
        return (self.w * x).sum()


def step(net, optimizer, history, x):
    optimizer.zero_grad()
    loss = net(x).sum()
    loss.backward()
    history.record(loss)
    optimizer.step()


def test_norms_and_ratios_of_a_line():
    net = Line([3.0, 4.0])
    optimizer, history = optim.SGD(net.parameters(), lr=0.5, momentum=0.9), History(net)
    for _ in range(2):
        step(net, optimizer, history, np.array([0.6, 0.8]))
    found = history.as_dict()
    # the slope is x, of norm 1; W is (3, 4), then (2.7, 3.6); the steps are 0.5 and 0.5 · 1.9
    assert found["step"] == [0, 1]
    assert found["loss"] == pytest.approx([5.0, 4.5])
    line = found["layers"]["line"]
    assert line["weights"] == 2
    assert line["gradient"] == pytest.approx([1.0, 1.0])
    assert line["relative"] == pytest.approx([1 / 5, 1 / 4.5])
    assert line["update"] == pytest.approx([0.5 / 5, 0.95 / 4.5])
    assert line["dead"] == [None, None]


def test_every_layer_of_a_lenet_as_numpy_finds_it():
    net, rng = nn.LeNet(rng=0), np.random.default_rng(0)
    optimizer, history = optim.SGD(net.parameters(), lr=0.1, weight_decay=0.01), History(net)
    expected = []
    for _ in range(3):
        before = net.state_dict()
        x = gg.Tensor(rng.random((4, 28, 28, 1)).astype(np.float32))
        optimizer.zero_grad()
        loss = gg.cross_entropy(net(x), [1, 2, 3, 4])
        loss.backward()
        history.record(loss)
        grads = {name: p.grad.numpy() for name, p in net.named_parameters()}
        optimizer.step()
        moved = {name: after - before[name] for name, after in net.state_dict().items()}
        expected.append((grads, before, moved))
    assert list(history.layers) == ["features.conv1", "features.conv2", "fc1", "fc2"]

    def norm(arrays, layer):
        return np.sqrt(sum((arrays[f"{layer}.{n}"].astype(float) ** 2).sum() for n in "wb"))

    found = history.as_dict()["layers"]
    for layer in history.layers:
        for i, (grads, before, moved) in enumerate(expected):
            size = norm(before, layer)
            assert found[layer]["gradient"][i] == pytest.approx(norm(grads, layer), rel=1e-5)
            assert found[layer]["relative"][i] == pytest.approx(norm(grads, layer) / size, rel=1e-5)
            assert found[layer]["update"][i] == pytest.approx(norm(moved, layer) / size, rel=1e-5)


def test_dead_units_are_zero_for_the_whole_batch():
    fc = nn.Linear(2, 4, rng=0)
    fc.w.assign([[1, -1, 1, -1], [0, 0, -1, 0]])
    fc.b.assign([0, 0, 0, 0])
    net = nn.Sequential(fc=fc, act=nn.ReLU(), out=nn.Linear(4, 1, rng=0))
    history = History(net)
    # units: alive, dead, alive for one item only, dead
    step(net, optim.SGD(net.parameters(), lr=0.0), history, gg.Tensor([[1.0, 2.0], [3.0, 1.0]]))
    assert history.layers["fc"].dead == [0.5]
    assert history.layers["out"].dead == [None]


def test_a_unit_that_only_the_last_item_wakes_is_not_dead():
    net = nn.Sequential(conv=nn.Conv(1, 2, 1, rng=0), act=nn.ReLU())
    net.conv.w.assign([[[[1.0, -1.0]]]])
    net.conv.b.assign([0.0, 0.0])
    x = np.ones((40, 3, 3, 1))
    history, optimizer = History(net), optim.SGD(net.parameters(), lr=0.0)
    step(net, optimizer, history, gg.Tensor(x))
    x[39, 2, 2] = -1.0
    step(net, optimizer, history, gg.Tensor(x))
    assert history.layers["conv"].dead == [0.5, 0.0]


def test_a_relu_belongs_to_the_layer_before_it():
    class Block(nn.Module):
        """Two relus after `first`, one after `second`, which is built before it."""

        def __init__(self):
            self.second, self.first = nn.Linear(2, 2, rng=0), nn.Linear(2, 2, rng=1)
            for fc, value in ((self.first, -1.0), (self.second, 1.0)):
                fc.w.assign(np.full((2, 2), value))
                fc.b.assign(np.zeros(2))

        def forward(self, x):
            early = self.first(x)
            hidden = gg.relu(gg.relu(early + x * 9.0) - 100.0)
            return gg.relu(self.second(hidden) + 9.0 + early)

    net = Block()
    history = History(net)
    step(net, optim.SGD(net.parameters(), lr=0.0), history, gg.Tensor([[1.0, 1.0]]))
    assert list(history.layers) == ["first", "second"]
    assert history.layers["first"].dead == [0.5]  # the inner relu lives, the outer one is dead
    assert history.layers["second"].dead == [0.0]


@pytest.mark.parametrize("size", [1e-30, 1e25])
def test_float32_squares_neither_vanish_nor_overflow(size):
    net = Line(np.ones(4, np.float32))
    history = History(net)
    step(net, optim.SGD(net.parameters(), lr=0.0), history, np.full(4, size, np.float32))
    assert history.layers["line"].gradient == pytest.approx([2 * size], rel=1e-6)


def test_half_precision_is_summed_in_single():
    net, x = Line(np.full(1000, 100.0, np.float16)), np.full(1000, 0.1, np.float16)
    x[::2] *= -1  # so that the loss is 0
    history = History(net)
    step(net, optim.SGD(net.parameters(), lr=0.0), history, x)
    expected = float(x[1]) * math.sqrt(1000)
    assert history.layers["line"].gradient == pytest.approx([expected], rel=1e-6)


def test_what_is_not_finite_is_noted():
    net = Line([0.0, 0.0])
    history = History(net)
    optimizer = optim.SGD(net.parameters(), lr=1.0)
    for x in (np.zeros(2), np.ones(2), np.full(2, np.inf)):
        step(net, optimizer, history, x)
    line = history.as_dict()["layers"]["line"]
    assert line["gradient"] == [0.0, pytest.approx(math.sqrt(2)), math.inf]
    assert line["relative"] == [None, math.inf, math.inf]
    assert line["update"] == [None, math.inf, math.inf]


def test_a_layer_that_was_not_used_has_no_gradient():
    net = nn.Sequential(a=nn.Linear(2, 2, rng=0), b=nn.Linear(2, 2, rng=0))
    history = History(net)
    loss = net.a(gg.Tensor([[1.0, 2.0]])).sum()
    loss.backward()
    history.record(loss)
    assert history.layers["b"].gradient == [None]
    assert history.layers["a"].gradient[0] > 0


def test_every_tenth_call_notes_the_change_of_one_step():
    net = Line([3.0, 4.0])
    optimizer, history = optim.SGD(net.parameters(), lr=0.05), History(net, every=10)
    for _ in range(12):
        step(net, optimizer, history, np.array([0.6, 0.8]))
    found = history.as_dict()
    assert found["step"] == [0, 10]
    assert found["layers"]["line"]["update"] == pytest.approx([0.05 / 5, 0.05 / 4.5])


def test_the_last_update_is_known_once_it_has_happened():
    net = Line([3.0, 4.0])
    optimizer, history = optim.SGD(net.parameters(), lr=0.5), History(net)
    loss = net(np.array([0.6, 0.8]))
    loss.backward()
    history.record(loss)
    assert history.as_dict()["layers"]["line"]["update"] == [None]
    optimizer.step()
    assert history.as_dict()["layers"]["line"]["update"] == pytest.approx([0.1])


def test_training_is_not_changed():
    def trained(watched):
        net = nn.Sequential(fc=nn.Linear(3, 2, rng=0))
        optimizer, history = optim.SGD(net.parameters(), lr=0.1, momentum=0.9), History(net)
        for i in range(5):
            optimizer.zero_grad()
            loss = gg.cross_entropy(net(gg.Tensor(np.eye(3)[[i % 3]])), [i % 2])
            loss.backward()
            if watched:
                history.record(loss)
            optimizer.step()
        return net.state_dict()

    plain, watched = trained(False), trained(True)
    assert all((plain[name] == watched[name]).all() for name in plain)


def test_no_graph_is_kept_alive():
    net = Line([1.0, 2.0])
    history = History(net)
    loss = net(np.ones(2))
    loss.backward()
    history.record(loss)
    gone = weakref.ref(loss)
    del loss
    assert gone() is None


def backward(net):
    loss = net(np.ones(2))
    loss.backward()
    return loss


def test_what_is_no_module():
    with pytest.raises(gg.DTypeError, match="function is no module"):
        History(backward)
    with pytest.raises(gg.DomainError, match="the ReLU has no parameters"):
        History(nn.ReLU())
    for every in (0, 1.5, True):
        with pytest.raises(gg.DomainError, match="every is"):
            History(Line([1.0, 2.0]), every=every)


def test_what_cannot_be_recorded_changes_nothing():
    net = Line([1.0, 2.0])
    history = History(net)
    with pytest.raises(gg.DTypeError, match=r"float.*not its number"):
        history.record(3.0)
    with pytest.raises(gg.ShapeError, match=r"the loss is \(2,\)"):
        history.record(net.w * 2.0)
    with pytest.raises(gg.GradError, match=r"no parameter has a gradient.*loss\.backward"):
        history.record(net(np.ones(2)))
    with pytest.raises(gg.GradError, match="not computed from the parameters"):
        history.record(backward(Line([1.0, 2.0])))
    with gg.no_grad():
        hidden = net(np.ones(2))
    with pytest.raises(gg.GradError, match="not computed from the parameters"):
        history.record(hidden)
    loss = backward(net)
    optim.SGD(net.parameters(), lr=0.1).step()
    with pytest.raises(gg.MutationError, match=r"record\(loss\) before optimizer\.step\(\)"):
        history.record(loss)
    assert (history.steps, history.losses, history.layers["line"].gradient) == ([], [], [])
    history.record(backward(net))
    assert history.steps == [0]


# The picture


def recorded(steps, name="fc"):
    net = nn.Sequential(**{name: nn.Linear(2, 3, rng=0), "act": nn.ReLU()})
    optimizer, history = optim.SGD(net.parameters(), lr=0.01), History(net)
    for _ in range(steps):
        step(net, optimizer, history, gg.Tensor([[1.0, 2.0]]))
    return history


def drawn(steps, layers, values=0.5):
    """The tree of a picture with the same numbers in every layer."""
    line = [values] * steps if isinstance(values, float) else values
    tracks = {f"net.fc{i}": Track(10, line, line, line, line) for i in range(layers)}
    return ElementTree.fromstring(curves("Net", list(range(steps)), [1.0] * steps, tracks))


def words(root):
    return " ".join(root.itertext())


def elements(root, kind):
    return [e for e in root.iter() if e.get("class") == kind]


@pytest.mark.parametrize("steps", [1, 2, 20, 300])
def test_it_is_valid_and_the_same_each_time(steps):
    first, second = recorded(steps), recorded(steps)
    assert first.svg == second.svg
    root = ElementTree.fromstring(first.svg)
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    assert all(i.startswith(root.get("id")) for i in ids)
    assert set(re.findall(r"url\(#([^)]*)\)", first.svg)) <= set(ids)
    assert "@media (prefers-color-scheme:dark)" in first.svg
    assert "NaN" not in words(root)


def test_two_pictures_share_no_id():
    ids = [set(re.findall(r'id="([^"]*)"', recorded(n).svg)) for n in (2, 3)]
    assert ids[0].isdisjoint(ids[1])


def test_the_numbers_are_printed():
    net = Line([3.0, 4.0])
    history = History(net)
    step(net, optim.SGD(net.parameters(), lr=0.5), history, np.array([0.6, 0.8]))
    said = words(ElementTree.fromstring(history.svg))
    assert "1 step · 1 layer · loss 5" in said
    assert "line, gradient ‖∂W‖: 1" in said
    assert "line, update ‖ΔW‖ / ‖W‖: 0.1" in said
    assert "no relu" in said


def test_many_steps_are_bands():
    values = [0.1 * 10 ** (i % 2) for i in range(5000)]  # from 0.1 to 1, in turn
    root = drawn(5000, 1, values)
    assert "a point is 53 steps: line median, band least to greatest" in words(root)
    assert len(elements(root, "band")) == 3
    assert max(len(e.get("d").split("L")) for e in elements(root, "line")) == 95 <= MOST_POINTS
    (band,) = [e for g in elements(root, "ramp") for e in elements(g, "band")]
    heights = {float(pair.split()[1]) for pair in band.get("d").strip("MZ").split("L")}
    assert len(heights) == 2  # the least and the greatest of every point


def test_few_steps_are_dots_too():
    assert elements(drawn(20, 1), "dot")
    assert not elements(drawn(30, 1), "dot")
    assert not elements(drawn(20, 1), "band")


def test_thirty_layers_have_a_row_each_and_more_are_folded():
    assert len(elements(drawn(3, 30), "ramp")) == 30
    root = drawn(3, 47)
    assert len(elements(root, "ramp")) == 24
    assert "folded: 47 layers in 24 rows, 2 neighbours each" in words(root)
    assert "fc0 – fc1" in words(root)


def test_nan_and_infinity_are_marked():
    root = drawn(4, 2, [1.0, math.nan, math.inf, 1.0])
    (first, *_) = elements(root, "ramp")
    (cross,) = elements(first, "cross")
    assert cross.get("d").count("M") == 2
    assert "× NaN or ∞ first at step 1: net.fc0, net.fc1" in words(root)
    assert "NaN or ∞ in 2 points" in words(root)
    assert len(elements(first, "dot")) == 2  # on both sides of the gap


def test_an_end_that_is_not_finite_is_printed():
    assert "∞" in [e.text for e in elements(drawn(2, 1, [1.0, math.inf]), "alarm")]


@pytest.mark.parametrize(("least", "floor"), [(0.0, "0"), (1e-40, "≤ 1e−12")])
def test_what_is_too_small_has_a_place_below_the_decades(least, floor):
    root = drawn(3, 1, [1.0, least, 1e-3])
    (panel,) = elements(root, "ramp")
    (line,) = elements(panel, "line")
    (frame,) = elements(panel, "frame")
    heights = [float(pair.split()[1]) for pair in line.get("d").strip("M").split("L")]
    assert heights[1] == float(frame.get("height")) > heights[2] > heights[0]
    assert floor in [e.text for e in elements(panel, "tick")]


def test_a_hostile_name():
    root = ElementTree.fromstring(recorded(2, "</title><script>&\x00").svg)
    assert not [e for e in root.iter() if "script" in e.tag]
    assert "</title><script>&" in words(root)


def test_saving(tmp_path):
    history = recorded(2)
    assert history.save(tmp_path / "a.svg").read_text(encoding="utf-8") == history.svg
    assert history._repr_svg_() == history.svg
    with pytest.raises(gg.DomainError, match=r"a\.gif"):
        history.save(tmp_path / "a.gif")


def test_nothing_was_recorded(tmp_path):
    history = recorded(0)
    assert history._repr_svg_() is None
    with pytest.raises(gg.DomainError, match="nothing was recorded"):
        history.save(tmp_path / "a.svg")
    assert list(tmp_path.iterdir()) == []
    assert repr(history) == "History(1 layer, 0 steps)"


def test_an_axis_up_to_the_largest_float():
    from gradgraph.viz.axes import Log

    axis = Log.of([1e-3, 1.5e308])
    places = [place for place, _ in axis.ticks(100.0)]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)
