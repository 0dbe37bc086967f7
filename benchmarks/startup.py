"""What `import gradgraph` costs beside `import numpy`: fresh processes in turn, medians.

Both are byte-compiled beforehand, as pip leaves them.

python benchmarks/startup.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

PROGRAM = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def seconds(module: str, cache: str) -> float:
    command = [sys.executable, "-c", PROGRAM.format(module)]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = cache
    done = subprocess.run(command, capture_output=True, check=True, text=True, env=env)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {"numpy": [], "gradgraph": []}
    with tempfile.TemporaryDirectory() as cache:
        for module in times:
            seconds(module, cache)
        for _ in range(rounds):
            for module, taken in times.items():
                taken.append(seconds(module, cache))
    numpy, mine = (statistics.median(times[m]) * 1e3 for m in ("numpy", "gradgraph"))
    print(
        f"import numpy {numpy:.0f} ms, gradgraph (numpy included) {mine:.0f} ms:"
        f" {mine / numpy:.2f}x (median of {rounds})"
    )


if __name__ == "__main__":
    main()
