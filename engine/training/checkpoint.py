"""Checkpoints: folders of safetensors and JSON that are complete or absent, and that cannot run code when loaded.

steps/000500/model.safetensors   the weights
             tokenizer.json      the tokenizer they belong to
             architecture.json   the model's shape, where the configuration does not tell it
             training.pt         optimizer, generators, counters (read with weights_only=True)
             checkpoint.json     step, losses, and the SHA-256 of tokenizer.json
steps/best.json                  the step with the lowest validation loss
"""

import hashlib
import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import open_regular, read_json, read_small, write_atomically
from torchtty.engine.contract.run.pins import pinned_steps

KEEP_LATEST = 2
LARGEST_JSON = 256 * 1024 * 1024  # bytes of a tokenizer: no vocabulary comes near it
UNREADABLE = (
    *(OSError, EOFError, ValueError, LookupError, RuntimeError, TypeError, AttributeError),
    *(SafetensorError, UnpicklingError),
)
"""What reading damaged files raises, tried with some thousands of them."""


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds. `training` is None where only the weights were kept."""

    step: int
    weights: dict[str, Tensor]
    tokenizer: dict[str, Any] | None
    training: dict[str, Any] | None
    losses: dict[str, float]
    architecture: dict[str, Any] | None = None


def write_checkpoint(run: RunDirectory, saved: Saved) -> Path:
    """Write a checkpoint into a temporary folder, wait for the disk, and rename it into place.

    Raises OSError if the disk refuses; nothing half-written stays, and older checkpoints are untouched.
    """
    target = run.checkpoint_path(saved.step)
    temporary = target.with_name(f".{target.name}.writing")
    _remove(temporary)
    try:
        temporary.mkdir()
        # Contiguous copies: safetensors refuses views, and the bytes must not move while they are written.
        content = {name: tensor.detach().to("cpu").contiguous() for name, tensor in saved.weights.items()}
        _write(temporary / "model.safetensors", save(content, metadata={"format": "pt"}))
        about: dict[str, Any] = {"step": saved.step, "losses": saved.losses}
        if saved.tokenizer is not None:
            tokenizer = json.dumps(saved.tokenizer, ensure_ascii=False).encode()
            about["tokenizer_sha256"] = hashlib.sha256(tokenizer).hexdigest()
            _write(temporary / "tokenizer.json", tokenizer)
        if saved.architecture is not None:
            _write(temporary / "architecture.json", json.dumps(saved.architecture).encode())
        if saved.training is not None:
            with (temporary / "training.pt").open("wb") as file:
                torch.save(saved.training, file)
                file.flush()
                os.fsync(file.fileno())
        _write(temporary / "checkpoint.json", json.dumps(about).encode())
        if target.exists():
            replaced = target.with_name(f".{target.name}.replaced")
            _remove(replaced)
            target.rename(replaced)
            temporary.rename(target)
            _remove(replaced)
        else:
            temporary.rename(target)
        _sync_folder(run.steps)
    finally:
        _remove(temporary)  # what is left of it if it did not become `target`
    return target


def mark_best(run: RunDirectory, step: int, val_loss: float) -> None:
    """Note which checkpoint has the lowest validation loss."""
    write_atomically(run.steps / "best.json", json.dumps({"step": step, "val_loss": val_loss}), durable=True)


def prune(run: RunDirectory) -> None:
    """Remove all checkpoints but the latest two that training can go on from, the best, and those that are pinned.

    Each is renamed before its files go one by one; what a killed worker left of that, or of writing, is removed too. One that
    is pinned between the look at the pins and its renaming gets its name back: see `pin`, which looks after it has pinned.
    """
    steps = run.checkpoints()
    resumable = [step for step in steps if is_resumable(run, step)]
    keep = {*resumable[-KEEP_LATEST:], run.best_step(), *pinned_steps(run)}
    for step in steps:
        if step not in keep:
            target = run.checkpoint_path(step)
            with suppress(OSError):  # it stays, and the next time tries again
                target.rename(target.with_name(f".{target.name}.pruned"))
    for step in pinned_steps(run):
        target = run.checkpoint_path(step)
        with suppress(OSError):  # mostly it never lost its name
            target.with_name(f".{target.name}.pruned").rename(target)
    for left in run.steps.glob(".*"):
        _remove(left)


def _remove(path: Path) -> None:
    """Remove what may be no folder, as far as it can be removed: `rmtree` would wait for ever to open a FIFO."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def is_resumable(run: RunDirectory, step: int) -> bool:
    """Whether a checkpoint holds all that training goes on from: the best one may hold its weights only."""
    return (run.checkpoint_path(step) / "training.pt").is_file()


