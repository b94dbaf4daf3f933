"""Decode structs of Thrift's compact protocol, in which a Parquet file describes itself, by field number."""

from typing import Any

DEEPEST = 16  # structs and lists within one another
MOST_FIELDS = 2**15 - 1  # a field's number has 16 bits
BITS = {4: 15, 5: 31, 6: 63}  # of the integers' kinds, without the sign

Struct = dict[int, Any]


def read_struct(data: bytes, at: int, depth: int = 0) -> tuple[Struct, int]:
    """Return integers, texts, lists and structs by field, other values as None; and the next byte's position.

    ValueError or IndexError for damaged bytes.
    """
    if depth > DEEPEST:
        raise ValueError("its description is nested too deeply")
    found: Struct = {}
    field = 0
    while data[at]:
        step, kind = data[at] >> 4, data[at] & 15
        at += 1
        if step:
            field += step
        else:
            field, at = _signed(data, at)
        # Other readers cut such numbers off, or take the first of two: what they read must be what is read here.
        if not 0 < field <= MOST_FIELDS or field in found:
            raise ValueError("its description has a field twice, or one that cannot be")
        if kind > 2:  # 1 and 2 are the truth values themselves
            found[field], at = _value(data, at, kind, depth)
    return found, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind == 12:
        return read_struct(data, at, depth + 1)
    if kind in BITS:
        value, at = _signed(data, at)
        if not -1 << BITS[kind] <= value < 1 << BITS[kind]:
            raise ValueError("its description holds too long a number")
        return value, at
    if kind == 8:
        length, at = _unsigned(data, at)
        return data[at : at + length], at + length
    if kind in (9, 10):  # a list or a set
        return _list(data, at, depth)
    if kind in (3, 7):  # one byte, or the eight of a double
        return None, at + (1 if kind == 3 else 8)
    raise ValueError("its description holds an unknown kind of value")


def _list(data: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    if depth > DEEPEST:
        raise ValueError("its description is nested too deeply")
    count, kind = data[at] >> 4, data[at] & 15
    at += 1
    if count == 15:
        count, at = _unsigned(data, at)
    if count > len(data) - at:  # each takes a byte at least
        raise ValueError("its description ends early")
    values = []
    for _ in range(count):
        value, at = (data[at], at + 1) if kind in (1, 2) else _value(data, at, kind, depth + 1)
        values.append(value)
    return values, at


def _signed(data: bytes, at: int) -> tuple[int, int]:
    value, at = _unsigned(data, at)
    return (value >> 1) ^ -(value & 1), at


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("its description holds too long a number")
