"""What is held out together: the `holdout` section of the contract."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from foretwin.contract.parts import ContractPart, unset


class Holdout(ContractPart):
    """Units that are held out, or dealt into folds, as wholes."""

    by: Literal["asset", "run", "subset", "time"] = Field(
        default="asset",
        description="asset: machines; run: lives, where few machines had several; subset: groups of runs, such as those"
        " of one load; time: stretches of each machine's rows, the latest of which is held out",
    )
    stratify: bool = Field(
        default=False,
        description="deal so that lives that ended or did not, and classes of faults, are in each part alike; always so"
        " by run and by subset",
    )
    gap: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="by time: rows left out at the beginning of each stretch, in the clock's unit"
    )
    assets: Annotated[tuple[str, ...], Field(min_length=1)] | None = unset(
        "machines that are held out, by name, rather than some that are drawn"
    )

    @model_validator(mode="after")
    def _gap_of_time(self) -> Self:
        if self.gap is not None and self.by != "time":
            raise ValueError(f"gap: stands between stretches of time, and this holds out by {self.by}; leave it out")
        if self.assets is not None and self.by in ("time", "subset"):
            raise ValueError(f"assets: are held out by asset or by run, and this holds out by {self.by}; leave it out")
        return self

    def check_columns(self, subset: str | None, split: str | None) -> None:
        """Raise ValueError where the columns of a table that name parts or a split are not those that this needs."""
        if self.by == "subset" and subset is None:
            raise ValueError("holdout: by subset needs the column that names the parts; set source.subset")
        if self.by == "time" and split is not None:
            raise ValueError("source.split: says what is held out, and `holdout: by time` too; leave one of them out")
        if self.assets is not None and split is not None:
            raise ValueError("source.split: says what is held out, and `holdout.assets` too; leave one of them out")

    @property
    def plain(self) -> bool:
        """Return whether assets are dealt at random, whatever they hold."""
        return self.by == "asset" and not self.stratify and self.assets is None
