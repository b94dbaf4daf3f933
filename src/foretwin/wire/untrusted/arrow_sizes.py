"""Read the sizes that an Arrow stream announces from its metadata, before any buffer is unpacked.

A few kilobytes of zstd unpack to gigabytes, and pyarrow unpacks a batch as a whole: so the sizes that the messages
announce, which bind the reader, are added up first. The layouts are those of Message.fbs in the Arrow format;
pyarrow has verified a message's flatbuffer before it hands it out.
"""

import struct
from collections.abc import Iterator

import pyarrow as pa

MESSAGE_HEADER = 2  # the fields of the tables, by their place in Message.fbs
BATCH_LENGTH, BATCH_BUFFERS, BATCH_COMPRESSION = 0, 2, 3
DICTIONARY_DATA = 1


def announced(body: bytes) -> Iterator[tuple[int, int]]:
    """Yield rows and unpacked bytes of each batch of a stream; a dictionary counts no rows.

    ArrowException, or struct.error where a message points outside itself.
    """
    for message in pa.ipc.MessageReader.open_stream(body):
        if message.type in ("record batch", "dictionary"):
            yield _batch(message)


def _batch(message: pa.Message) -> tuple[int, int]:
    metadata, body = memoryview(message.metadata), memoryview(message.body)
    root: int = struct.unpack_from("<I", metadata)[0]
    batch = _table(metadata, root, MESSAGE_HEADER)
    is_dictionary = message.type == "dictionary"
    if is_dictionary and batch:
        batch = _table(metadata, batch, DICTIONARY_DATA)
    if not batch:
        return 0, 0
    at = _field(metadata, batch, BATCH_LENGTH)
    rows = struct.unpack_from("<q", metadata, at)[0] if at and not is_dictionary else 0
    packed = bool(_field(metadata, batch, BATCH_COMPRESSION))
    return rows, sum(_unpacked(body, *one) if packed else one[1] for one in _buffers(metadata, batch))


def _buffers(metadata: memoryview, batch: int) -> Iterator[tuple[int, int]]:
    """Yield offset and length of each buffer in the message's body."""
    vector = _table(metadata, batch, BATCH_BUFFERS)
    if vector:
        count: int = struct.unpack_from("<I", metadata, vector)[0]
        for i in range(count):
            offset, length = struct.unpack_from("<qq", metadata, vector + 4 + 16 * i)
            yield offset, length


def _unpacked(body: memoryview, offset: int, length: int) -> int:
    """Return the size in front of a packed buffer; -1 means that it is not packed."""
    if length == 0:
        return 0
    size: int = struct.unpack_from("<q", body, offset)[0]
    return length if size == -1 else size


def _table(metadata: memoryview, table: int, place: int) -> int:
    """Return the start of a flatbuffers field that is a table or a vector; 0 where it is absent."""
    at = _field(metadata, table, place)
    return at + struct.unpack_from("<I", metadata, at)[0] if at else 0


def _field(metadata: memoryview, table: int, place: int) -> int:
    """Return the position of a field of a flatbuffers table; 0 where it is absent."""
    layout: int = table - struct.unpack_from("<i", metadata, table)[0]
    size: int = struct.unpack_from("<H", metadata, layout)[0]
    entry = 4 + 2 * place
    offset: int = struct.unpack_from("<H", metadata, layout + entry)[0] if entry < size else 0
    return table + offset if offset else 0
