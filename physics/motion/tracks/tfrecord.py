"""TFRecord framing: length, masked CRC-32C of the length, payload, masked CRC-32C of the payload.

Format: TensorFlow's ``record_writer`` (little-endian; mask ``rotate_right(crc, 15) + 0xa282ead8``). CRC-32C is the
Castagnoli polynomial of RFC 3720.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from retrodict.physics.motion.tracks.damage import Damage

__all__ = ["is_tfrecord", "masked_crc", "payloads"]


def masked_crc(data: bytes) -> int:
    """Return the masked CRC-32C of some bytes, as the framing stores it.

    Parameters
    ----------
    data : bytes
        Any number of bytes.

    Returns
    -------
    int
        32 bits.

    Examples
    --------
    >>> hex(masked_crc(b"123456789"))
    '0xc78ab0e5'
    """
    import google_crc32c

    crc = int(google_crc32c.value(data))
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def is_tfrecord(data: bytes) -> bool:
    """Say whether data start with a frame whose length has the right checksum.

    Parameters
    ----------
    data : bytes
        Start of a file.

    Returns
    -------
    bool
        Whether they do.

    Examples
    --------
    >>> is_tfrecord(b"<commonRoad/>")
    False
    """
    return len(data) >= 12 and int(struct.unpack_from("<I", data, 8)[0]) == masked_crc(data[:8])


def payloads(data: bytes, damage: Damage) -> Iterator[tuple[int, bytes]]:
    """Yield the payloads whose checksums are right, with their numbers from 0.

    Parameters
    ----------
    data : bytes
        The file.
    damage : Damage
        Receives damaged records. Behind a damaged length nothing can be found again: the rest counts as one record.

    Yields
    ------
    tuple of int and bytes
        Number and payload.

    Raises
    ------
    DataError
        At the first damaged record in the mode "raise" of ``damage``.

    Examples
    --------
    >>> head = struct.pack("<Q", 2)
    >>> frame = head + struct.pack("<I", masked_crc(head)) + b"hi" + struct.pack("<I", masked_crc(b"hi"))
    >>> list(payloads(frame, Damage("a.tfrecord", "raise")))
    [(0, b'hi')]
    """
    at, index = 0, 0
    while at < len(data):
        place = f"record {index} at byte {at}"
        if len(data) - at < 16:
            damage.add(place, f"{len(data) - at} bytes", "a whole frame (truncated file)")
            return
        length, crc = struct.unpack_from("<QI", data, at)
        if crc != masked_crc(data[at : at + 8]):
            damage.add(place, f"checksum {crc:#010x} of the length", f"{masked_crc(data[at : at + 8]):#010x}")
            return
        if length > len(data) - at - 16:
            damage.add(place, f"{len(data) - at - 16} bytes of payload", f"{length} bytes (truncated file)")
            return
        payload = data[at + 12 : at + 12 + length]
        (crc,) = struct.unpack_from("<I", data, at + 12 + length)
        if crc == masked_crc(payload):
            yield index, payload
        else:
            damage.add(place, f"checksum {crc:#010x} of the payload", f"{masked_crc(payload):#010x}")
        at += 16 + length
        index += 1
