"""Notation of a table: how its text is written, as the contract says or the file itself does."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePosixPath

from foretwin.contract.source import TableSource
from foretwin.errors import ContractError

WHITESPACE = "whitespace"


@dataclass(frozen=True)
class Notation:
    """How a table is written; None for what the file itself says: its byte order mark, its first line.

    `missing` are cells without a value beside the usual ones; `after_header` and `footer` count lines.
    """

    encoding: str | None = None
    separator: str | None = None
    decimal: str = "."
    thousands: str | None = None
    skip: int = 0
    names: tuple[str, ...] | None = None
    after_header: int = 0
    footer: int = 0
    transposed: bool = False
    sheet: str | None = None
    missing: tuple[str, ...] = ()

    @property
    def is_rewritten(self) -> bool:
        """Return whether lines of the text change before they are parsed."""
        counts = self.skip or self.after_header or self.footer
        return bool(counts or self.names or self.transposed or self.separator == WHITESPACE)


PLAIN = Notation()


def notation_of(source: TableSource, name: str) -> Notation:
    """Return how the file of that relative name is written; ContractError where the contract leaves a question."""
    if source.thousands == "ask":
        raise ContractError(
            "source.thousands: numbers such as 1.002 may have thousands or decimals;"
            " remove the line for decimals, or write the mark and set source.decimal to the other one"
        )
    transposed = source.transposed
    return Notation(
        encoding=source.encoding,
        separator=source.separator,
        decimal=source.decimal or ".",
        thousands=source.thousands,
        skip=source.skip_lines or 0,
        names=source.names,
        after_header=source.lines_after_header or 0,
        footer=source.footer_lines or 0,
        transposed=fnmatch(PurePosixPath(name).name, transposed) if isinstance(transposed, str) else bool(transposed),
        sheet=source.sheet,
        missing=source.missing_values or (),
    )


def fields_of(notation: Notation) -> Mapping[str, object]:
    """Return the contract's fields that differ from those of a plain file, in the order of the contract."""
    found = {
        "encoding": notation.encoding,
        "separator": notation.separator,
        "decimal": notation.decimal if notation.decimal != "." else None,
        "thousands": notation.thousands,
        "skip_lines": notation.skip or None,
        "names": notation.names,
        "lines_after_header": notation.after_header or None,
        "footer_lines": notation.footer or None,
        "transposed": notation.transposed or None,
        "sheet": notation.sheet,
        "missing_values": notation.missing or None,
    }
    return {name: value for name, value in found.items() if value is not None}
