"""The weights of a run as other programs take them: safetensors, and a `load.py` that needs torch and nothing of torchtty."""

import json
import pprint
import re
import shutil
from pathlib import Path

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.exports.kinds import new_file, new_folder
from torchtty.engine.contract.exports.safetensors_header import TensorEntry, read_header
from torchtty.engine.contract.exports.standalone import Standalone, standalone
from torchtty.engine.contract.printable import printable_line
from torchtty.engine.contract.run.directory import RunDirectory
from torchtty.engine.contract.run.files import open_regular, read_small
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.settings.configuration import specs
from torchtty.engine.contract.settings.family import Output

MODEL, TOKENIZER, ARCHITECTURE = "model.safetensors", "tokenizer.json", "architecture.json"


def checkpoint_of(snapshot: RunSnapshot, wanted: str = "latest") -> int:
    """Return the step of the checkpoint called `latest`, `best` or by its number; raise `UserError` if there is none."""
    kept = snapshot.run.checkpoints()
    step = {"latest": kept[-1] if kept else None, "best": snapshot.run.best_step()}.get(wanted)
    if step is None and wanted.isdigit() and int(wanted) in kept:
        step = int(wanted)
    if step is None:
        there = ", ".join(f"{number}" for number in kept) or "none"
        raise UserError(
            f"{snapshot.name} has no checkpoint '{wanted[:20]}'. Its steps are {there}; latest and best name one of them."
        )
    return step


def write_weights_file(run: RunDirectory, step: int, target: Path, *, force: bool = False) -> None:
    """Copy a checkpoint's weights to a file. Raises `UserError`."""
    read_header(run.checkpoint_path(step) / MODEL)
    try:
        with open_regular(run.checkpoint_path(step) / MODEL) as source, new_file(target, force=force) as file:
            shutil.copyfileobj(source, file, 1024 * 1024)
    except OSError as error:
        raise UserError(
            f"The checkpoint of {run.name} at step {step:,} cannot be read: {error.strerror or error}."
        ) from None


def write_weights_folder(snapshot: RunSnapshot, step: int, target: Path) -> list[str]:
    """Write a folder with the weights, the tokenizer, `load.py` and a README; return its files' names. Raises `UserError`."""
    source = snapshot.run.checkpoint_path(step)
    entries = read_header(source / MODEL)
    script, model = load_script(snapshot, step)
    with new_folder(target) as folder:
        write_weights_file(snapshot.run, step, folder / MODEL)
        if has_tokenizer := (source / TOKENIZER).is_file():
            shutil.copyfile(source / TOKENIZER, folder / TOKENIZER)
        (folder / "load.py").write_text(script, encoding="utf-8")
        (folder / "README.md").write_text(_readme(snapshot, step, entries, model, has_tokenizer), encoding="utf-8")
        return sorted(path.name for path in folder.iterdir())


def load_script(snapshot: RunSnapshot, step: int) -> tuple[str, str]:
    """Return a Python program that builds the model of a run and loads its weights with torch alone, and its model's name.

    Raises `UserError` where the model cannot be built from its settings, its vocabulary's size and its checkpoint's architecture.
    """
    family = snapshot.family
    if family is None:
        raise UserError(f"The configuration of {snapshot.name} cannot be read: {snapshot.problem}")
    source = standalone(family.rebuilt or family.model)
    known = _known(snapshot, step)
    if missing := [name for name in source.arguments if name not in known]:
        raise UserError(f"{family.title} is built with {', '.join(missing)}, which is not known outside of a run.")
    chosen = {name.upper(): known[name] for name in source.arguments}
    return _program(snapshot, step, source, chosen), source.name


