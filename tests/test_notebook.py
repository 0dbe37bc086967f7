"""A notebook shows drawings by itself: it is executed, and its outputs are looked at."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

CELLS = (
    "import numpy as np\nimport gradgraph as gg\nfrom gradgraph import nn",
    "x = gg.Tensor([1.0, -2.0], requires_grad=True, name='x')\n"
    "gg.draw(gg.relu(x).sum(), flow=True)",
    "gg.cuboids(nn.LeNet(rng=0), (1, 28, 28, 1))",
    "gg.Graph.of(gg.relu(x).sum())",
    "w = gg.Tensor([0.5, 1.0], requires_grad=True, name='w')\n"
    "gg.playback(lambda w: (w * 2.0).sum(), w)",
    "from gradgraph.viz import engine\n"
    "def nothing():\n"
    "    raise gg.MissingExtraError('viz', 'there is no engine', 'Install one')\n"
    "engine.find = nothing\n"
    "gg.draw(gg.relu(x).sum())",
)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What each cell showed."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    folder = str(tmp_path_factory.mktemp("notebook"))
    client = nbclient.NotebookClient(book, timeout=120, kernel_name="python3",
                                     resources={"metadata": {"path": folder}})  # fmt: skip
    client.execute()
    return [[o["data"] for o in cell.outputs if "data" in o] for cell in book.cells]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the kernel and its event loop
def test_a_notebook_shows_drawings_as_svg(outputs):
    for cell, words in ((1, "relu"), (2, "conv1"), (3, "relu"), (4, "multiply")):
        (data,) = outputs[cell]
        root = ElementTree.fromstring(data["image/svg+xml"])
        assert words in "".join(root.itertext())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_notebook_without_an_engine_shows_how_to_get_one(outputs):
    (data,) = outputs[5]
    assert "image/svg+xml" not in data
    assert "there is no engine" in data["text/plain"]
