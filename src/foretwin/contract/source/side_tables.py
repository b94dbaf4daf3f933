"""Files of tables, and those that stand beside the readings: failures, maintenance, events and assets."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from foretwin.contract.parts import TIME_FORMATS, ContractPart, Word, pattern_words, unset, zone_of

SIGNS: Mapping[str, Callable[[Any, float], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


class FileSource(ContractPart):
    """A file, many of one shape, or a query; how it is written, and its columns of machine and time."""

    path: str = Field(
        description="file, folder, glob, zip or tar archive, or a file in one (logs.zip/june.csv), absolute or relative"
        " to the folder of twin.yaml; or the URL of a file (s3://, https://) or database (postgresql://)"
    )
    query: str | None = unset("SQL that yields the table, where `path` is a database; it is only read")
    watermark: str | None = unset("column of the query that only rises: later fetches read rows beyond the largest")
    pattern: str | None = unset(
        "how the end of a file's path is made, such as {asset}/{run}.csv: each word in braces"
        " is a column with that part of the path, of digits alone as {asset:d}; other files are left out"
    )
    encoding: str | None = unset("of the text, such as cp1252; UTF-8, or what a byte order mark says")
    separator: str | None = unset("between cells, or `whitespace`; the most frequent of , ; tab | in the first line")
    decimal: Literal[".", ","] | None = unset("decimal mark; a point")
    thousands: Literal[".", ",", " ", "'", "ask"] | None = unset("mark between thousands; none")
    skip_lines: Annotated[int, Field(ge=1, le=1000)] | None = unset("lines before the header")
    names: tuple[str, ...] | None = unset("the columns' names, for a table without a header")
    lines_after_header: Annotated[int, Field(ge=1, le=100)] | None = unset("between header and data, such as units")
    footer_lines: Annotated[int, Field(ge=1, le=1000)] | None = unset("lines after the last row")
    transposed: bool | str | None = unset("true where a column of the file is a row; or a glob of the files that are")
    sheet: str | None = unset("sheet of a workbook, or variable of a .mat or HDF5 file; the first")
    missing_values: tuple[str, ...] | None = unset("cells that mean: no value, such as Bad or -999")
    asset: str | None = unset("column that names the machine; `file name` where each file is of one")
    single_asset: str | None = unset("the machine's name, where all rows are of one and no column says so")
    time: str | None = unset("column of the time; not needed for time_format: row")
    time_of_day: str | None = unset("column of the time of day, where `time` holds the date")
    time_format: str | None = unset(
        f"{', '.join(TIME_FORMATS)}, or one with % such as %d.%m.%y %H:%M; numbers in the clock's unit, or ISO 8601"
    )
    time_zone: str | None = unset("of times without an offset, such as Europe/Berlin or +01:00; none: no changes")

    @property
    def path_words(self) -> tuple[str, ...]:
        """Return the words in braces of `pattern`: columns whose values are parts of the path."""
        return pattern_words(self.pattern)

    @property
    def asset_column(self) -> str | None:
        """Return the column that names the machine, be it of the file or of its path; None for a single machine."""
        return self.asset or ("asset" if "asset" in self.path_words else None)

    @property
    def time_column(self) -> str | None:
        """Return the column of the time, be it of the file or of its path; None where rows are counted."""
        return self.time or ("date" if "date" in self.path_words else None)

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if self.time_format and self.time_format not in TIME_FORMATS and "%" not in self.time_format:
            raise ValueError(f"time_format: {self.time_format} is none; write {', '.join(TIME_FORMATS)} or one with %")
        if self.time_zone:
            zone_of(self.time_zone)
        if self.thousands == (self.decimal or "."):
            raise ValueError(f"thousands: is the decimal mark too; set decimal to the other mark than {self.thousands}")
        if self.watermark and not self.query:
            raise ValueError("watermark: is of a query; set query, or leave it out")
        return self


class LogSource(FileSource):
    """Base of the tables with a row for each time at which something happened to a machine, in any order."""

    @model_validator(mode="after")
    def _timed(self) -> Self:
        if self.time_column is None or self.time_format == "row":
            raise ValueError("time: a row is something that happened at a time; name the column of the `time`")
        return self


class FailureLog(LogSource):
    """Failures: each ends a life."""

    part: str | None = unset("column of the part that failed, for `parts`")
    mode: str | None = unset("column of what failed, which `values` reads as classes of the fault axis `axis`")
    axis: Word | None = unset("fault axis of the contract")
    values: dict[str, Word] = Field(
        default={}, exclude_if=lambda values: not values, description="class of each mode; others are unknown"
    )
    holds_before: Annotated[float, Field(gt=0)] | None = unset(
        "the class holds on a life's rows up to so long before its failure, in the clock's unit; on the last row alone"
    )

    @model_validator(mode="after")
    def _of_an_axis(self) -> Self:
        if len({self.mode is None, self.axis is None, not self.values}) > 1:
            raise ValueError("mode: `mode`, `axis` and `values` belong together; set all of them, or none")
        if self.holds_before is not None and self.mode is None:
            raise ValueError("holds_before: is how long before its end a `mode` holds; set mode, or leave it out")
        return self


class MaintenanceLog(LogSource):
    """Maintenance: replacements end a life, planned ones before its failure."""

    part: str | None = unset("column of the part that was replaced, for `parts`")
    planned: str | None = unset("column that is true for planned work; a replacement that was not is a failure's")
    action: str | None = unset("column of what was done, which `ends` reads; without it, each row is a replacement")
    ends: dict[str, Literal["replaced", "removed"]] = Field(
        default={},
        exclude_if=lambda ends: not ends,
        description="action: how it ends a life; other actions end none",
    )

    @model_validator(mode="after")
    def _of_actions(self) -> Self:
        if (self.action is None) != (not self.ends):
            raise ValueError("action: `action` and `ends` belong together; set both, or neither")
        return self


class EventLog(LogSource):
    """Events, such as alarms and errors, of which channels are made."""

    code: str = Field(description="column of what happened")
    counts: dict[Word, str] = Field(
        default={}, description="channel: the code of which it is the number of events since the row before"
    )
    since: dict[Word, str] = Field(
        default={},
        description="channel: the code of which it is the time since the last event, at most the channel's max",
    )

    @model_validator(mode="after")
    def _apart(self) -> Self:
        twice = [name for name in self.counts if name in self.since]
        if twice:
            raise ValueError(f"since: {twice[0]} is in counts too; give each channel a name of its own")
        return self


class AssetTable(FileSource):
    """Machines: a row of each, with what does not change."""

    columns: dict[Word, str] = Field(description="channel: column of numbers that it is of each machine")


@dataclass(frozen=True)
class EndRule:
    """A rule by which a life ends: a channel or column that is beyond a limit."""

    name: str
    sign: str
    limit: float

    FORM: ClassVar[re.Pattern[str]] = re.compile(rf"\s*(.+?)\s*(<=|>=|<|>)\s*({NUMBER})\s*")

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a rule such as `capacity < 1.4`; ValueError for any other text."""
        found = cls.FORM.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no rule; write a channel, < or >, and a number, such as capacity < 1.4")
        return cls(found[1], found[2], float(found[3]))

    def holds(self, values: Any) -> Any:
        """Return where it holds, of numbers (N,); nowhere where they are missing."""
        return SIGNS[self.sign](values, self.limit)


def _rule(text: str) -> str:
    EndRule.of(text)
    return text


RuleText = Annotated[str, AfterValidator(_rule)]
