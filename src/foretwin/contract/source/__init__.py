"""Data sources of a twin: the `source` section of the contract, one class per kind."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from foretwin.contract.parts import ContractPart, Word, unset
from foretwin.contract.source.side_tables import AssetTable, EventLog, FailureLog, FileSource, MaintenanceLog, RuleText

EVERY_MACHINE = "every machine"  # the name in a table beside the readings whose rows are of all of them


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
    key: str | None = unset("name in a JSON file under which the spans lie, as pairs of times or single times")
    begin: str | None = unset("column of a table: the first moment of a span")
    end: str | None = unset("column of a table: the last moment; without it, a span is the moment `begin`")
    asset: str | None = unset("column of a table: the machine; without it, every span is of all machines")
    label: str | None = unset("column of a table: what holds within the span, which `values` reads")
    means: Word | None = unset("instead of `label`: the class that holds within every span")

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
    spans: LabelSpans | None = unset("instead of `column`: spans of time in another file; outside, the first class")
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


class TableKind(ContractPart):
    """The kind of a table, which comes first among its fields."""

    kind: Literal["table"]


class TableSource(FileSource, TableKind):
    """Source: a user's table, as one file, many, or a query. Fields that are not set do not change the digest."""

    snapshot: Annotated[int, Field(ge=16)] | None = unset(
        "samples of a snapshot of the contract's waveforms, where a file holds several in turn; else each file is one,"
        " or each row of a Parquet file with lists"
    )
    time_order: Literal["sort", "leave_out"] | None = unset(
        "where time does not rise in a run: sort the rows, or leave out those not later than all before; refused"
    )
    tag: str | None = unset("column of the tags' names, where each row holds one value; `columns` then names tags")
    value: str | None = unset("column of the values, with `tag`")
    quality: str | None = unset("column of the values' quality, with `tag`")
    good_quality: tuple[str, ...] | None = unset("the qualities that count, as text; others are missing values")
    run: str | None = None
    subset: str | None = unset(
        "column that names a part of the data, such as a load or a site: its figures are given apart, and"
        " `holdout.by: subset` holds out whole parts"
    )
    split: str | None = unset("column of a split: train, test, or the number of a fold")
    columns: dict[Word, str] = Field(default={}, description="channel: column of the file, where the names differ")
    failure: str | None = Field(default=None, description="column that is true on the row of a failure")
    rul: str | None = Field(default=None, description="column that holds the RUL, instead of `failure`")
    runs_end_in_failure: bool = False
    faults: dict[Word, TableFault] = Field(default={})
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

    failures: FailureLog | None = unset("table of failures, each of which ends a life, in the place of `failure`")
    maintenance: MaintenanceLog | None = unset("table of maintenance, whose replacements end lives too")
    parts: tuple[str, ...] | None = unset(
        "the parts whose failures and replacements end a life, where the twin is one of these alone; else all do"
    )
    reached: RuleText | None = unset(
        "rule by which a life ends, such as `capacity < 1.4`: of a column, or of a channel that quality.allow names"
    )
    events: EventLog | None = unset("table of events, of which channels are made")
    assets: AssetTable | None = unset("table with a row per machine, of which channels are made")

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
        if self.time_format == "row" and any(fault.spans for fault in self.faults.values()):
            raise ValueError(
                "faults: spans are of time, which rows that are counted have not; name the column of `time`"
            )
        if (self.tag is None) != (self.value is None) or (self.quality and not self.tag):
            raise ValueError("tag: tag and value belong together, and quality to them; set both, or neither")
        if bool(self.good_quality) != bool(self.quality):
            raise ValueError("quality: quality and good_quality belong together; set both, or neither")
        return self

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if not self.tells_ends:
            if self.parts:
                raise ValueError("parts: are of failures and maintenance; name one of these tables, or leave it out")
            return self
        columns = {"failure": self.failure, "rul": self.rul, "runs_end_in_failure": self.runs_end_in_failure or None}
        excluded = ("rul", "runs_end_in_failure", *(["failure"] if self.failures else []))
        for name in excluded:
            if columns[name] is not None:
                raise ValueError(f"{name}: failures, maintenance or `reached` say how lives end; leave one of both out")
        if self.run_column and (self.failures or self.maintenance):
            raise ValueError("run: lives are cut from failures and maintenance; leave one of both out")
        return self

    @property
    def side_tables(self) -> dict[str, FileSource]:
        """Return the tables beside the readings that are named, by their field."""
        found = {name: getattr(self, name) for name in ("failures", "maintenance", "events", "assets")}
        return {name: table for name, table in found.items() if table is not None}

    @property
    def made_channels(self) -> tuple[str, ...]:
        """Return the channels that are made of tables beside the readings, and are no columns of the file."""
        events = (*self.events.counts, *self.events.since) if self.events else ()
        return (*events, *(self.assets.columns if self.assets else ()))

    @property
    def tells_ends(self) -> bool:
        """Return whether the source says of each life how it ended."""
        return bool(self.failures or self.maintenance or self.reached)


class StoreSource(ContractPart):
    """Source: the twin's own history alone, exported by `foretwin history`; it also extends every other source."""

    kind: Literal["store"]


Source = Annotated[PumpSource | CmapssSource | HydraulicSource | TableSource | StoreSource, Field(discriminator="kind")]


def as_table(file: FileSource, zone: str | None = None) -> TableSource:
    """Return a file beside the readings as a source whose rows can be read; `zone` is that of times without one."""
    fields: dict[str, object] = {name: getattr(file, name) for name in FileSource.model_fields}
    if file.asset_column is None and file.single_asset is None:
        fields["single_asset"] = EVERY_MACHINE
    if file.time_column is None:
        fields["time_format"] = "row"
    return TableSource.model_validate({"kind": "table", **fields, "time_zone": file.time_zone or zone})
