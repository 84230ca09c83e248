"""What a training step asks of a GPU, family by family, counted on one that does nothing."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from torchtty.engine.contract.errors import UserError
from torchtty.tui.bench.environment import Environment, python
from torchtty.tui.bench.measurements import Bar, Figure

TOOL = Path(__file__).resolve().parents[2] / "tests" / "noop_gpu" / "build"
"""Builds the GPU; it stays with the tests, and a wheel has none."""
MOST = Bar(5.0)  # requests a step: pictures are cut out for one step at a time


def measure(_: frozenset[str], *, quick: bool) -> list[Figure]:  # noqa: ARG001 - it is counted, not timed
    """Count the requests of each family's steps, eager and as the run then computes them."""
    lacking = [name for name in ("gcc", "g++", "nm") if not shutil.which(name)]
    if not TOOL.is_file():
        raise UserError("the GPU that does nothing is built from a checkout's tests, and this is none")
    if lacking:
        raise UserError(f"the GPU that does nothing cannot be built without {', '.join(lacking)}")
    with Environment() as environment:
        interpreter = python("-")[0]
        built = environment.path / "noop-gpu"
        subprocess.run(
            ["bash", str(TOOL), str(built)],
            env=environment.variables | {"PYTHON": interpreter},
            check=True,
            capture_output=True,
        )
        [line] = (built / "env").read_text().splitlines()
        variables = dict(word.split("=", 1) for word in line.split()[1:])
        command = python("torchtty.engine.bench.launches")
        done = subprocess.run(command, env=environment.variables | variables, capture_output=True, text=True)
    if not done.stdout:
        raise UserError((done.stderr.strip().splitlines() or ["the steps could not be counted"])[-1])
    found = json.loads(done.stdout)
    if failed := [f"{each['family']}: {each['failed']}" for each in found if each["failed"]]:
        raise UserError("; ".join(failed))
    return [figure_of(each) for each in found]


def figure_of(found: dict[str, Any]) -> Figure:
    """Return the row of a family, given what `engine/bench/launches.py` says of it."""
    what = f"requests of a GPU for a training step, {found['family']}"
    note = f"{float(found['eager']):.0f} for an eager one" if found["backend"] != "eager" else found["reason"]
    return Figure("launches", what, float(found["chosen"]), "", MOST, note=note)
