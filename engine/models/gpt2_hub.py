"""Where GPT-2's weights are: a folder of the user's, or one of the published models, downloaded by name."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.paths import data_folder, expanded
from torchtty.engine.contract.printable import shortened
from torchtty.engine.data.download import RemoteFile, fetch


@dataclass(frozen=True)
class Published:
    """A model that is downloaded by name: its place on the hub, and its parameters."""

    repository: str
    parameters: int


PUBLISHED = {
    "distilgpt2": Published("distilbert/distilgpt2", 81_912_576),
    "gpt2": Published("openai-community/gpt2", 124_439_808),
    "gpt2-medium": Published("openai-community/gpt2-medium", 354_823_168),
    "gpt2-large": Published("openai-community/gpt2-large", 774_030_080),
    "gpt2-xl": Published("openai-community/gpt2-xl", 1_557_611_200),
}
VOCABULARY = 50_257  # of all of them
_HUB = "https://huggingface.co/{repository}/resolve/main/{file}"
_FILES = ("config.json", "model.safetensors")
_INSTEAD = "Set model.weights to a folder that holds config.json and model.safetensors, or to untrained."


def weights_folder(weights: str) -> Path:
    """Return the folder that `model.weights` means, downloading a published model that is not here yet.

    A folder of that name goes before a published model. Raises `UserError` if there is neither, or no network.
    """
    path = expanded(weights)
    if os.path.isdir(path):
        return path
    if weights not in PUBLISHED:
        raise UserError(
            f"model.weights: there is no folder {shortened(weights)}, nor a published GPT-2 of that name. Give a folder with "
            f"config.json and model.safetensors, or one of {', '.join(PUBLISHED)}."
        )
    for file in _FILES:
        address = _HUB.format(repository=PUBLISHED[weights].repository, file=file)
        try:
            path = fetch(RemoteFile(f"{weights}/{file}", address, 0, ""), instead=_INSTEAD)
        except UserError as error:
            raise type(error)(f"model.weights: {error}") from None
        _refuse_broken(path)
    return path.parent


def waits_for_download(weights: str) -> bool:
    """Whether these weights are a published model that is neither in the data folder nor in a mirror on this machine."""
    if weights not in PUBLISHED or Path(weights).is_dir():
        return False
    mirror = os.environ.get("TORCHTTY_MIRROR", "")
    if mirror and "://" not in mirror:
        return False
    return not all((data_folder() / weights / file).is_file() for file in _FILES)


def _refuse_broken(path: Path) -> None:
    """Remove a download that is not what its name says: a page of a login portal, say."""
    from safetensors import SafetensorError, safe_open

    try:
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        else:
            with safe_open(path, framework="pt"):
                pass
    except (OSError, ValueError, SafetensorError):
        if data_folder() in path.parents:
            path.unlink(missing_ok=True)
        raise UserError(
            f"model.weights: what came as {path.name} is no such file, and was not kept. Try again, or s{_INSTEAD[1:]}"
        ) from None
