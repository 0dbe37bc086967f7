"""Checkpoints: whole or not at all, and exact."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import data, files, io, nn, optim
from gradgraph.io import CheckpointError, load, save

pytest.importorskip("safetensors")
SCRIPT = Path(__file__).with_name("resumed.py")


def network(seed=0):
    return nn.Sequential(
        nn.Linear(3, 4, rng=seed),
        nn.BatchNorm(4),
        nn.Dropout(0.5, rng=seed),
        nn.Linear(4, 2, rng=1),
    )


def training(seed=0):
    net = network(seed)
    adam = optim.Adam(net.parameters(), lr=0.1)
    return {
        "net": net,
        "adam": adam,
        "schedule": optim.StepLR(adam, 3),
        "plateau": optim.ReduceLROnPlateau(adam),
        "loader": data.DataLoader((np.arange(8), np.arange(8)), 2, rng=seed),
        "rng": np.random.default_rng(seed),
    }


def step(parts):
    x = parts["rng"].normal(size=(4, 3)).astype(np.float32)
    parts["adam"].zero_grad()
    gg.cross_entropy(parts["net"](x), [0, 1, 0, 1]).backward()
    parts["adam"].step()
    parts["schedule"].step()
    next(iter(parts["loader"]))


def everything(parts):
    """All state as bytes and texts, to compare."""
    parts = dict(parts)
    found = {"rng": repr(parts.pop("rng").bit_generator.state)}
    for name, part in parts.items():
        for key, value in part.state_dict().items():
            found[f"{name}/{key}"] = value.tobytes() if hasattr(value, "tobytes") else repr(value)
    found["dropout"] = repr(parts["net"][2].rng.bit_generator.state)
    return found


class TestRoundTrip:
    def test_a_training_goes_on_exactly(self, tmp_path):
        first, second = training(0), training(1)
        for _ in range(3):
            step(first)
        path = tmp_path / "a.safetensors"
        save(path, **first, epoch=2, note={"losses": [1.5, float("inf")], "name": None})
        plain = load(path, **second)
        assert plain == {"epoch": 2, "note": {"losses": [1.5, float("inf")], "name": None}}
        assert everything(first) == everything(second)
        for _ in range(4):
            step(first), step(second)
        assert everything(first) == everything(second)

    def test_the_same_state_is_the_same_bytes(self, tmp_path):
        files = []
        for i in range(20):
            save(tmp_path / str(i), **training(0), epoch=1)
            files.append((tmp_path / str(i)).read_bytes())
        assert len(set(files)) == 1

    @pytest.mark.parametrize("kind", [np.random.MT19937, np.random.Philox, np.random.SFC64])
    def test_every_kind_of_generator(self, tmp_path, kind):
        first, second = (np.random.Generator(kind(seed)) for seed in (1, 2))
        first.normal(size=3)
        save(tmp_path / "a", rng=first)
        load(tmp_path / "a", rng=second)
        assert np.array_equal(first.normal(size=5), second.normal(size=5))

    def test_memory_layouts_byte_orders_and_dtypes(self, tmp_path):
        class Holder:
            def __init__(self, arrays):
                self.arrays = arrays

            def state_dict(self):
                return self.arrays

            def load_state_dict(self, state):
                self.arrays = state

        x = np.arange(12.0).reshape(3, 4)
        arrays = {
            "transposed": x.T,
            "reversed": x[::-1, ::2],
            "big": x.astype(">f4"),
            "scalar": np.array(3.0),
            "empty": np.zeros((0, 3)),
            "half": x.astype(np.float16),
            "whole": np.arange(3),
            "flags": x > 5,
        }
        save(tmp_path / "a", held=Holder(arrays))
        other = Holder({})
        load(tmp_path / "a", held=other)
        for name, array in arrays.items():
            assert np.array_equal(other.arrays[name], array), name
            assert other.arrays[name].shape == array.shape
            assert other.arrays[name].dtype == array.dtype.newbyteorder("=")

    def test_some_of_the_parts(self, tmp_path):
        net = network()
        save(tmp_path / "a", net=net, other=network(1), epoch=1)
        fresh = network(5)
        assert load(tmp_path / "a", net=fresh) == {"epoch": 1}
        assert np.array_equal(fresh[0].w.data, net[0].w.data)

    def test_plain_data(self, tmp_path):
        given = {
            "a": np.float32(0.5),
            "b": (1, np.int64(2)),
            "c": {"d": np.arange(2), "e": [None, "x"]},
            "f": np.arange(3),
        }
        save(tmp_path / "a", **given)
        found = load(tmp_path / "a")
        assert found.pop("f").tolist() == [0, 1, 2]
        assert found == {"a": 0.5, "b": [1, 2], "c": {"d": [0, 1], "e": [None, "x"]}}

    def test_names_that_parts_may_not_have(self, tmp_path):
        for name in ("a/b", ""):
            with pytest.raises(CheckpointError, match="a part is called"):
                save(tmp_path / "a", **{name: 1})
        save(tmp_path / "a", path=1)
        assert load(tmp_path / "a") == {"path": 1}
        for f in (save, load):
            with pytest.raises(CheckpointError, match="a Linear is given without a name"):
                f(tmp_path / "a", nn.Linear(1, 1, rng=0))

    @pytest.mark.parametrize(
        "part", [{1: 2}, [{(1,): 2}], np.array([1j]), np.array(["a"]), np.array([None]), {1, 2}]
    )
    def test_what_cannot_be_saved_leaves_no_file(self, tmp_path, part):
        with pytest.raises(CheckpointError, match="cannot be saved"):
            save(tmp_path / "a", part=part)
        assert list(tmp_path.iterdir()) == []

    def test_a_parameter_called_generators(self, tmp_path):
        class Odd(nn.Module):
            def __init__(self):
                self.generators = gg.Tensor([1.0], requires_grad=True)
                self.drop = nn.Dropout(0.5, rng=0)

        first, second = Odd(), Odd()
        first.generators.assign([5.0])
        first.drop(np.ones(3))
        save(tmp_path / "a", net=first)
        load(tmp_path / "a", net=second)
        assert second.generators.tolist() == [5.0]
        assert np.array_equal(first.drop(np.ones(9)), second.drop(np.ones(9)))

    def test_nothing_is_pickled(self, tmp_path):
        with pytest.raises(CheckpointError, match="cannot be saved"):
            save(tmp_path / "a", thing=object())
        assert list(tmp_path.iterdir()) == []


class TestDamage:
    def saved(self, tmp_path):
        path = tmp_path / "a.safetensors"
        save(path, **training(0), epoch=1)
        return path

    def refused(self, path, words=r"^load: "):
        parts = training(1)
        before = everything(parts)
        with pytest.raises(CheckpointError, match=words):
            load(path, **parts)
        assert everything(parts) == before

    def test_files_that_end_too_early(self, tmp_path):
        path = self.saved(tmp_path)
        whole = path.read_bytes()
        for size in [*range(0, 40), *range(40, len(whole), 97), len(whole) - 1]:
            path.write_bytes(whole[:size])
            self.refused(path, "no whole safetensors file")

    def test_one_damaged_bit_anywhere(self, tmp_path):
        path = self.saved(tmp_path)
        whole = bytearray(path.read_bytes())
        size = int.from_bytes(whole[:8], "little")
        rng = np.random.default_rng(0)
        places = [*rng.integers(0, 8 + size, 150), *rng.integers(8 + size, len(whole), 50)]
        for at in places:
            damaged = bytearray(whole)
            damaged[at] ^= 1 << int(rng.integers(0, 8))
            path.write_bytes(damaged)
            self.refused(path)

    def test_foreign_files(self, tmp_path):
        from safetensors.numpy import save_file

        path = tmp_path / "a"
        save_file({"w": np.zeros(3)}, path)
        self.refused(path, "none that gradgraph's save wrote")
        path.write_bytes(b"PK\x03\x04 some zip file" * 10)
        self.refused(path, "no whole safetensors file")
        save_file({"w": np.zeros(3)}, path, metadata={"gradgraph": "{}"})
        self.refused(path, r"head of .* is damaged")

    def test_another_format(self, tmp_path, monkeypatch):
        path = tmp_path / "a"
        monkeypatch.setattr(io.checkpoint, "FORMAT", 9)
        save(path, **training(0))
        monkeypatch.undo()
        self.refused(path, r"format 9.*written by gradgraph")

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            load(tmp_path / "b", net=network())

    def test_another_network_loads_nothing_at_all(self, tmp_path):
        path = self.saved(tmp_path)
        parts = training(1)
        parts["net"] = nn.Sequential(nn.Linear(3, 5, rng=0), nn.Linear(5, 2, rng=0))
        adam = parts["adam"]
        before = repr(adam.state_dict()), parts["rng"].bit_generator.state
        reordered = {"rng": parts["rng"], "adam": adam, "net": parts["net"]}
        with pytest.raises(CheckpointError, match=r"net of .* does not fit"):
            load(path, **reordered)
        assert (repr(adam.state_dict()), parts["rng"].bit_generator.state) == before

    def test_names_and_kinds(self, tmp_path):
        path = self.saved(tmp_path)
        with pytest.raises(CheckpointError, match="no 'model'"):
            load(path, model=network())
        with pytest.raises(CheckpointError, match="epoch was saved as plain data"):
            load(path, epoch=network())
        with pytest.raises(CheckpointError, match="not as a int"):
            load(path, net=3)
        with pytest.raises(
            CheckpointError, match="schedule was saved as StepLR, not as a CosineLR"
        ):
            load(path, schedule=optim.CosineLR(training(1)["adam"], 5))
        with pytest.raises(CheckpointError, match=r"rng of .* does not fit"):
            load(path, rng=np.random.Generator(np.random.MT19937(0)))


class TestAtomic:
    def test_an_old_file_survives_a_failure(self, tmp_path, monkeypatch):
        path = tmp_path / "a"
        files.write(path, b"old")
        monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            files.write(path, b"new")
        assert path.read_bytes() == b"old"
        assert [p.name for p in tmp_path.iterdir()] == ["a"]

    def test_what_a_dead_process_left_is_swept_and_nothing_else(self, tmp_path):
        path = tmp_path / "a"
        child = subprocess.Popen([sys.executable, "-c", ""])
        child.wait()
        dead = child.pid
        here = files._host()
        names = {
            f".a.{here}-{dead}.0f.tmp": False,
            f".a.{here}-{os.getpid()}.0f.tmp": True,
            f".a.elsewhere-{dead}.0f.tmp": True,  # of another machine, and new
            f".a.{here}-{10**30}.0f.tmp": False,
            f".b.{here}-{dead}.0f.tmp": True,
            ".a.notes.tmp": True,
            "a.bak": True,
        }
        for name in names:
            (tmp_path / name).write_bytes(b"")
        old = tmp_path / ".a.elsewhere-7.0f.tmp"
        old.write_bytes(b"")
        os.utime(old, (0, 0))
        files.write(path, b"new")
        assert {name: (tmp_path / name).exists() for name in names} == names
        assert not old.exists()

    def test_names_that_are_patterns_and_links(self, tmp_path):
        child = subprocess.Popen([sys.executable, "-c", ""])
        child.wait()
        odd = tmp_path / "run[1]"
        left = tmp_path / f".run[1].{files._host()}-{child.pid}.0f.tmp"
        left.write_bytes(b"")
        files.write(odd, b"1")
        assert not left.exists()
        link = tmp_path / "link"
        link.symlink_to(odd)
        files.write(link, b"2")
        assert link.is_symlink()
        assert odd.read_bytes() == b"2"

    def test_a_folder_in_its_place(self, tmp_path):
        for path in (tmp_path, "."):
            with pytest.raises(IsADirectoryError) as caught:
                files.write(path, b"1")
            assert str(caught.value.filename) == str(path)

    def test_a_folder_that_cannot_be_synced(self, tmp_path, monkeypatch):
        def only_files(descriptor):
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(22, "invalid argument")

        monkeypatch.setattr(os, "fsync", only_files)
        files.write(tmp_path / "a", b"1")
        assert (tmp_path / "a").read_bytes() == b"1"

    def test_a_missing_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            save(tmp_path / "no" / "a", epoch=1)


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_killed_at_any_moment_it_goes_on_exactly(tmp_path):
    steps = 120
    command = [sys.executable, str(SCRIPT)]

    def final(path):
        with open(path, "rb") as file:
            return file.read()

    whole = tmp_path / "whole"
    subprocess.run([*command, str(whole), str(steps)], check=True, capture_output=True)
    path = tmp_path / "killed"
    rng = np.random.default_rng(0)
    kills = 0
    finished = False
    while not finished:
        child = subprocess.Popen(
            [*command, str(path), str(steps)], stdout=subprocess.PIPE, text=True
        )
        child.stdout.readline()  # it has begun
        if kills < 20:
            time.sleep(float(rng.uniform(0, 0.02)))
            child.kill()
        finished = child.wait() == 0
        kills += not finished
        child.stdout.close()
    assert kills >= 20
    assert final(path) == final(whole)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["killed", "whole"]
