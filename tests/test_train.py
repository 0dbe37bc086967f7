"""`fit` and metrics."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import data, nn, optim
from gradgraph.train import accuracy, confusion_matrix, evaluate, fit


def setting(seed=0, n=96, lr=0.05):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2)).astype(np.float32)
    labels = (x[:, 0] * x[:, 1] > 0).astype(int)
    net = nn.Sequential(
        nn.Linear(2, 16, rng=rng),
        nn.BatchNorm(16),
        nn.ReLU(),
        nn.Dropout(0.1, rng=rng),
        nn.Linear(16, 2, rng=rng),
    )
    loader = data.DataLoader((x[32:], labels[32:]), 16, rng=rng)
    adam = optim.Adam(net.parameters(), lr=lr)
    return net, loader, gg.cross_entropy, adam, (x[:32], labels[:32])


def weights(net):
    return np.concatenate([v.ravel() for v in net.state_dict().values()])


class TestFit:
    def test_learns_and_tells(self, capsys):
        net, *given, held = setting()
        training = fit(net, *given, epochs=30, validation=held, metrics={"accuracy": accuracy})
        last = training.epochs[-1]
        assert last.loss < training.epochs[0].loss / 2
        assert last.validation["accuracy"] > 0.8
        assert last.metrics["accuracy"] > 0.8
        assert 0 < last.gradient < 10
        assert 0 <= last.least <= last.gradient
        assert last.weakest in dict(net.named_modules())
        assert not net.training
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 30
        assert lines[0].startswith("epoch  1/30  loss 0.")
        assert "validation accuracy" in lines[0]
        assert "items/s" in lines[0]
        assert "validation accuracy" in str(training).splitlines()[0]
        assert sum("*" in line for line in str(training).splitlines()) == 1

    @pytest.mark.parametrize("clip", [None, 0.1])
    def test_a_compiled_training_is_the_same(self, clip):
        """Dropout, running statistics, the smaller last batch; bit for bit on numpy."""
        found = []
        with gg.backend("numpy"):
            for compiled in (False, True):
                net, _, loss, adam, held = setting()
                loader = data.DataLoader(held, 12, rng=np.random.default_rng(0))
                training = fit(
                    net, loader, loss, adam, epochs=4, clip=clip, compile=compiled, progress=False
                )
                found.append((weights(net), training.epochs))
        np.testing.assert_array_equal(found[0][0], found[1][0])
        for a, b in zip(found[0][1], found[1][1], strict=True):
            assert (a.loss, a.gradient, a.least, a.weakest) == (
                b.loss,
                b.gradient,
                b.least,
                b.weakest,
            )

    def test_a_compiled_network_is_trained_and_validated_as_its_own(self):
        """In `eval` mode, with its running statistics left as they are."""
        net, *given, held = setting()
        other, *others, _ = setting()
        run = gg.compile(other)
        kind = {"epochs": 3, "validation": held, "progress": False}
        with gg.backend("numpy"):
            wanted, found = fit(net, *given, **kind), fit(run, *others, **kind)
            assert [e.validation for e in found.epochs] == [e.validation for e in wanted.epochs]
            before = weights(other)
            other.train()
            evaluate(run, held, gg.cross_entropy)
            np.testing.assert_array_equal(weights(other), before)
        np.testing.assert_array_equal(weights(other), weights(net))
        assert "sequential.0" in str(gg.summary(run, (4, 2)))

    def test_a_compiled_training_stops_before_weights_are_lost(self):
        net, loader, loss, adam, _ = setting()
        before = weights(net)
        loader = data.DataLoader((np.full((8, 2), np.nan, np.float32), np.zeros(8, int)), 4, rng=0)
        with pytest.raises(gg.NonFiniteError, match="inputs are infinite or NaN"):
            fit(net, loader, loss, adam, epochs=1, compile=True, progress=False)
        learned = np.concatenate([p.data.ravel() for p in net.parameters()])
        assert np.isfinite(learned).all()
        assert len(before) > len(learned)

    def test_names_the_layer_that_learns_least(self, capsys):
        """A layer as a whole: the bias before the normalisation has no gradient."""
        net, loader, loss, adam, _ = setting()
        training = fit(net, loader, loss, adam, epochs=1)
        (epoch,) = training.epochs
        norms = {
            name: np.hypot(*(np.linalg.norm(p.grad.data) for p in (layer.w, layer.b)))
            if isinstance(layer, nn.Linear)
            else np.hypot(*(np.linalg.norm(p.grad.data) for p in (layer.gamma, layer.beta)))
            for name, layer in net.named_modules()
            if list(layer.parameters(below=False))
        }
        assert np.abs(net[0].b.grad.data).max() < 1e-6
        assert set(norms) == {"0", "1", "4"}
        assert epoch.weakest == min(norms, key=norms.__getitem__)
        assert epoch.least == pytest.approx(norms[epoch.weakest])
        assert f"smallest ({epoch.weakest}) " in capsys.readouterr().out
        assert str(training).splitlines()[1].split()[4] == epoch.weakest

    def test_the_smallest_gradient_is_that_of_what_learns(self):
        """Before clipping; of layers that the optimiser has; shared parameters once."""
        net, loader, loss, _, _ = setting()
        net[0].again = net[0].w
        sgd = optim.SGD([*net[0].parameters(), *net[1].parameters()], lr=0.0)
        free = fit(net, loader, loss, sgd, epochs=1, progress=False).epochs[0]
        net, loader, loss, _, _ = setting()
        sgd = optim.SGD([*net[0].parameters(), *net[1].parameters()], lr=0.0)
        clipped = fit(net, loader, loss, sgd, epochs=1, progress=False, clip=1e-6).epochs[0]
        assert free.weakest == clipped.weakest
        assert free.weakest in ("0", "1")
        assert clipped.least == pytest.approx(free.least, rel=1e-4)

    def test_says_how_it_ends_and_goes_on(self, capsys, tmp_path):
        pytest.importorskip("safetensors")
        net, loader, loss, adam, _ = setting(lr=0.0)
        path = tmp_path / "a"
        for epochs, words in (
            (2, ""),
            (9, f"going on from {path} after epoch 2 of 9, with its lr 0"),
        ):
            fit(net, loader, loss, adam, epochs=epochs, patience=3, checkpoint=path, keep_best=True)
            text = capsys.readouterr().out
            assert words in text
        assert "stopped early: nothing became better in 3 epochs" in text
        assert re.search(r"the weights are those of epoch \d", text)

    def test_says_where_what_is_no_number_comes_from(self):
        net, loader, loss, adam, _ = setting()
        x, _ = loader.dataset.arrays
        x[5, 1] = np.nan
        with pytest.raises(
            gg.NonFiniteError, match=r"1 of the batch's inputs are .* at \[\d+, 1\]"
        ):
            fit(net, loader, loss, adam, epochs=1)
        x[5, 1] = 0.0
        net[0].w.assign(np.full((2, 16), np.inf))
        infinite = pytest.raises(gg.NonFiniteError, match=r"0\.w has become infinite or NaN")
        with np.errstate(all="ignore"), infinite:
            fit(net, loader, loss, adam, epochs=1)

    def test_shows_nothing_if_asked(self, capsys):
        net, *given, _ = setting()
        fit(net, *given, epochs=1, progress=False)
        assert capsys.readouterr().out == ""

    @pytest.mark.parametrize("stop", [1, 2, 4])
    @pytest.mark.parametrize("schedule", [None, "cosine", "plateau"])
    def test_a_checkpoint_goes_on_exactly(self, tmp_path, stop, schedule):
        pytest.importorskip("safetensors")

        def run(epochs, path):
            net, loader, loss, adam, held = setting()
            made = {
                None: lambda: None,
                "cosine": lambda: optim.CosineLR(adam, 24),
                "plateau": lambda: optim.ReduceLROnPlateau(adam, patience=0),
            }[schedule]()
            training = fit(
                net, loader, loss, adam, epochs=epochs, validation=held, schedule=made,
                checkpoint=path, keep_best=True, progress=False,
            )  # fmt: skip
            return weights(net), [(e.loss, e.validation) for e in training.epochs], training.best

        whole, told, best = run(6, tmp_path / "whole")
        run(stop, tmp_path / "a")
        again, told_again, best_again = run(6, tmp_path / "a")
        assert np.array_equal(whole, again)
        assert (told, best) == (told_again, best_again)

    def test_the_same_seed_is_the_same_training(self):
        ends = []
        for _ in range(2):
            net, *given, _ = setting()
            fit(net, *given, epochs=3, progress=False)
            ends.append(weights(net))
        assert np.array_equal(*ends)

    def test_two_trainings_in_two_threads_do_not_disturb_each_other(self):
        def run(seed):
            net, *given, held = setting(seed)
            with gg.scope(f"net{seed}"):
                fit(net, *given, epochs=5, validation=held, progress=False)
            return weights(net)

        alone = [run(seed) for seed in range(2)]
        with ThreadPoolExecutor(2) as pool:
            together = list(pool.map(run, range(2)))
        for a, b in zip(alone, together, strict=True):
            assert np.array_equal(a, b)

    def test_stops_early_and_keeps_the_best(self):
        net, *given, held = setting(lr=0.5)
        training = fit(
            net, *given, epochs=200, validation=held, patience=3, keep_best=True, progress=False
        )
        assert training.stopped
        assert len(training.epochs) == training.best + 4 < 200
        found = evaluate(net, held, gg.cross_entropy)
        assert found["loss"] == pytest.approx(training.epochs[training.best].validation["loss"])

    def test_clips_and_schedules(self):
        net, loader, loss, _, _ = setting()
        sgd = optim.SGD(net.parameters(), lr=1.0)
        before = weights(net)[: 2 * 16]
        schedule = optim.StepLR(sgd, 1, gamma=0.0)
        fit(net, loader, loss, sgd, epochs=1, clip=1e-3, schedule=schedule, progress=False)
        assert sgd.lr == 0
        assert np.abs(weights(net)[: 2 * 16] - before).max() <= 1e-3

    def test_a_loss_that_is_not_finite_stops_it(self):
        net, loader, _, adam, _ = setting()
        with pytest.raises(gg.NonFiniteError, match="loss is nan in epoch 1"):
            fit(net, loader, lambda a, b: a.sum() * np.nan, adam, epochs=1, progress=False)

    def test_a_validation_loss_that_is_nan_is_never_best(self):
        net, loader, loss, adam, held = setting()
        calls = []

        def odd(scores, labels):
            value = loss(scores, labels)
            if net.training:
                return value
            calls.append(1)
            return value * (np.nan if len(calls) == 2 else 1.0)

        training = fit(
            net, loader, odd, adam, epochs=6, validation=held, patience=5, keep_best=True,
            progress=False,
        )  # fmt: skip
        losses = [e.validation["loss"] for e in training.epochs]
        assert np.isnan(losses[1])
        assert training.best == int(np.nanargmin(losses))
        assert evaluate(net, held, loss)["loss"] == pytest.approx(np.nanmin(losses))

    def test_validation_is_the_whole_and_changes_nothing(self):
        net, _, loss, _, held = setting()
        validation = data.DataLoader(held, 8, rng=0)
        next(iter(validation))
        before, place = net.state_dict(), validation.state_dict()
        net.train()
        found = evaluate(net, validation, loss)
        assert found["loss"] == pytest.approx(evaluate(net, held, loss)["loss"])
        assert validation.state_dict() == place
        assert net.training
        assert all(np.array_equal(before[k], v) for k, v in net.state_dict().items())

    def test_another_checkpoint_is_refused(self, tmp_path):
        pytest.importorskip("safetensors")
        net, *given, held = setting()
        fit(net, *given, epochs=1, checkpoint=tmp_path / "a", progress=False)
        net, *given, held = setting()
        with pytest.raises(gg.DomainError, match="the checkpoint followed"):
            fit(net, *given, epochs=2, validation=held, checkpoint=tmp_path / "a", progress=False)
        before = weights(net)
        with pytest.raises(FileNotFoundError):
            fit(net, *given, epochs=2, checkpoint=tmp_path / "no" / "a", progress=False)
        assert np.array_equal(weights(net), before)

    def test_an_interrupted_training_leaves_the_model_in_use(self):
        net, loader, _, adam, _ = setting()

        def interrupted(scores, labels):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit(net, loader, interrupted, adam, epochs=1, progress=False)
        assert not net.training

    @pytest.mark.parametrize(
        ("changes", "kind", "words"),
        [
            ({"epochs": 0}, gg.DomainError, "epochs is 0"),
            ({"epochs": 1.5}, gg.DTypeError, "epochs is 1.5"),
            ({"patience": 0}, gg.DomainError, "patience is 0"),
            ({"metrics": {"loss": accuracy}}, gg.DomainError, "a metric is called 'loss'"),
            ({"metrics": {"gradient": accuracy}}, gg.DomainError, "called 'gradient'"),
            ({"validation": ([[1.0, 2.0]] * 3, [0])}, gg.ShapeError, "3, 1 rows"),
            ({"clip": -1}, gg.DomainError, "max_norm is -1"),
        ],
    )
    def test_wrong_arguments(self, changes, kind, words):
        net, *given, _ = setting()
        with pytest.raises(kind, match=words):
            fit(net, *given, **{"epochs": 1, "progress": False, **changes})

    def test_loaders_and_optimisers_that_do_not_belong(self):
        net, loader, loss, adam, held = setting()
        other = setting(1)[3]
        with pytest.raises(gg.DomainError, match="no parameter of the model"):
            fit(net, loader, loss, other, epochs=1)
        few = data.DataLoader(held, 99, rng=0, drop_last=True)
        with pytest.raises(gg.DomainError, match="no batches"):
            fit(net, few, loss, adam, epochs=1)
        with pytest.raises(gg.DomainError, match="no batch to validate"):
            fit(net, loader, loss, adam, epochs=1, validation=few)
        single = data.DataLoader(held[:1], 8, rng=0)
        with pytest.raises(gg.DTypeError, match="1 arrays, not an x and a y"):
            fit(net, single, loss, adam, epochs=1, progress=False)

    def test_data_that_is_no_loader(self):
        net, loader, loss, adam, held = setting()
        for given in (held, loader.dataset, 3):
            with pytest.raises(gg.DTypeError, match="not a DataLoader"):
                fit(net, given, loss, adam, epochs=1)

    def test_it_is_in_the_namespace(self):
        assert gg.fit is fit


class TestMetrics:
    def test_accuracy(self):
        scores = np.array([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0]])
        assert accuracy(gg.Tensor(scores), [1, 0, 0]) == pytest.approx(2 / 3)

    def test_confusion(self):
        scores = np.eye(3)[[0, 1, 1, 2]]
        matrix = confusion_matrix(scores, [0, 1, 2, 2])
        assert matrix.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
        assert matrix.sum() == 4

    @pytest.mark.parametrize(
        ("scores", "labels", "kind", "words"),
        [
            (np.zeros((2, 3)), [0, 1, 2], gg.ShapeError, r"scores are 2×3, labels \(3,\)"),
            (np.zeros(3), [0, 1, 2], gg.ShapeError, r"scores are \(3,\)"),
            (np.zeros((0, 3)), np.zeros(0, int), gg.ShapeError, "scores are 0×3"),
            (np.zeros((2, 3)), [0.0, 1.0], gg.DTypeError, "labels are float64"),
        ],
    )
    def test_errors_teach(self, scores, labels, kind, words):
        for metric in (accuracy, confusion_matrix):
            with pytest.raises(kind, match=words):
                metric(scores, labels)

    def test_a_network_is_no_scores(self):
        with pytest.raises(gg.DTypeError, match="scores are Linear"):
            accuracy(nn.Linear(2, 2, rng=0), [0])

    def test_labels_that_are_no_class(self):
        with pytest.raises(gg.DomainError, match="labels go from 0 to 3"):
            confusion_matrix(np.zeros((2, 3)), [0, 3])
