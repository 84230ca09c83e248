"""A family declared outside the package works like one inside: an autoencoder, trained from the command line and in the app.

Nothing in the package knows of it. `TORCHTTY_FAMILIES` names its module and `PYTHONPATH` leads to it.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
COMMAND = [sys.executable, "-P", "-m", "torchtty.tui.main"]

pytestmark = pytest.mark.timeout(400)


@dataclass(frozen=True)
class Outside:
    """Commands in a world where a family was declared."""

    folder: Path

    def run(self, *arguments: str, code: int = 0) -> str:
        return self._run([*COMMAND, *arguments], code)

    def drive_app(self, kind: str) -> dict[str, Any]:
        seen: dict[str, Any] = json.loads(self._run([sys.executable, str(HERE / "drive_app.py"), kind], 0))
        return seen

    def _run(self, command: list[str], code: int) -> str:
        places = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
        own = {
            "TORCHTTY_FAMILIES": "autoencoder",
            "PYTHONPATH": os.pathsep.join(places),
            "TORCHTTY_RUNS": str(self.folder / "runs"),
            "TORCHTTY_STATE": str(self.folder / "state"),
            "TORCHTTY_IDLE_SECONDS": "30",
            "COLUMNS": "120",
        }
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            env=os.environ | own,
            cwd=self.folder,
            timeout=200,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Outside:
    return Outside(tmp_path_factory.mktemp("outside"))


class TestTheCommandLine:
    @pytest.fixture(scope="class")
    def trained(self, outside: Outside) -> dict[str, Any]:
        answer = outside.run("train", "autoencoder", "--training.max_steps", "60", "--name", "coded", "--json")
        found: dict[str, Any] = json.loads(answer)
        return found

    def test_it_trains_and_reports_its_own_metrics(self, trained: dict[str, Any]) -> None:
        assert (trained["state"], trained["step"]) == ("finished", 60)
        assert trained["val_error"] == trained["best_val_error"] < 0.4
        assert trained["psnr"] > 10

    def test_its_settings_are_listed_and_checked(self, outside: Outside) -> None:
        assert "Numbers that a picture is pressed into." in outside.run("models", "autoencoder")
        outside.run("train", "autoencoder", "--model.n_code", "0", code=2)

    def test_show_and_runs_name_metrics_as_it_declares_them(self, outside: Outside, trained: dict[str, Any]) -> None:
        shown = outside.run("show", "coded")
        assert "squared error" in shown
        assert "signal to noise" in shown
        assert "n_code 8" in shown
        assert "train error" in shown, "the legend of its chart"
        row = next(line for line in outside.run("runs").splitlines() if "coded" in line)
        assert f"PSNR {trained['psnr']:.1f}" in row

    def test_a_sample_is_a_file_of_pictures(self, outside: Outside, trained: dict[str, Any]) -> None:
        path = Path(outside.run("sample", "coded", "--seed", "3").strip())
        assert path.suffix == ".png"
        assert path.is_file()

    def test_pictures_are_drawn_while_it_trains(self, outside: Outside, trained: dict[str, Any]) -> None:
        media = {file.name for file in (outside.folder / "runs" / "coded" / "media").iterdir()}
        assert {"real.png", "fixed-000000.png", "fixed-000020.png", "fixed-000060.png"} <= media

    def test_a_lens_looks_into_it(self, outside: Outside, trained: dict[str, Any]) -> None:
        found = json.loads(outside.run("lens", "shapes", "coded", "--json"))
        layers = {layer["name"]: layer for layer in found["layers"]}
        assert (layers["encoder"]["inputs"], layers["encoder"]["outputs"]) == ([[32, 1, 8, 8]], [[32, 8]])
        assert found["totals"]["parameters"] == trained["parameters"] == 2 * (64 * 32 + 32 * 8) + 32 + 8 + 32 + 64

    def test_resumed_it_equals_a_run_that_was_never_interrupted(
        self, outside: Outside, trained: dict[str, Any]
    ) -> None:
        outside.run("resume", "coded", "--training.max_steps", "120")
        outside.run("train", "autoencoder", "--training.max_steps", "120", "--name", "straight")

        def errors(name: str) -> dict[int, float]:
            lines = (outside.folder / "runs" / name / "metrics.jsonl").read_text().splitlines()
            rows = map(json.loads, lines)
            return {row["step"]: row["val_error"] for row in rows if "val_error" in row and row["step"] > 60}

        assert errors("coded") == errors("straight")
        assert max(errors("coded")) == 120

    def test_the_rules_that_end_a_run_look_at_its_own_metric(self, outside: Outside, trained: dict[str, Any]) -> None:
        rule = ["--training.target_loss", "5", "--training.max_steps", "100000"]
        found = json.loads(outside.run("resume", "coded", *rule, "--json"))
        assert found["ended_by"] == "training.target_loss"
        assert found["step"] % 20 == 0 < found["step"] <= 140, "at the next evaluation"
        assert "val_error came to 0." in found["message"]
        outside.run("test", "coded", code=1)  # it declares no test split


def test_the_app_trains_it(outside: Outside) -> None:
    seen = outside.drive_app("autoencoder")
    for text in ("Autoencoder", "n_code", "n_hidden", "max_steps", "▸ data", "digits"):
        assert text in seen["form"]
    for text in ("squared error", "signal to noise", "PSNR", "step 200", "real"):
        assert text in seen["run"]
    assert seen["series"] == ["train error", "val error"]
    assert "PSNR" in seen["runs"]
    assert "encoder" in seen["lens"]
