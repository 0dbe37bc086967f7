"""The floors: each module imports only from below; importing the package stays cheap."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import gradgraph as gg

ROOT = Path(gg.__file__).parent
FLOORS = {
    0: ["errors", "spec", "mode", "draw", "kink", "version"],
    1: ["kernels", "files"],
    2: ["node", "contract", "record", "op", "graph", "scalar", "render", "debug", "profile"],
    3: ["ops"],
    4: [
        "sweep",
        "transform",
        "tensor",
        "scalars",
        "locate",
        "trace",
        "vmap",
        "checkpoint",
        "methods",
        "protocol",
    ],
    5: ["compile"],
    6: ["state", "nn", "optim", "data", "io", "testing"],
    7: ["models", "train"],
    8: ["cli", "__main__", "viz"],
}
FLOOR = {name: floor for floor, names in FLOORS.items() for name in names}
MODULES = {
    ".".join(("gradgraph", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in sorted(ROOT.rglob("*.py"))
}


def test_every_package_is_in_the_wheel():
    """The list is written by hand, for `viz/` is mapped into the package."""
    told = tomllib.loads((ROOT.parent / "pyproject.toml").read_text(encoding="utf-8"))
    packages = set(told["tool"]["setuptools"]["packages"])
    for name, folder in (("gradgraph", ROOT), ("gradgraph.viz", ROOT.parent / "viz")):
        for path in folder.rglob("__init__.py"):
            assert ".".join((name, *path.parent.relative_to(folder).parts)) in packages


def floor_of(module):
    return FLOOR[module.split(".")[1]]


def for_type_checkers(tree):
    """The nodes under `if TYPE_CHECKING:`."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }


def imports(name):
    """The modules of gradgraph that a module imports, wherever in its text."""
    path = MODULES[name]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    exempt = for_type_checkers(tree)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(tree):
        if node in exempt:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            target = ".".join(p for p in (base, node.module) if p)
            for alias in node.names:
                whole = f"{target}.{alias.name}"
                found.add(whole if whole in MODULES or whole == "gradgraph.viz" else target)
    return {m for m in found if m.partition(".")[0] == "gradgraph"}


def test_every_module_has_a_floor():
    for name in MODULES:
        if name != "gradgraph":
            floor_of(name)


@pytest.mark.parametrize("name", [m for m in MODULES if m != "gradgraph"])
def test_no_import_upwards(name):
    for target in imports(name):
        assert target != "gradgraph", f"{name} imports the whole package"
        assert floor_of(target) <= floor_of(name), f"{name} imports {target}"


def test_no_cycles():
    graph = {
        name: {t for t in imports(name) if t in MODULES and t != name}
        for name in MODULES
        if name != "gradgraph"
    }
    list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_the_walk_finds_what_it_should():
    assert imports("gradgraph.node") == {"gradgraph.mode"}  # and not op, for type checkers
    assert "gradgraph.ops" in imports("gradgraph.sweep")
    assert "gradgraph.kernels.dispatch" in imports("gradgraph.ops.conv")
    assert "gradgraph.scalar" in imports("gradgraph.ops.reduce")


def test_importing_the_package_is_light():
    code = (
        "import sys, json; import numpy; before = set(sys.modules); import gradgraph;"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = json.loads(run.stdout)
    assert "gradgraph.tensor" in loaded
    for heavy in (
        *("hypothesis", "pytest", "graphviz", "scipy", "numba", "torch", "rich", "asyncio"),
        *("gradgraph.nn", "gradgraph.viz", "gradgraph.testing", "gradgraph.optim", "gradgraph.cli"),
        "numpy.random",  # numpy itself imports it when it is asked for
    ):
        assert not any(m == heavy or m.startswith(heavy + ".") for m in loaded), heavy


def test_the_package_is_typed():
    assert (ROOT / "py.typed").exists()


@pytest.mark.parametrize("name", gg.__all__)
def test_public_names_are_documented(name):
    value = getattr(gg, name)
    assert inspect.getdoc(value), name
    if inspect.isclass(value):
        for attribute, member in vars(value).items():
            if not attribute.startswith("_") and (
                inspect.isfunction(member) or isinstance(member, property)
            ):
                simple = {"shape", "dtype", "ndim", "size", "nbytes", "with_shape"}
                assert inspect.getdoc(member) or attribute in simple, f"{name}.{attribute}"


def test_public_names_exist_once():
    assert len(set(gg.__all__)) == len(gg.__all__)
    assert set(gg.ops.__all__) <= set(gg.__all__)
