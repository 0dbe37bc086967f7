"""The same networks drawn by torchviz, torchview, torchlens and gradgraph, side by side.

    pip install -e ".[viz]" torch==2.13.0 torchviz torchview torchlens resvg-py pillow
    python benchmarks/peers_pictures.py          # needs Graphviz's `dot` on the PATH

Writes `docs/pictures_compared.md` and the pictures in `docs/compared/`. Every drawer works in two
fresh processes with different PYTHONHASHSEEDs, and draws twice in each: the first time it may
import and compile, the second time it only draws. All are laid out by the same `dot`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE, PICTURES = ROOT / "docs" / "pictures_compared.md", ROOT / "docs" / "compared"
WIDEST, HIGHEST = 1400, 1500  # pixels of a picture
BLOCKS = (8, 8, 16, 16, 32, 32, 64, 64)  # channels of the blocks of the ResNet-18

NETS = {
    "lenet": "LeNet on 32 images of 28×28: 61,706 weights, and the loss.",
    "resnet18": "A ResNet of 18 layers with an eighth of the channels and no normalisation, on four"
    " images of 16×16, and the loss.",
}
SECONDS = """\
"first" is a drawer's first picture in a fresh process, "again" the second; both include the
network's run and the layout, by the same `dot`. "same bytes": in two processes. "dark": follows a
dark page.
"""
SHOWS = """\
| | torchviz | torchview | torchlens | gradgraph |
|---|---|---|---|---|
| draws | the backward graph | modules and functions, forward | ops forward; backward, or both in \
one | ops forward; both side by side with `backward=True` |
| shape of every result | no | yes, and of every input | yes, with bytes | yes |
| weights | shape, a box each | no | shape, in the box | shape and count, in the card; a box of \
its own if shared |
| settings (kernel, stride) | no | no | yes | yes |
| size of the gradient | no | no | as a colour on a linear scale, without the number \
(`color_by="grad_norm"`) | as number, colour and width on a logarithmic scale, on every line |
| gradient of each weight | no | no | no | norm, and its share of the weight's |
| what each reader sent back | no | no | no | yes |
| dead units | no | no | a table (`debug.dead_neurons`), not drawn | yes |
| ties and winners of a max-pool | no | no | no | yes |
| warns of vanishing and exploding | no | no | a table (`debug.gradient_flow_audit`), not drawn | \
yes |
| modules as frames | no | yes, dashed | yes | yes |
| folds large graphs | no | by `depth` | by `depth`, `collapse`, `fold_repeats` | by `budget`, \
`collapse`; says what it folded |
| repeated modules rolled up | no | `roll` | yes | equal cards in a row |
| thumbnails | no | no | feature maps, with extra code | input, filters, feature maps, winners |
| interactive page | no | no | yes, with a table of all ops | yes |
| follows a dark page | no | no | themes, chosen by hand | yes |
| works without `dot` | no | no | a schematic (`export.svg`, `export.html`) | yes, with \
`graphviz-pure` |
"""
BETTER = """\
What the others do better:

- They draw any PyTorch model as it is; gradgraph draws what was computed with gradgraph.
- **torchview** is the calmest picture of an architecture: one small box for each module, with the
  shapes that go in and out. Ours says more, and is two to four times as many bytes.
- **torchviz** is one small file, and its picture is exactly autograd's own graph.
- **torchlens** knows much more than it draws: values, memory and time of every op, audits of
  gradients, interventions, many export formats; its pictures can colour and size ops by any of
  these, and loops are rolled up.
- Narrow pictures that only grow downwards, like theirs of the LeNet and torchview's of the ResNet,
  need no jump from the foot of one column to the head of the next, and no wide screen.

