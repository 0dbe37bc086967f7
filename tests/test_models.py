"""Ready networks: as many weights as published, right sizes, trainable."""

from __future__ import annotations

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import models, nn, optim
from gradgraph.nn import conv, linear


def count(net):
    return sum(p.size for p in net.parameters())


@pytest.fixture
def without_numbers(monkeypatch):
    """Weights that take no memory, for networks that would take a gigabyte."""

    def nothing(shape, **_):
        return np.zeros(shape, np.float32)

    for module in (conv, linear):
        monkeypatch.setattr(module, "kaiming_normal", nothing)


@pytest.mark.parametrize(
    ("make", "weights"),
    [
        (lambda: models.LeNet5(rng=0), 61_706),
        (lambda: models.ResNet18(rng=0), 11_689_512),
        (lambda: models.VGG(16, rng=0), 138_357_544),
        (lambda: models.VGG(16, rng=0).features, 14_714_688),
        (lambda: models.SignalCNN(10, 3, rng=0), 13),
    ],
)
def test_as_many_weights_as_published(make, weights, without_numbers):
    assert count(make()) == weights


def test_the_weights_of_a_unet_by_hand(without_numbers):
    wide = [64, 128, 256, 512, 1024]
    total, c = 0, 1
    for n in wide:
        total += 9 * c * n + n + 9 * n * n + n
        c = n
    for n in wide[-2::-1]:
        total += 4 * 2 * n * n + n + 9 * 2 * n * n + n + 9 * n * n + n
    assert count(models.UNet(rng=0)) == total + 64 * 2 + 2 == 31_030_658


SMALL = {
    "LeNet5": (lambda: models.LeNet5(rng=0), (2, 28, 28, 1), (2, 10)),
    "VGG": (
        lambda: models.VGG(11, 5, side=32, width=4, hidden=16, rng=0),
        (2, 32, 32, 3),
        (2, 5),
    ),
    "ResNet18": (lambda: models.ResNet18(5, width=4, rng=0), (2, 64, 64, 3), (2, 5)),
    "ResNet18, small": (
        lambda: models.ResNet18(5, width=4, small=True, rng=0),
        (2, 16, 16, 3),
        (2, 5),
    ),
    "UNet": (lambda: models.UNet(3, 2, width=4, levels=2, rng=0), (1, 8, 12, 2), (1, 8, 12, 3)),
    "SignalCNN": (lambda: models.SignalCNN(9, 3, rng=0), (4, 9, 1), (4, 1)),
}


@pytest.mark.parametrize(("make", "given", "result"), SMALL.values(), ids=SMALL.keys())
class TestEvery:
    def test_a_step_makes_it_better(self, make, given, result):
        net = make()
        rng = np.random.default_rng(0)
        x, wanted = (rng.normal(size=s).astype(np.float32) for s in (given, result))
        optimizer = optim.Adam(net.parameters(), lr=1e-3)
        for module in net.modules():
            if isinstance(module, nn.Dropout):
                module.rate = 0.0
        losses = []
        for _ in range(8):
            optimizer.zero_grad()
            y = net(x)
            assert y.shape == result
            loss = gg.mse_loss(y, wanted)
            losses.append(loss.item())
            loss.backward()
            assert all(p.grad is not None for p in net.parameters())
            optimizer.step()
        assert losses[-1] < losses[0]

    def test_the_same_seed_is_the_same_network(self, make, given, result):
        a, b = make().state_dict(), make().state_dict()
        assert list(a) == list(b)
        assert all(np.array_equal(a[k], b[k]) for k in a)

    def test_it_is_summed_up_and_drawn(self, make, given, result):
        net = make()
        text = str(nn.summary(net, given))
        assert f"{count(net):,} weights in all" in text
        assert gg.draw(net, given).svg.lstrip().startswith("<")


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: models.VGG(12, rng=0), gg.DomainError, "depth is 12"),
        (lambda: models.VGG(11, side=48, rng=0), gg.DomainError, "side is 48"),
        (
            lambda: models.UNet(width=2, rng=0)(np.zeros((1, 24, 16, 1), np.float32)),
            gg.ShapeError,
            "multiples of 16",
        ),
        (lambda: models.ResNet18(rng=None), gg.DTypeError, "rng is None"),
    ],
)
def test_errors_teach(make, kind, words):
    with pytest.raises(kind, match=words):
        make()
