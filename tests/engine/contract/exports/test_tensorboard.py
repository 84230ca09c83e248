"""Event files, read back by TensorBoard itself."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from written_run import WrittenRun, write_run

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.exports.metrics import metric_rows
from torchtty.engine.contract.exports.tensorboard import write_event_files
from torchtty.engine.contract.run.snapshot import RunSnapshot
from torchtty.engine.contract.settings import mirrors

__all__ = ["write_run"]

PICTURE = bytes.fromhex(  # 1 x 1 pixel
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc000000301010018dd8db0"
    "0000000049454e44ae426082"
)


def test_tensorboard_reads_metrics_samples_pictures_and_settings(
    write_run: Callable[..., WrittenRun], tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    written = write_run("mine", kind="dcgan")
    written.curve(300)
    written.metrics({"step": 290, "time": 2.9, "val_loss": 1.5})
    written.sample("a", "<b>karina</b>\n# no heading", step=200)
    (written.run.media / "fixed-000100.png").write_bytes(PICTURE)
    written.event("images", 100, path="media/fixed-000100.png", source="fixed")
    written.event("images", 200, path="media/gone.png", source="fixed")
    (name,) = write_event_files(RunSnapshot.of(written.run), tmp_path / "out")
    assert name.startswith("events.out.tfevents.")

    events = EventAccumulator(str(tmp_path / "out"), size_guidance={"tensors": 0, "scalars": 0})
    events.Reload()
    rows = metric_rows(written.run)
    for metric in ("train_loss", "grad_norm", "val_loss"):
        found = [(event.step, event.value) for event in events.Scalars(metric)]
        assert found == [(row["step"], pytest.approx(row[metric])) for row in rows if metric in row]
    created = written.run.meta()["created"]
    assert events.Scalars("train_loss")[1].wall_time == pytest.approx(created + 0.1)
    assert set(events.Tags()["scalars"]) == {"train_loss", "grad_norm", "val_loss"}
    (text,) = events.Tensors("samples")
    assert (text.step, text.tensor_proto.string_val[0]) == (200, b"    <b>karina</b>\n    # no heading")
    assert b'kind = "dcgan"' in events.Tensors("settings")[0].tensor_proto.string_val[0]
    (image,) = events.Images("pictures/fixed")
    assert (image.step, image.width, image.encoded_image_string) == (100, 1, PICTURE)


def test_without_the_package_a_sentence_says_how_it_comes_and_nothing_stays(
    write_run: Callable[..., WrittenRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write_run("mine")
    written.curve(100)
    monkeypatch.setattr(mirrors, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="tensorboard is not installed: 'pip install tensorboard' adds it"):
        write_event_files(RunSnapshot.of(written.run), tmp_path / "out")
    assert [name for name in os.listdir(tmp_path) if "out" in name] == []