torchlens' colours run linearly from the least to the greatest norm, so that 10⁻² and 10⁻⁶ of the
greatest look alike: its picture does not show where a gradient vanishes, though its table does.
"""


def inputs(net: str) -> tuple[Any, Any, Any]:
    """A module of torch, images and labels."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    torch.set_num_threads(1)

    class LeNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            )  # fmt: skip
            self.classifier = nn.Sequential(
                nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
                nn.Linear(84, 10),
            )  # fmt: skip

        def forward(self, x: Any) -> Any:
            return self.classifier(self.features(x))

    class Residual(nn.Module):
        def __init__(self, c_in: int, c_out: int) -> None:
            super().__init__()
            stride = 1 if c_in == c_out else 2
            self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1)
            self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1)
            self.shortcut = None if stride == 1 else nn.Conv2d(c_in, c_out, 1, stride)

        def forward(self, x: Any) -> Any:
            y = self.conv2(torch.relu(self.conv1(x)))
            return torch.relu(y + (x if self.shortcut is None else self.shortcut(x)))

    class ResNet18(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, BLOCKS[0], 3, padding=1)
            pairs = zip((BLOCKS[0], *BLOCKS), BLOCKS, strict=False)
            self.blocks = nn.Sequential(*(Residual(a, b) for a, b in pairs))
            self.fc = nn.Linear(BLOCKS[-1], 10)

        def forward(self, x: Any) -> Any:
            return self.fc(self.blocks(torch.relu(self.stem(x))).mean((2, 3)))

    if net == "lenet":
        return LeNet(), torch.randn(32, 1, 28, 28), torch.arange(32) % 10
    return ResNet18(), torch.randn(4, 3, 16, 16), torch.arange(4)


def with_torchviz(net: str) -> Callable[[], str]:
    import torch
    import torchviz

    model, x, labels = inputs(net)

    def draw() -> str:
        loss = torch.nn.functional.cross_entropy(model(x), labels)
        dot = torchviz.make_dot(loss, params=dict(model.named_parameters()))
        return str(dot.pipe("svg", encoding="utf-8"))

    return draw


def with_torchview(net: str) -> Callable[[], str]:
    import torchview

    model, x, _ = inputs(net)

    def draw() -> str:
        graph = torchview.draw_graph(model, input_data=x, expand_nested=True).visual_graph
        return str(graph.pipe("svg", encoding="utf-8"))

    return draw


def with_torchlens(net: str, gradient: bool = False) -> Callable[[], str]:
    import torch
    import torchlens

    model, x, labels = inputs(net)

    class Loss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Any, labels: Any) -> Any:
            return torch.nn.functional.cross_entropy(self.model(x), labels)

    def draw() -> str:
        options = torchlens.options.CaptureOptions(save_grads="all" if gradient else None)
        trace = torchlens.trace(Loss(), [x, labels], capture=options)
        more = {}
        if gradient:
            trace.log_backward(trace.ops[-1].out)
            more = {"color_by": "grad_norm", "show_legend": True}
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/graph"
            trace.draw(vis_outpath=path, vis_fileformat="svg", vis_save_only=True, **more)
            return Path(f"{path}.svg").read_text(encoding="utf-8")

    return draw


def with_gradgraph(net: str, **options: Any) -> Callable[[], str]:
    import numpy as np

    import gradgraph as gg
    from gradgraph import viz

    sys.path.insert(0, str(ROOT / "docs" / "gallery"))
    import nets

    rng = np.random.default_rng(0)
    shape, n = ((32, 28, 28, 1), 32) if net == "lenet" else ((4, 16, 16, 3), 4)
    x = gg.Tensor(rng.normal(size=shape).astype(np.float32), name="images")
    model = nets.LeNet() if net == "lenet" else nets.ResNet(BLOCKS)

    def draw() -> str:
        loss = gg.cross_entropy(model(x), np.arange(n) % 10)
        title = "LeNet" if net == "lenet" else "ResNet-18"
        return viz.draw(loss, title=title, **options).svg

    return draw


