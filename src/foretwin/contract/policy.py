"""Policy of a machine type: what data are good enough, when cases open and close, what failures cost."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from foretwin.contract.parts import ContractPart, Word

Share = Annotated[float, Field(ge=0, le=1)]


class Quality(ContractPart):
    """Limits that validation applies to the data before training."""

    min_assets: Annotated[int, Field(ge=1)] = 5
    min_failures: Annotated[int, Field(ge=0)] = Field(default=3, description="runs that were seen to end in failure")
    min_run_rows: Annotated[int, Field(ge=1)] = 2
    min_known_rul: Share = 0.5
    min_known_faults: Share = 0.5
    max_stuck_rows: Annotated[int, Field(ge=2)] | None = Field(
        default=None, description="longest stretch of one unchanged value that a sensor may show"
    )
    may_be_constant: tuple[Word, ...] = ()
    allow: tuple[Word, ...] = Field(
        default=(),
        exclude_if=lambda names: not names,
        description="channels that may tell the label by themselves, since they are known when scoring too",
    )
    max_missing: Share | None = Field(
        default=None,
        exclude_if=lambda share: share is None,
        description="largest share of the rows on which a channel that may be missing is missing; any where it is not"
        " set",
    )


class CasePolicy(ContractPart):
    """Limits at which a case opens and closes: separate, so that an estimate near a limit does not flap."""

    open_below: float | None = Field(default=None, description="open when the RUL's lower bound falls below this")
    close_above: float | None = None
    open_probability: Share = 0.8
    close_probability: Share = 0.5
    stale_after: Annotated[float, Field(gt=0)] | None = None
    new_per_hour: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        exclude_if=lambda most: most is None,
        description="more new cases than these in an hour of the fleet become one digest; 25 where it is not set",
    )

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.close_probability >= self.open_probability:
            raise ValueError("close_probability must be below open_probability")
        if (self.open_below is None) != (self.close_above is None):
            raise ValueError("open_below and close_above belong together; set both or neither")
        if self.open_below is not None and self.close_above is not None and self.close_above <= self.open_below:
            raise ValueError("close_above must exceed open_below")
        return self


class Costs(ContractPart):
    """Cost assumptions behind the key figures of a fleet; not used by models."""

    currency: Annotated[str, Field(min_length=1, max_length=10)] = "EUR"
    failure: Annotated[float, Field(ge=0)] = Field(description="of a failure that nobody expected")
    planned: Annotated[float, Field(ge=0)] = Field(description="of a repair that was planned")
    inspection: Annotated[float, Field(ge=0)] = Field(description="of a visit that finds nothing")
    failure_downtime: Annotated[float, Field(ge=0)] = Field(description="how long an unexpected failure stops it")
    planned_downtime: Annotated[float, Field(ge=0)] = Field(description="how long a planned repair stops it")
    source: str = Field(default="", description="where these figures come from")


class Runs(ContractPart):
    """What begins an asset's next run: orders alone, or also readings in which its own sender numbers it."""

    begin_by: Literal["orders", "readings"] = "orders"
