"""Where a twin's data comes from: the part of the contract that each source reads."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]


class Part(BaseModel):
    """A piece of the contract: frozen, and without unknown fields, so that a typo is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PumpSource(Part):
    """The simulated pump fleet."""

    kind: Literal["pump"]
    assets: Annotated[int, Field(ge=1, le=100_000)]
    seed: Annotated[int, Field(ge=0)]


class CmapssSource(Part):
    """NASA's turbofan archive."""

    kind: Literal["cmapss"]
    subset: Literal["FD001", "FD002", "FD003", "FD004"]


class HydraulicSource(Part):
    """The hydraulic test rig's archive."""

    kind: Literal["hydraulic"]


class TableFault(Part):
    """Where a table keeps one fault axis: a column, and what its values mean; other values are unknown."""

    column: str
    values: dict[str, Word]


class TableSource(Part):
    """Any CSV or Parquet file. `path` is absolute, or relative to the folder of twin.yaml."""

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


class StoreSource(Part):
    """The twin's own history alone, as `foretwin history` exports it; it joins every other source too."""

    kind: Literal["store"]


Source = Annotated[PumpSource | CmapssSource | HydraulicSource | TableSource | StoreSource, Field(discriminator="kind")]