def _known(snapshot: RunSnapshot, step: int) -> dict[str, str]:
    """Return what a model may be built with, as Python expressions."""
    tree = snapshot.run.configuration().tree()
    paths = {spec.name for spec in specs(tree["model"]["kind"], tree) if spec.section == "model" and spec.is_path}
    values = (f"    {name}={value!r},\n" for name, value in tree["model"].items() if name not in paths)
    known = {"config": f"SimpleNamespace(\n{''.join(values)})"}
    if (ready := snapshot.facts.ready) is not None and ready.vocab_size is not None:
        known["vocab_size"] = repr(ready.vocab_size)
    path = snapshot.run.checkpoint_path(step) / ARCHITECTURE
    if path.is_file():
        try:
            known["architecture"] = pprint.pformat(json.loads(read_small(path)), sort_dicts=False)
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read: {error}.") from None
    return known


def _program(snapshot: RunSnapshot, step: int, source: Standalone, chosen: dict[str, str]) -> str:
    title = f"{snapshot.family.title if snapshot.family else ''}, run {_plain(snapshot.name)}, step {step}"
    show = _SHOW_TEXT if snapshot.family and snapshot.family.output is Output.TEXT else ""
    needed = {*source.imports, *_IMPORTS, *(["import torch"] if show else [])}
    lines = sorted(needed, key=lambda line: (line.startswith("from"), line))
    standard, others = [line for line in lines if "torch" not in line], [line for line in lines if "torch" in line]
    parts = [
        f'"""{title}: `python load.py` loads its weights and lists them.\n\n'
        f'Needs torch and safetensors. The model is cut out of torchtty, which wrote this file and is not needed any more.\n"""',
        "from __future__ import annotations",
        "\n".join(standard),
        "\n".join(others),
        "\n".join(f"{name} = SimpleNamespace" for name in source.sections),
        "\n".join(f"{name} = {value}" for name, value in chosen.items()),
    ]
    body = "\n\n\n".join(source.definitions)
    load = _LOAD.format(name=source.name, arguments=", ".join(chosen), show=show)
    return "\n\n".join(filter(None, parts)) + "\n\n\n" + body + "\n\n\n" + load


def _plain(name: str) -> str:
    """Return the name of a folder as it may stand in a program: whoever made the folder may have called it anything."""
    return re.sub(r"[^A-Za-z0-9._-]", "?", name)


_IMPORTS = (
    "from pathlib import Path",
    "from safetensors.torch import load_file",
    "from types import SimpleNamespace",
)
_LOAD = '''\
def load(folder: Path = Path(__file__).parent) -> nn.Module:
    """Return the model with its weights, in evaluation mode."""
    model = {name}({arguments})
    weights = load_file(folder / "model.safetensors")
    missing, unknown = model.load_state_dict(weights, strict=False)
    own = model.state_dict()
    stored = {{own[name].data_ptr() for name in weights if name in own}}
    missing = [name for name in missing if own[name].data_ptr() not in stored]  # a tied weight is stored once
    if missing or unknown:
        raise ValueError(f"the weights are those of another model: {{missing}} are missing, {{unknown}} unknown")
    return model.eval()


if __name__ == "__main__":
    model = load()
    for name, tensor in model.state_dict().items():
        print(f"{{name:48}} {{tuple(tensor.shape)}}")
{show}'''

_SHOW_TEXT = """\
    with torch.no_grad():
        logits = model(torch.zeros(1, model.block_size, dtype=torch.long))[0]  # (1, T, V)
    print("likeliest after a window of token 0:", logits[0, -1].topk(min(5, logits.shape[-1])).indices.tolist())
"""


def _readme(snapshot: RunSnapshot, step: int, entries: tuple[TensorEntry, ...], model: str, has_tokenizer: bool) -> str:
    shapes = (" x ".join(map(str, entry.shape)) or "one number" for entry in entries)
    rows = "\n".join(
        f"| `{printable_line(entry.name)}` | {entry.dtype} | {shape} |"
        for entry, shape in zip(entries, shapes, strict=True)
    )
    tokenizer = "`tokenizer.json` says which text each token stands for.\n" if has_tokenizer else ""
    return f"""# {_plain(snapshot.name)}, step {step}

    pip install torch safetensors && python load.py

`load.py` builds `{model}` and loads `{MODEL}`; torchtty is not needed. From a program of your own:

    from load import load
    model = load()

{tokenizer}
| tensor | type | shape |
|---|---|---|
{rows}
"""
