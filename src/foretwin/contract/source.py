"""Data sources of a twin: the `source` section of the contract, one class per kind."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

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
    """Column of a fault axis in a table, and the class of each value; other values are unknown."""

    column: str
    values: dict[str, Word]


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


class StoreSource(ContractPart):
    """Source: the twin's own history alone, exported by `foretwin history`; it also extends every other source."""

    kind: Literal["store"]


Source = Annotated[PumpSource | CmapssSource | HydraulicSource | TableSource | StoreSource, Field(discriminator="kind")]
