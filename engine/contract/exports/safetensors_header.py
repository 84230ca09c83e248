"""Reading the header of a safetensors file: names, types and shapes, checked without loading a tensor."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from torchtty.engine.contract.errors import UserError
from torchtty.engine.contract.run.files import open_regular

LARGEST_HEADER = 100 * 1024 * 1024  # bytes; the format allows no more
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32,
    "F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64,
}  # fmt: skip


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of a file."""

    name: str
    dtype: str
    shape: tuple[int, ...]


def read_header(path: Path) -> tuple[TensorEntry, ...]:
    """Return the tensors of a file; raise `UserError` where it is no safetensors file whose parts fit together.

    Format: 8 bytes with the header's length, little-endian; the header as JSON; then the bytes of the tensors without a gap.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(LARGEST_HEADER, size - 8):
                raise ValueError("its header has no possible length")
            header = from_json(file.read(length))
        return _checked(header, size - 8 - length)
    except OSError as error:
        raise UserError(f"{path.name} cannot be read: {error.strerror or error}.") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = str(error) if type(error) is ValueError and str(error).startswith("its ") else "its header is damaged"
        raise UserError(f"{path.name} is no safetensors file: {reason}.") from None


def _checked(header: Any, size: int) -> tuple[TensorEntry, ...]:
    found, parts = [], []
    for name, about in header.items():
        if name == "__metadata__":
            continue
        shape, (begin, end) = tuple(about["shape"]), about["data_offsets"]
        if not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
            raise ValueError("its header is damaged")
        if (end - begin) * 8 != math.prod(shape) * _BITS[about["dtype"]]:
            raise ValueError(f"its tensor {str(name)[:60]!r} has another size than its shape says")
        found.append(TensorEntry(str(name), about["dtype"], shape))
        parts.append((begin, end))
    position = 0
    for begin, end in sorted(parts):
        if begin != position:
            raise ValueError("its tensors do not lie side by side")
        position = end
    if position != size:
        raise ValueError("its length is not that of its tensors")
    return tuple(found)
