"""`gradgraph summary` and `gradgraph info`: what a network is, and what it runs on."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from dataclasses import asdict
from importlib import metadata
from typing import Any

import numpy as np

from ..errors import DTypeError
from ..kernels.settings import compiled
from ..locate import shape
from ..nn import summary
from ..version import VERSION
from .arguments import called, located

# What extras bring, by the name of the distribution.
PACKAGES = (
    *("graphviz", "graphviz-pure", "resvg-py", "safetensors", "pillow", "rich"),
    *("mlxtend", "scikit-learn", "scikit-image", "matplotlib", "hypothesis", "pytest"),
    *("numba", "scipy", "threadpoolctl", "torch"),
)


def add_summary_arguments(parser: argparse.ArgumentParser) -> None:
    """What `summary` takes."""
    parser.add_argument("target", help="module:name or file.py:name of a module or a function")
    parser.add_argument(
        "--shape", required=True, metavar="1x28x28x1", help="shape of its input, with a batch axis"
    )
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")


def run_summary(args: argparse.Namespace) -> int:
    """Say what each layer does, and count weights and operations."""
    target = located(args.target, inputs=True)
    if not callable(target):
        raise DTypeError(
            "summary", f"{args.target} is {type(target).__name__}", "Name a module or a function."
        )
    found = called(lambda: summary(target, shape(args.shape)), args.target)
    if args.json:
        rows = [asdict(row) for row in found.rows]
        print(json.dumps({"rows": rows, "weights": found.weights, "flops": found.flops}, indent=2))
    else:
        print(found)
    return 0


def add_info_arguments(parser: argparse.ArgumentParser) -> None:
    """What `info` takes."""
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run_info(args: argparse.Namespace) -> int:
    """Say what a bug report needs: versions, machine, numpy's library, what draws."""
    told = info()
    if args.json:
        print(json.dumps(told, indent=2))
        return 0
    for name, value in told.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items()) or "none"
        print(f"{name:10} {value}")
    return 0


def info() -> dict[str, Any]:
    """What gradgraph runs on.

    >>> import gradgraph as gg
    >>> with gg.backend("numpy"):
    ...     info()["backend"]
    'numpy'
    """
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    packages = {}
    for package in PACKAGES:
        try:
            packages[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    port = "graphviz-pure" if "graphviz-pure" in packages else ""
    return {
        "gradgraph": VERSION,
        "python": f"{platform.python_implementation()} {sys.version.split()[0]}",
        "numpy": np.__version__,
        "blas": f"{blas.get('name')} {blas.get('version')}",
        "backend": "numba" if compiled(np.inf) else "numpy",
        "draws": port or shutil.which("dot") or "nothing: install the extra viz",
        "machine": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": {name: os.environ[name] for name in names if name in os.environ},
        "packages": packages,
    }