DRAWERS: dict[str, Callable[[str], Callable[[], str]]] = {
    "torchviz": with_torchviz,
    "torchview": with_torchview,
    "torchlens": with_torchlens,
    "torchlens-gradient": lambda net: with_torchlens(net, gradient=True),
    "gradgraph": with_gradgraph,
    "gradgraph-overview": lambda net: with_gradgraph(net, flow=True, detail="overview"),
    "gradgraph-gradient": lambda net: with_gradgraph(net, flow=True),
}


def measure(drawer: str, net: str, path: str) -> None:
    """Draw twice, write the second picture to a file, and print what it took as JSON."""
    start = time.perf_counter()
    draw = DRAWERS[drawer](net)
    marks = [time.perf_counter()]
    for _ in range(2):
        svg = draw()
        marks.append(time.perf_counter())
    Path(path).write_text(svg, encoding="utf-8")
    found = {
        "import": marks[0] - start,
        "first": marks[1] - marks[0],
        "again": marks[2] - marks[1],
        "bytes": len(svg.encode()),
        "boxes": svg.count('class="node"'),
        "dark": "prefers-color-scheme" in svg,
        "hash": sha256(svg.encode()).hexdigest(),
    }
    print(json.dumps(found))


def measured(drawer: str, net: str, path: Path) -> dict[str, Any]:
    """The second of two processes, and whether both drew the same bytes."""
    found = []
    for seed in "12":
        command = [sys.executable, __file__, "--one", drawer, net, str(path)]
        env = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return found[1] | {"same": found[0]["hash"] == found[1]["hash"]}


def thumbnail(svg: str) -> bytes:
    """A small PNG of a picture."""
    import resvg_py
    from PIL import Image

    image = Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=1, dpi=96))))
    paper = Image.new("RGB", image.size, "white")
    paper.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    paper.thumbnail((WIDEST, HIGHEST), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    few = paper.quantize(128, Image.Quantize.MAXCOVERAGE)
    few.save(written, "PNG", optimize=True)
    return written.getvalue()


def section(net: str, folder: Path) -> str:
    """A table of what all drawers took for a network, and their pictures."""
    rows, shown = [], []
    for drawer in DRAWERS:
        path = folder / f"{net}-{drawer}.svg"
        found = measured(drawer, net, path)
        words = drawer.replace("-", ", ")
        rows.append(
            f"| {words} | {found['boxes']} | {found['bytes'] / 1000:.0f} | {found['import']:.1f} |"
            f" {found['first']:.2f} | {found['again']:.2f} | {'yes' if found['same'] else 'no'} |"
            f" {'yes' if found['dark'] else 'no'} |"
        )
        picture = f"{net}-{drawer}.png"
        (PICTURES / picture).write_bytes(thumbnail(path.read_text(encoding="utf-8")))
        shown.append(f"### {net}, {words}\n\n![{net} by {words}](compared/{picture})\n")
        print(rows[-1], flush=True)
    head = (
        "| drawer | boxes | KB of SVG | import s | first s | again s | same bytes | dark |\n"
        "|---|---:|---:|---:|---:|---:|---|---|"
    )
    return "\n".join([f"## {net}\n\n{NETS[net]}\n", head, *rows, "", *shown])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        measure(*args.one)
        return
    PICTURES.mkdir(exist_ok=True)
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}"
        for name in ("torch", "torchviz", "torchview", "torchlens")
    )
    with tempfile.TemporaryDirectory() as folder:
        sections = [section(net, Path(folder)) for net in NETS]
    load = os.getloadavg()[0]
    PAGE.write_text(
        "\n".join([
            "# The same networks, drawn by others",
            "",
            f"{versions}, Python {platform.python_version()}, made by `python"
            " benchmarks/peers_pictures.py` (its first lines say what it needs) with a load of"
            f" {load:.1f} on {os.cpu_count()} cores.",
            "",
            SECONDS,
            "## What the pictures show",
            "",
            SHOWS,
            BETTER,
            *sections,
        ]),
        encoding="utf-8",
    )  # fmt: skip


if __name__ == "__main__":
    main()
