"""Protocol-buffer wire format: fields of one message, read without generated code.

Format: Protocol Buffers encoding guide (varint, 64-bit, length-delimited and 32-bit fields; groups are refused).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from retrodict.physics.motion.tracks.damage import RecordError

__all__ = ["Message", "parse"]


@dataclass
class Message:
    r"""Fields of a message by number, each a list in the order of the message.

    Parameters
    ----------
    varints : dict of int to list of int
        Wire type 0.
    doubles : dict of int to list of float
        Wire type 1, read as IEEE double.
    chunks : dict of int to list of bytes
        Wire type 2: text, messages, packed numbers.
    floats : dict of int to list of float
        Wire type 5, read as IEEE single.

    Examples
    --------
    >>> parse(b"\x08\x96\x01").varints
    {1: [150]}
    """

    varints: dict[int, list[int]] = field(default_factory=dict)
    doubles: dict[int, list[float]] = field(default_factory=dict)
    chunks: dict[int, list[bytes]] = field(default_factory=dict)
    floats: dict[int, list[float]] = field(default_factory=dict)

    def text(self, number: int) -> str:
        """Return a field as text.

        Raises
        ------
        RecordError
            If it is absent or no UTF-8.
        """
        try:
            return self.chunks[number][-1].decode("utf-8")
        except (KeyError, UnicodeDecodeError) as error:
            raise RecordError(type(error).__name__, f"text in field {number}") from error


def parse(data: bytes) -> Message:
    r"""Split a message into its fields.

    Parameters
    ----------
    data : bytes
        One message.

    Returns
    -------
    Message
        Its fields, unknown ones included.

    Raises
    ------
    RecordError
        If the bytes are no message.

    Examples
    --------
    >>> parse(b"\x12\x02hi").text(2)
    'hi'
    """
    message = Message()
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise RecordError("field number 0", "a field number from 1 on")
        if kind == 0:
            value, at = _varint(data, at)
            message.varints.setdefault(number, []).append(value)
        elif kind == 2:
            size, at = _varint(data, at)
            message.chunks.setdefault(number, []).append(_slice(data, at, size))
            at += size
        elif kind == 1:
            message.doubles.setdefault(number, []).append(struct.unpack("<d", _slice(data, at, 8))[0])
            at += 8
        elif kind == 5:
            message.floats.setdefault(number, []).append(struct.unpack("<f", _slice(data, at, 4))[0])
            at += 4
        else:
            raise RecordError(f"wire type {kind}", "wire type 0, 1, 2 or 5")
    return message


def _slice(data: bytes, at: int, size: int) -> bytes:
    part = data[at : at + size]
    if len(part) != size:
        raise RecordError(f"{len(part)} bytes of a field", f"{size}")
    return part


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise RecordError("an unfinished varint", "at most 10 bytes, the last below 128")
