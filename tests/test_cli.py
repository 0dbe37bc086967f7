"""The command line, and the main job."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest

import gradgraph as gg
from gradgraph import cli, data


@pytest.fixture
def few_digits(monkeypatch):
    """300 digits of each run instead of 4,000, and 1,000 of them held out."""
    images, labels = data.mnist_5k()
    part = np.random.default_rng(0).permutation(5000)[:1300]
    monkeypatch.setattr(data, "mnist_5k", lambda: (images[part], labels[part]))


def without_times(text):
    return re.sub(r"items/s [\d,]+|[\d.]+ s of training", "", text)


def test_demo_trains_reports_and_draws(few_digits, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    assert cli.main(["demo", "--epochs", "2", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "300 to learn from, 1,000 held out" in text
    assert re.search(r"epoch 2/2  loss \d\.\d+  accuracy \d+\.\d%  .*  items/s [\d,]+", text)
    assert re.search(r"seed 0: test accuracy \d+\.\d% on 1,000 held-out digits", text)
    for name in ("graph", "flow"):
        path = out / f"{name}.svg"
        assert f"{name}: {path}" in text
        svg = path.read_text(encoding="utf-8")
        assert svg.lstrip().startswith("<")
        assert "conv1" in svg
    graph, flow = (out / f"{name}.svg" for name in ("graph", "flow"))
    assert "∂" not in graph.read_text(encoding="utf-8")
    assert "∂" in flow.read_text(encoding="utf-8")


def test_the_same_seed_gives_the_same_numbers(few_digits, tmp_path, capsys):
    texts = []
    for seed in ("3", "3", "4"):
        assert cli.main(["demo", "--epochs", "1", "--seed", seed, "--out", str(tmp_path)]) == 0
        texts.append(without_times(capsys.readouterr().out))
    assert texts[0] == texts[1]
    assert texts[0].replace("seed 3", "") != texts[2].replace("seed 4", "")


def test_several_seeds_have_a_mean_and_a_worst(few_digits, tmp_path, capsys):
    assert cli.main(["demo", "--epochs", "1", "--seeds", "0", "1", "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    shares = [float(s) for s in re.findall(r"test accuracy ([\d.]+)%", text)]
    mean, worst = re.search(r"mean of 2 seeds ([\d.]+)%, worst ([\d.]+)%", text).groups()
    assert len(shares) == 2
    assert abs(float(mean) - sum(shares) / 2) < 0.06
    assert float(worst) == min(shares)


def test_a_terminal_gets_a_live_bar(few_digits, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert cli.main(["demo", "--epochs", "1", "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "━" in text
    assert re.search(r"epoch 1/1  loss \d\.\d+  accuracy \d+\.\d%", text)


def test_without_helpers_a_terminal_gets_lines(few_digits, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    assert cli.main(["demo", "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert "epoch 1/1" in capsys.readouterr().out


def test_without_a_layout_engine_the_run_still_succeeds(few_digits, tmp_path, capsys, monkeypatch):
    def none(*args, **kwargs):
        raise gg.MissingExtraError("draw", "there is no engine", "Install one.")

    from gradgraph import viz

    monkeypatch.setattr(viz.Drawing, "save", none)
    assert cli.main(["demo", "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert "no pictures: there is no engine. Install one." in capsys.readouterr().out


def test_missing_digits_are_one_line_and_a_failure(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(data.digits, "find_spec", lambda name: None)
    assert cli.main(["demo", "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert 'pip install "gradgraph-engine[train]"' in error


def test_a_folder_that_cannot_be_made_is_a_failure(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["demo", "--out", str(tmp_path / "file")]) == 1
    assert "file" in capsys.readouterr().err


def test_an_interrupt_is_no_traceback(monkeypatch, capsys):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "mnist_5k", interrupt)
    assert cli.main(["demo"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required: command"),
        (["fly"], "invalid choice: 'fly'"),
        (["demo", "--epochs", "0"], "'0' is no int ≥ 1"),
        (["demo", "--seed", "-1"], "'-1' is no int ≥ 0"),
        (["demo", "--seed", "1", "--seeds", "2"], "not allowed with"),
    ],
)
def test_wrong_usage_is_explained(arguments, words, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_it_runs_as_a_module():
    run = subprocess.run(
        [sys.executable, "-m", "gradgraph", "demo", "--help"], capture_output=True, text=True
    )
    assert run.returncode == 0
    assert "--seeds" in run.stdout


def test_importing_the_package_imports_no_training():
    code = (
        "import sys, gradgraph; names = 'nn optim data cli viz train io models testing'.split();"
        "more = ['rich', 'safetensors'];"
        "print([n for n in [*('gradgraph.' + n for n in names), *more] if n in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr


@pytest.mark.slow
def test_the_main_job_reaches_its_bar(tmp_path, capsys):
    assert cli.main(["demo", "--out", str(tmp_path)]) == 0
    (share,) = re.findall(r"test accuracy ([\d.]+)%", capsys.readouterr().out)
    assert float(share) >= 96


NET = """
import numpy as np
import gradgraph as gg
from gradgraph import nn