def latest_step(run: RunDirectory, *, resumable: bool) -> int:
    """Return the step of the newest checkpoint; raise `UserError` if there is none."""
    for step in reversed(run.checkpoints()):
        if not resumable or is_resumable(run, step):
            return step
    raise UserError(
        f"{run.name} has no checkpoint {'to go on from' if resumable else 'to load'}: it ended before its first one."
    )


def read_checkpoint(run: RunDirectory, step: int, *, with_training: bool) -> Saved:
    """Read a checkpoint; raise `UserError` if one of its files is missing or broken."""
    folder = run.checkpoint_path(step)
    try:
        open_regular(folder / "model.safetensors").close()  # reading from a FIFO would never end
        weights = load_file(folder / "model.safetensors")
        about = read_json(folder / "checkpoint.json")
        _check_tokenizer(folder / "tokenizer.json", about.get("tokenizer_sha256"))
        tokenizer, architecture = (
            _json_if_there(folder / "tokenizer.json"),
            _json_if_there(folder / "architecture.json"),
        )
        training = None
        if with_training:
            with open_regular(folder / "training.pt") as file:
                training = torch.load(file, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise _broken(run, step, error) from None
    return Saved(step, weights, tokenizer, training, about.get("losses", {}), architecture)


def read_shapes(run: RunDirectory, step: int) -> tuple[dict[str, tuple[int, ...]], Any, Any]:
    """Return the shapes of a checkpoint's weights by their names, its tokenizer and its architecture, as a checkpoint has them.

    The weights themselves are not read. Raises `UserError` as `read_checkpoint` does.
    """
    folder = run.checkpoint_path(step)
    try:
        with safe_open(folder / "model.safetensors", framework="pt") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in list(file.keys())}
        return shapes, _json_if_there(folder / "tokenizer.json"), _json_if_there(folder / "architecture.json")
    except UNREADABLE as error:
        raise _broken(run, step, error) from None


def _check_tokenizer(path: Path, sha256: str | None) -> None:
    """Raise ValueError if this is not the vocabulary that the weights were trained with: they would mean other tokens."""
    if sha256 is not None and hashlib.sha256(read_small(path, LARGEST_JSON)).hexdigest() != sha256:
        raise ValueError("its tokenizer.json does not match its weights: it was changed after they were saved")


def _json_if_there(path: Path) -> Any:
    return read_json(path, LARGEST_JSON) if os.path.lexists(path) else None


def _broken(run: RunDirectory, step: int, error: Exception) -> UserError:
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    if isinstance(error, OSError) and error.filename:
        reason = f"{Path(error.filename).name}: {error.strerror}"
    if isinstance(error, UnpicklingError):  # torch's own advice is to load it in a way that runs what it holds
        reason = "its training.pt is damaged, or holds more than tensors and numbers"
    others = ", ".join(str(other) for other in run.checkpoints() if other != step)
    advice = f"Remove its folder to use an older one (there are {others})." if others else "There is no other one."
    return UserError(f"The checkpoint of {run.name} at step {step:,} cannot be read: {reason}. {advice}")


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        pass  # some network file systems cannot; the rename itself has happened
    finally:
        os.close(handle)
