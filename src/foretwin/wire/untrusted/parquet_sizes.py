"""Read the unpacked size of a Parquet file from its footer and the headers of its pages.

The footer says how many rows there are, and claims sizes; the sizes that bind the reader stand in the pages' headers.
pyarrow's own view of a column's metadata is of no use here: a damaged one ends the process instead of an error.
The field numbers are those of parquet.thrift.

Parquet stays a media type of both HTTP services, since callers and their documents rely on it, and this reader of some
hundred lines is what makes a body from anybody as safe as an Arrow stream.
"""

from collections.abc import Iterator

from foretwin.wire.untrusted.thrift import Struct, read_struct

MAGIC = b"PAR1"
MOST_FOOTER = 256 * 1024  # bytes; pyarrow takes a hundred times as many to read it
MOST_HEADER = 64 * 1024  # bytes of a page's header
MOST_PAGES = 50_000

MOST_GROUPS = 100  # of columns: the reader descends into them, and without a bound leaves its stack
SCHEMA, ROWS, GROUPS = 2, 3, 4  # of FileMetaData
CHILDREN = 5  # of SchemaElement
COLUMNS, GROUP_ROWS = 1, 3  # of RowGroup
META_DATA = 3  # of ColumnChunk
VALUES, PACKED, DATA_PAGE, DICTIONARY_PAGE = 5, 7, 9, 11  # of ColumnMetaData
PAGE_UNPACKED, PAGE_PACKED = 2, 3  # of PageHeader
PAGE_VALUES = 1  # of both kinds of a data page's header, which are these fields of PageHeader, with their encoding
ENCODINGS = {5: 2, 8: 4}
# Text as differences: of lengths, which cannot be read into a dictionary; or of the texts themselves, each of which
# continues the one before it, so that a small page would become any amount of text.
DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY = 6, 7


def read_footer(body: bytes) -> Struct:
    """Return the file's FileMetaData; ValueError or IndexError where it is damaged, too large or encrypted."""
    length = int.from_bytes(body[-8:-4], "little")
    if body[:4] != MAGIC or body[-4:] != MAGIC or length > len(body) - 12:
        raise ValueError("its first and last bytes are not those of one")
    if length > MOST_FOOTER:
        raise ValueError(f"its footer is larger than {MOST_FOOTER} bytes")
    footer = read_struct(body[-8 - length : -8], 0)[0]
    if sum(bool(element.get(CHILDREN)) for element in footer[SCHEMA]) > MOST_GROUPS:
        raise ValueError("its columns are nested too deeply")
    return footer


def row_count(footer: Struct) -> int:
    """Return the number of rows, by the file's or by its row groups' metadata, whichever is more."""
    counts = [footer[ROWS], *(group[GROUP_ROWS] for group in footer[GROUPS])]
    if min(counts) < 0:
        raise ValueError("it counts fewer than no rows")
    return int(max(counts[0], sum(counts[1:])))


def page_sizes(body: bytes, footer: Struct) -> Iterator[int]:
    """Yield the unpacked bytes of each page, in reading order.

    ValueError or IndexError where they are damaged, too many, or of an encoding that is not read here.
    """
    count = 0
    for group in footer[GROUPS]:
        for column in group[COLUMNS]:
            for size in _pages(body, column[META_DATA]):
                yield size
                count += 1
                if count > MOST_PAGES:
                    raise ValueError(f"it has more than {MOST_PAGES} pages")


def _pages(body: bytes, column: Struct) -> Iterator[int]:
    at = column[DATA_PAGE]
    if 0 < column.get(DICTIONARY_PAGE, 0) < at:
        at = column[DICTIONARY_PAGE]
    end = at + column[PACKED]
    if not 0 <= at <= end <= len(body):
        raise ValueError("a column lies outside it")
    values = 0
    while values < column[VALUES] and at < end:
        header, length = read_struct(body[at : at + MOST_HEADER], 0)
        for kind, encoding in ENCODINGS.items():
            if kind in header:
                values += header[kind][PAGE_VALUES]
                if header[kind][encoding] in (DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY):
                    raise ValueError("text in the encoding DELTA is not read here: write a dictionary, or PLAIN")
        if min(header[PAGE_UNPACKED], header[PAGE_PACKED]) < 0:
            raise ValueError("it has a page of a negative size")
        yield header[PAGE_UNPACKED]
        at += length + header[PAGE_PACKED]
    if values < column[VALUES]:
        raise ValueError("a column ends early")