net = nn.Sequential(nn.Linear(3, 2, rng=0), nn.ReLU())
x = gg.Tensor([1.0, 2.0], requires_grad=True, name="ex")


def loss():
    return (x * x).sum()


def wrong():
    raise ValueError("no data")
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "drawn_net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["drawn_net.py:net", "--shape", "5x3"], "5×2"),
        (["drawn_net.py:loss", "--flow", "--title", "Mine"], "Mine"),
        (["drawn_net.py:loss", "--backward"], "∂ multiply"),
        (["drawn_net.py:x"], "ex"),
    ],
)
def test_draw_writes_what_it_is_told(arguments, shown, module, capsys):
    assert cli.main(["draw", *arguments, "-o", "g.dot"]) == 0
    assert capsys.readouterr().out == "g.dot\n"
    assert shown in (module / "g.dot").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["drawn_net.py:nothing"], "has no nothing"),
        (["drawn_net.py"], "not module:function"),
        (["drawn_net.py:net"], "there is no input"),
        (["drawn_net.py:net", "--shape", "5x4"], "matmul"),
        (["drawn_net.py:wrong"], "ValueError: no data"),
        (["drawn_net.py:loss", "--shape", "3"], "TypeError"),
        (["drawn_net.py:net", "--shape", "5x3", "--shape", "5x3"], "TypeError"),
        (["drawn_net.py:net", "--shape", "999999999999x3", "--flow"], "MemoryError"),
        (["gradgraph.nn:Linear", "--shape", "5x4"], "TypeError"),
        (["drawn_net.py:loss", "-o", "g.gif"], "no format it writes"),
        (["drawn_net.py:loss", "-o", "missing/g.dot"], "missing/g.dot"),
    ],
)
def test_draw_says_in_one_line_what_is_wrong(arguments, words, module, capsys):
    assert cli.main(["draw", *arguments]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not list(module.glob("g.*")) + list(module.glob("graph.*"))


class TestReports:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path, monkeypatch):
        (tmp_path / "nets.py").write_text(
            "from gradgraph import nn\n"
            "net = nn.Sequential(conv=nn.Conv(1, 4, 3, rng=0), pool=nn.MaxPool(2))\n"
            "number = 3\n"
            "class Net(nn.Module):\n"
            "    def __init__(self): self.fc = nn.Linear(3, 2, rng=0)\n"
            "    def forward(self, x): return self.fc(x)\n"
            "def make(): return Net()\n"
        )
        monkeypatch.chdir(tmp_path)

    def test_summary(self, capsys):
        assert cli.main(["summary", "nets.py:net", "--shape", "1x8x8x1"]) == 0
        text = capsys.readouterr().out
        assert "sequential.conv" in text
        assert "40 weights in all" in text
        assert cli.main(["summary", "nets.py:Net", "--shape", "5x3", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["weights"] == 8
        assert told["rows"][0]["name"] == "net.fc"
        for target, shape, weights in (
            ("nets.py:make", "5x3", "8 weights"),
            ("gradgraph.models:LeNet5", "1x28x28x1", "61,706 weights"),
        ):
            assert cli.main(["summary", target, "--shape", shape]) == 0
            assert weights in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["nets.py:net", "--shape", "1x8x8x3"], "x has 3 channels but w expects 1"),
            (["nets.py:number", "--shape", "1"], "nets.py:number is int"),
            (["nets.py:none", "--shape", "1"], "none"),
            (["other.py:net", "--shape", "1"], "other.py"),
            (["builtins:dict", "--shape", "1"], "dict"),
            (["gradgraph.nn:Linear", "--shape", "1"], "Name a variable that holds an instance"),
        ],
    )
    def test_what_cannot_be_summed_up(self, arguments, words, capsys):
        assert cli.main(["summary", *arguments]) == 1
        error = capsys.readouterr().err
        assert words in error
        assert "Traceback" not in error

    def test_info(self, capsys):
        assert cli.main(["info"]) == 0
        text = capsys.readouterr().out
        for words in (gg.__version__, np.__version__, "backend    num"):
            assert words in text
        assert cli.main(["info", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["numpy"] == np.__version__

    def test_bench(self, capsys):
        assert cli.main(["bench", "lenet", "--batch", "2", "--rounds", "1"]) == 0
        assert re.search(r"lenet +step +\d+\.\d+ +run +\d+\.\d+", capsys.readouterr().out)
        assert cli.main(["bench", "lenet", "--batch", "2", "--rounds", "1", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["ms"]["lenet"]["step"] > 0
        assert cli.main(["bench", "nothing"]) == 1
        assert "no network 'nothing'" in capsys.readouterr().err

    def test_version(self, capsys):
        with pytest.raises(SystemExit) as caught:
            cli.main(["--version"])
        assert caught.value.code == 0
        assert capsys.readouterr().out == f"gradgraph {gg.__version__}\n"

    @pytest.mark.parametrize("name", cli.COMMANDS)
    def test_help(self, name, capsys):
        with pytest.raises(SystemExit) as caught:
            cli.main([name, "--help"])
        assert caught.value.code == 0
        assert "usage: gradgraph" in capsys.readouterr().out
