"""The wheel and the source distribution: what they hold, and how torchtty runs from an environment that has only the wheel."""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def build(source: Path, target: Path, kind: str) -> Path:
    """Build a distribution with this environment's hatchling; return its file."""
    command = [sys.executable, "-P", "-m", "hatchling", "build", "-t", kind, "-d", str(target)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (built,) = target.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


def names_of(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("dist"), "wheel")


@pytest.fixture(scope="module")
def site_packages(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of packages in a new virtual environment where the wheel was installed, alone."""
    environment = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (folder,) = environment.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True)
    return folder


@pytest.fixture
def run(site_packages: Path, tmp_path: Path) -> Run:
    """Run a program of that environment in a project's folder; what torchtty needs is lent by the environment of the tests.

    The project has folders engine and tui of its own, which cannot even be imported, and stands on the path.
    """
    (site_packages / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n" + sysconfig.get_path("platlib") + "\n")
    project = tmp_path / "project"
    for name in ("engine", "tui", "assets"):
        (project / name).mkdir(parents=True)
        (project / name / "__init__.py").write_text("raise RuntimeError('the module of the project was imported')\n")

    def run(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(site_packages.parents[2] / "bin" / program), *arguments],
            cwd=project,
            env=os.environ | {"PYTHONPATH": ".", "TORCHTTY_IDLE_SECONDS": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_it_takes_one_name_among_the_installed_packages(site_packages: Path) -> None:
    names = {path.name for path in site_packages.iterdir()} - {"lent.pth"}
    assert names == {"torchtty", f"torchtty-{VERSION}.dist-info"}


def test_the_wheel_holds_the_code_and_the_assets_and_nothing_else(wheel: Path) -> None:
    wanted = {"torchtty/__init__.py", "torchtty/__main__.py"} | {
        f"torchtty/{path.relative_to(ROOT)}"
        for folder in ("engine", "tui", "assets")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    about = {name for name in names_of(wheel) if name.startswith(f"torchtty-{VERSION}.dist-info/")}
    assert names_of(wheel) - about == wanted
    assert {
        "torchtty/tui/app.tcss",
        "torchtty/assets/datasets.toml",
        "torchtty/assets/pictures/digits.csv.gz",
    } <= wanted
    assert f"torchtty-{VERSION}.dist-info/licenses/LICENSE" in about


def test_a_wheel_built_from_the_source_distribution_is_the_same(wheel: Path, tmp_path: Path) -> None:
    source = build(ROOT, tmp_path, "sdist")
    with tarfile.open(source) as archive:
        if hasattr(tarfile, "data_filter"):  # from Python 3.11.4 on
            archive.extractall(tmp_path, filter="data")
        else:
            archive.extractall(tmp_path)
    unpacked = tmp_path / f"torchtty-{VERSION}"
    assert {"LICENSE", "README.md", "pyproject.toml", "tests"} <= {path.name for path in unpacked.iterdir()}
    assert names_of(build(unpacked, tmp_path, "wheel")) == names_of(wheel)


@pytest.mark.parametrize("program", [["torchtty"], ["python", "-m", "torchtty"]])
def test_it_runs_beside_a_project_s_folders_of_the_same_names(run: Run, program: list[str]) -> None:
    answer = run(*program, "--version")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, f"torchtty {VERSION}\n", "")
    answer = run(*program, "runs", "--json")
    assert (answer.returncode, json.loads(answer.stdout), answer.stderr) == (0, [], "")


def test_a_worker_trains_and_a_dataset_is_read_beside_them(run: Run) -> None:
    settings = ["--data.dataset", "three-ifs", "--training.max_steps", "20", "--training.device", "cpu"]
    answer = run("torchtty", "train", "mlp", *settings, "--json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["state"] == "finished"
    answer = run("torchtty", "data", "three-ifs", "--json")
    assert answer.returncode == 0, answer.stderr


def test_importing_it_brings_nothing_else(run: Run) -> None:
    code = (
        "import sys; before = set(sys.modules); import torchtty; print(set(sys.modules) - before, torchtty.__version__)"
    )
    assert run("python", "-c", code).stdout == f"{{'torchtty'}} {VERSION}\n"


def test_a_dependency_that_the_project_hides_is_named_in_a_sentence(run: Run, tmp_path: Path) -> None:
    hiding = tmp_path / "project" / "rich.py"
    hiding.write_text("")
    for program in (["torchtty"], ["python", "-m", "torchtty"]):
        answer = run(*program, "runs")
        assert answer.returncode == 1
        assert f"{hiding} is imported in place of the installed rich" in answer.stderr
        assert answer.stderr.count("\n") == 1


def test_a_checkout_without_its_links_is_explained_in_a_sentence(tmp_path: Path) -> None:
    package = tmp_path / "torchtty"
    package.mkdir()
    for name in ("__init__.py", "__main__.py"):
        (package / name).write_text((ROOT / ".package" / "torchtty" / name).read_text())
    answer = subprocess.run(
        [sys.executable, "-m", "torchtty"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": "."},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 1
    assert f"{package} is not complete" in answer.stderr
    assert answer.stderr.count("\n") == 1
