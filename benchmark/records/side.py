"""Opens the side file of a record: unpacked within bounds, in the shape that tables, figures and `verify` rely on."""

import base64
import zlib
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter, ValidationError, model_validator
from pydantic_core import from_json

from benchmark.plan.cell import Share
from benchmark.records.record import Count, Percent

LARGEST = 256 * 2**20  # bytes unpacked; the largest published side has 0.6 million


class Point(BaseModel):
    """What a curve must hold for an epoch. It may hold more."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)
    at: Count
    kind: str
    macs: Count
    removed: Share
    test: Percent = 0.0
    nonzeros: list[Count] = []


class Call(BaseModel):
    model_config = ConfigDict(strict=True)
    call: str
    epoch: Count
    result: JsonValue = None

    @model_validator(mode="after")
    def _a_note_has_names(self) -> "Call":
        if self.call == "note" and not isinstance(self.result, dict):
            raise ValueError("a note without names")
        return self


class Shape(BaseModel):
    model_config = ConfigDict(strict=True)
    curves: list[Point]
    journal: list[Call]
    bits: str
    kept: dict[str, list[Count]] = {}
    dense_widths: dict[str, Count] = {}

    @model_validator(mode="after")
    def _of_the_same_groups(self) -> "Shape":
        if not self.dense_widths.keys() <= self.kept.keys():
            raise ValueError("dense widths of other groups than those kept")
        return self


SHAPE = TypeAdapter(Shape)


def opened(packed: bytes) -> dict[str, Any]:
    """The content as it was written. ValueError or zlib.error says what is wrong."""
    unpack = zlib.decompressobj(wbits=31)
    data = unpack.decompress(packed, LARGEST)
    if unpack.unconsumed_tail:
        raise ValueError(f"more than {LARGEST} bytes when unpacked")
    if not unpack.eof or unpack.unused_data:
        raise ValueError("it ends early, or goes on after its end")
    side: dict[str, Any] = from_json(data, allow_inf_nan=False)
    try:
        SHAPE.validate_python(side)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return side


def right_answers(side: dict[str, Any], count: int) -> list[bool]:
    """For each of `count` test images, whether the network classified it correctly."""
    packed = base64.b64decode(side["bits"])
    return [bool(byte >> place & 1) for byte in packed for place in range(7, -1, -1)][:count]
