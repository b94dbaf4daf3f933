"""Data sources of a twin: the `source` section of the contract, one class per kind."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]


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


class TableFault(ContractPart):
    """Labels of a fault axis in a table: one column with a value per class, or one column per class (`flags`)."""

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
    holds_before: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        exclude_if=lambda time: time is None,
        description="a class also holds on the healthy and unknown rows up to so long before, in the clock's unit",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.column is None) == (not self.flags):
            raise ValueError("name one `column` with its `values`, or columns of true and false as `flags`")
        if (self.column is None) != (not self.values):
            raise ValueError("`column` and `values` belong together")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of the file that hold the labels."""
        return tuple(self.flags) if self.column is None else (self.column,)

    @property
    def classes_named(self) -> tuple[str, ...]:
        """Return the classes that cells are read as."""
        return tuple(self.values.values()) + tuple(self.flags.values())


class TableSource(ContractPart):
    """Source: any CSV or Parquet file. `path` is absolute, or relative to the folder of twin.yaml."""

    kind: Literal["table"]
    path: str
    asset: str
    time: str
    run: str | None = None
    columns: dict[Word, str] = Field(default={}, description="channel: column of the file, where the names differ")
    failure: str | None = Field(default=None, description="column that is true on the row of a failure")
    rul: str | None = Field(default=None, description="column that holds the RUL, instead of `failure`")
    runs_end_in_failure: bool = False
    faults: dict[Word, TableFault] = {}
    missing: Literal["refuse", "carry_forward"] = "refuse"
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


class StoreSource(ContractPart):
    """Source: the twin's own history alone, exported by `foretwin history`; it also extends every other source."""

    kind: Literal["store"]


Source = Annotated[PumpSource | CmapssSource | HydraulicSource | TableSource | StoreSource, Field(discriminator="kind")]
