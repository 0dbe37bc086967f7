"""What `import gradgraph` costs beside `import numpy`: fresh processes in turn, medians.

python benchmarks/startup.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

PROGRAM = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def seconds(module: str) -> float:
    command = [sys.executable, "-c", PROGRAM.format(module)]
    return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {"numpy": [], "gradgraph": []}
    for _ in range(rounds):
        for module, taken in times.items():
            taken.append(seconds(module))
    numpy, mine = (statistics.median(times[m]) * 1e3 for m in ("numpy", "gradgraph"))
    print(f"import numpy {numpy:.0f} ms, gradgraph (numpy included) {mine:.0f} ms: {mine / numpy:.2f}x"
          f" (median of {rounds})")  # fmt: skip


if __name__ == "__main__":
    main()
