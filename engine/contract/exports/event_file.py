"""TensorBoard's event files, written by its own package, which is imported only then."""

import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torchtty.engine.contract.settings.mirrors import refuse_missing

PNG_HEAD = b"\x89PNG\r\n\x1a\n"


class EventFile:
    """One event file in a folder. Raises `UserError` where the package is missing, and OSError where the disk refuses."""

    def __init__(self, folder: Path, wall_time: float | None = None) -> None:
        refuse_missing("tensorboard")
        from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary = event_pb2.Event, summary_pb2
        self._tensor, self._types = tensor_pb2.TensorProto, types_pb2
        folder.mkdir(parents=True, exist_ok=True)
        begun = time.time() if wall_time is None else wall_time
        self.path = folder / f"events.out.tfevents.{int(begun):010d}.{socket.gethostname()}.{time.time_ns() % 10**9}"
        self._file = self.path.open("xb")
        self._records = RecordWriter(self._file)
        self._write(self._event(wall_time=begun, file_version="brain.Event:2"))

    def scalars(self, step: int, wall_time: float, values: Mapping[str, float]) -> None:
        """Add the metrics of a step."""
        parts = [self._summary.Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._add(step, wall_time, parts)

    def text(self, step: int, wall_time: float, tag: str, text: str) -> None:
        """Add a text, which TensorBoard reads as Markdown."""
        about = self._summary.SummaryMetadata(plugin_data=self._summary.SummaryMetadata.PluginData(plugin_name="text"))
        tensor = self._tensor(dtype=self._types.DT_STRING, string_val=[text.encode()])
        self._add(step, wall_time, [self._summary.Summary.Value(tag=tag, metadata=about, tensor=tensor)])

    def picture(self, step: int, wall_time: float, tag: str, content: bytes) -> None:
        """Add a PNG; anything else is passed over."""
        if len(content) < 24 or not content.startswith(PNG_HEAD):
            return
        width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
        image = self._summary.Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=content)
        self._add(step, wall_time, [self._summary.Summary.Value(tag=tag, image=image)])

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _add(self, step: int, wall_time: float, values: list[Any]) -> None:
        self._write(self._event(wall_time=wall_time, step=step, summary=self._summary.Summary(value=values)))

    def _write(self, event: Any) -> None:
        self._records.write(event.SerializeToString())
