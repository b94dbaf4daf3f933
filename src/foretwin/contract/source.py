"""Data sources of a twin: the `source` section of the contract, one class per kind."""

import re
from datetime import timedelta, timezone, tzinfo
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
TIME_FORMATS = (
    *("iso", "day_first", "month_first", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns"),
    *("number", "duration", "row", "ask"),
)


def _unset(description: str) -> Any:
    """Return a field that is None by default, and then left out of the contract's digest."""
    return Field(default=None, exclude_if=lambda value: value is None, description=description)


def zone_of(name: str) -> tzinfo:
    """Return the time zone of an IANA name or of an offset such as +01:00; ValueError for any other text."""
    offset = re.fullmatch(r"([+-])(\d\d):?(\d\d)", name)
    if offset:
        size = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-size if offset[1] == "-" else size)
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"{name} is no time zone; write one such as Europe/Berlin, or an offset as +01:00") from None


def pattern_words(pattern: str | None) -> tuple[str, ...]:
    """Return the words in braces of a pattern of paths."""
    return tuple(dict.fromkeys(re.findall(r"{(\w+)(?::d)?}", pattern or "")))


class ContractPart(BaseModel):
    """Base of the contract's sections: frozen, and without unknown fields, so that a typo is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PumpSource(ContractPart):
    """Source: the simulated pump fleet."""

    kind: Literal["pump"]
    assets: Annotated[int, Field(ge=1, le=100_000)]
    seed: Annotated[int, Field(ge=0)]


class CmapssSource(ContractPart):
    """Source: NASA's turbofan archive C-MAPSS."""

    kind: Literal["cmapss"]
    subset: Literal["FD001", "FD002", "FD003", "FD004"]


class HydraulicSource(ContractPart):
    """Source: UCI's archive of the hydraulic test rig."""

    kind: Literal["hydraulic"]


class LabelSpans(ContractPart):
    """Labels as spans of time in a file of their own: a table with a row per span, or JSON."""

    path: str = Field(description="the file, or its URL, absolute or relative to the folder of twin.yaml")
    key: str | None = _unset("name in a JSON file under which the spans lie, as pairs of times or single times")
    begin: str | None = _unset("column of a table: the first moment of a span")
    end: str | None = _unset("column of a table: the last moment; without it, a span is the moment `begin`")
    asset: str | None = _unset("column of a table: the machine; without it, every span is of all machines")
    label: str | None = _unset("column of a table: what holds within the span, which `values` reads")
    means: Word | None = _unset("instead of `label`: the class that holds within every span")

    @model_validator(mode="after")
    def _one_class(self) -> Self:
        if (self.label is None) == (self.means is None):
            raise ValueError("name the column of the `label`, or the class that every span `means`")
        if self.begin is None and (self.end or self.asset or self.label):
            raise ValueError("begin: is the column of a span's first moment; name it beside the other columns")
        return self


class TableFault(ContractPart):
    """Labels of a fault axis: a column with a value per class, a column per class (`flags`), or spans of time."""

    column: str | None = Field(default=None, description="column that holds the labels")
    values: dict[str, Word] = Field(
        default={}, description="class of each value; 1, 1.0 and True are one value; other values are unknown"
    )
    flags: dict[str, Word] = Field(
        default={},
        exclude_if=lambda flags: not flags,
        description="instead of `column`: columns that are true where a class holds; where none is, the first class"
        " holds, and where two are, the label is unknown",
    )
    spans: LabelSpans | None = _unset("instead of `column`: spans of time in another file; outside, the first class")
    holds_before: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        exclude_if=lambda time: time is None,
        description="a class also holds on the healthy and unknown rows up to so long before, in the clock's unit",
    )

    holds_from: dict[str, float] = Field(
        default={},
        exclude_if=lambda globs: not globs,
        description="glob of files: the time, in the clock's unit, from which on their label holds; before it, the"
        " first class",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.column is not None) + bool(self.flags) + (self.spans is not None) != 1:
            raise ValueError("name one `column` with its `values`, columns of true and false as `flags`, or `spans`")
        if (self.column is None and not (self.spans and self.spans.label)) != (not self.values):
            raise ValueError("`column` and `values` belong together, or the `label` of spans and `values`")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of the file that hold the labels."""
        return (self.column,) if self.column is not None else tuple(self.flags)

    @property
    def classes_named(self) -> tuple[str, ...]:
        """Return the classes that cells are read as."""
        means = (self.spans.means,) if self.spans and self.spans.means else ()
        return (*self.values.values(), *self.flags.values(), *means)


class TableSource(ContractPart):
    """Source: a user's table, as one file, many, or a query. Fields that are not set do not change the digest."""

    kind: Literal["table"]
    path: str = Field(
        description="file, folder, glob, zip or tar archive, absolute or relative to the folder of twin.yaml;"
        " or the URL of a file (s3://, https://) or database (postgresql://)"
    )
    query: str | None = _unset("SQL that yields the table, where `path` is a database; it is only read")
    watermark: str | None = _unset("column of the query that only rises: later fetches read rows beyond the largest")
    pattern: str | None = _unset(
        "how the end of a file's path is made, such as {asset}/{run}.csv: each word in braces"
        " is a column with that part of the path, of digits alone as {asset:d}; other files are left out"
    )
    encoding: str | None = _unset("of the text, such as cp1252; UTF-8, or what a byte order mark says")
    separator: str | None = _unset("between cells, or `whitespace`; the most frequent of , ; tab | in the first line")
    decimal: Literal[".", ","] | None = _unset("decimal mark; a point")
    thousands: Literal[".", ",", " ", "'", "ask"] | None = _unset("mark between thousands; none")
    skip_lines: Annotated[int, Field(ge=1, le=1000)] | None = _unset("lines before the header")
    names: tuple[str, ...] | None = _unset("the columns' names, for a table without a header")
    lines_after_header: Annotated[int, Field(ge=1, le=100)] | None = _unset("between header and data, such as units")
    footer_lines: Annotated[int, Field(ge=1, le=1000)] | None = _unset("lines after the last row")
    transposed: bool | str | None = _unset("true where a column of the file is a row; or a glob of the files that are")
    sheet: str | None = _unset("sheet of a workbook, or variable of a .mat or HDF5 file; the first")
    missing_values: tuple[str, ...] | None = _unset("cells that mean: no value, such as Bad or -999")
    snapshot: Annotated[int, Field(ge=16)] | None = _unset(
        "samples of a snapshot of the contract's waveforms, where a file holds several in turn; else each file is one,"
        " or each row of a Parquet file with lists"
    )
    asset: str | None = _unset("column that names the machine; `file name` where each file is of one")
    single_asset: str | None = _unset("the machine's name, where all rows are of one and no column says so")
    time: str | None = _unset("column of the time; not needed for time_format: row")
    time_of_day: str | None = _unset("column of the time of day, where `time` holds the date")
    time_format: str | None = _unset(
        f"{', '.join(TIME_FORMATS)}, or one with % such as %d.%m.%y %H:%M; numbers in the clock's unit, or ISO 8601"
    )
    time_zone: str | None = _unset("of times without an offset, such as Europe/Berlin or +01:00; none: no changes")
    time_order: Literal["sort", "leave_out"] | None = _unset(
        "where time does not rise in a run: sort the rows, or leave out those not later than all before; refused"
    )
    tag: str | None = _unset("column of the tags' names, where each row holds one value; `columns` then names tags")
    value: str | None = _unset("column of the values, with `tag`")
    quality: str | None = _unset("column of the values' quality, with `tag`")
    good_quality: tuple[str, ...] | None = _unset("the qualities that count, as text; others are missing values")
    run: str | None = None
    subset: str | None = _unset(
        "column that names a part of the data, such as a load or a site: its figures are given apart, and"
        " `holdout.by: subset` holds out whole parts"
    )
    split: str | None = _unset("column of a split: train, test, or the number of a fold")
    columns: dict[Word, str] = Field(default={}, description="channel: column of the file, where the names differ")
    failure: str | None = Field(default=None, description="column that is true on the row of a failure")
    rul: str | None = Field(default=None, description="column that holds the RUL, instead of `failure`")
    runs_end_in_failure: bool = False
    faults: dict[Word, TableFault] = {}
    missing: Literal["refuse", "carry_forward", "carry_forward_after_first"] = Field(
        default="refuse",
        description="carry_forward repeats the run's last value; carry_forward_after_first also leaves out a run's rows"
        " before every channel had one",
    )
    spellings: Literal["join"] | None = Field(
        default=None,
        exclude_if=lambda way: way is None,
        description="join: names that differ only in case, width, blanks or zeros are one machine; else an error",
    )
    rates: tuple[Word, ...] = Field(
        default=(),
        exclude_if=lambda names: not names,
        description="channels that count up in the file and are read as their rise per unit of the clock",
    )

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

    @property
    def run_column(self) -> str | None:
        """Return the column of the run, be it of the file or of its path."""
        return self.run or ("run" if "run" in self.path_words else None)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.asset_column is None) == (self.single_asset is None):
            raise ValueError("asset: which machine a row is of must be said once; set asset, or single_asset")
        if self.time_column is None and self.time_format != "row":
            raise ValueError("time: no column is named; set time, or time_format: row")
        if self.time_format and self.time_format not in TIME_FORMATS and "%" not in self.time_format:
            raise ValueError(f"time_format: {self.time_format} is none; write {', '.join(TIME_FORMATS)} or one with %")
        if self.time_zone:
            zone_of(self.time_zone)
        if self.time_format == "row" and any(fault.spans for fault in self.faults.values()):
            raise ValueError(
                "faults: spans are of time, which rows that are counted have not; name the column of `time`"
            )
        if self.thousands == (self.decimal or "."):
            raise ValueError(f"thousands: is the decimal mark too; set decimal to the other mark than {self.thousands}")
        if (self.tag is None) != (self.value is None) or (self.quality and not self.tag):
            raise ValueError("tag: tag and value belong together, and quality to them; set both, or neither")
        if bool(self.good_quality) != bool(self.quality):
            raise ValueError("quality: quality and good_quality belong together; set both, or neither")
        if self.watermark and not self.query:
            raise ValueError("watermark: is of a query; set query, or leave it out")
        return self


class StoreSource(ContractPart):
    """Source: the twin's own history alone, exported by `foretwin history`; it also extends every other source."""

    kind: Literal["store"]


Source = Annotated[PumpSource | CmapssSource | HydraulicSource | TableSource | StoreSource, Field(discriminator="kind")]
