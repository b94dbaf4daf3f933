"""How lives can be held out where machines are few, and what too few of them cannot show."""

from dataclasses import dataclass
from typing import Self

import pandas as pd

from foretwin.contract.holdout import Holdout
from foretwin.contract.twin import Twin
from foretwin.dataset.pieces import RowPieces
from foretwin.dataset.units import FEWEST, asset_of, describe_units, join_units, name_units

ENOUGH = 20  # labelled units, of which a quarter is held out: five, the fewest that decide anything in the gate
SHARE = 0.25  # held out, where params.yaml does not say otherwise


@dataclass(frozen=True)
class LabelledUnits:
    """How many machines, lives and groups have a label, and whether the source fixed a test set."""

    asset: int
    run: int
    subset: int
    fixed: bool

    @classmethod
    def of(cls, rows: pd.DataFrame | RowPieces, contract: Twin) -> Self:
        """Count them in one pass."""
        pieces = RowPieces.of(rows) if isinstance(rows, pd.DataFrame) else rows
        lives = name_units(pieces, Holdout(by="run"), SHARE, 1)
        units = join_units(describe_units(piece, contract.axes) for piece in lives)
        known = units[units["labelled"]]
        assets = {asset_of(str(unit)) for unit in known.index}
        return cls(len(assets), len(known), int(known["group"].nunique()), bool(units["fixed"].any()))


def propose_holdout(labelled: LabelledUnits) -> tuple[Holdout, str]:
    """Return what should be held out as a whole, and why; an empty reason where there are machines enough."""
    assets, lives = labelled.asset, labelled.run
    if assets >= ENOUGH:
        return Holdout(), ""
    if lives >= FEWEST and lives >= 2 * assets:
        return Holdout(by="run"), f"{_count(assets, 'machine')} had {lives} labelled lives: each life is held out whole"
    if assets >= FEWEST:
        return Holdout(stratify=True), f"{assets} labelled machines are few: they are dealt by how their lives ended"
    if lives:
        what = f"{_count(lives, 'labelled life', 'labelled lives')} cannot be held out"
        return Holdout(by="time"), f"{what}: the latest quarter of each machine's rows is"
    return Holdout(), ""


def few_units_hints(labelled: LabelledUnits, holdout: Holdout) -> list[str]:
    """Return a sentence where so few labelled units would be held out that their figures decide little."""
    if holdout.by == "time" or labelled.fixed:
        return []
    found: int = getattr(labelled, holdout.by)
    what = {"asset": "machines", "run": "lives", "subset": "groups"}[holdout.by]
    if found < FEWEST:
        few = f"holdout: {found} labelled {what}, and {FEWEST} are the fewest that can be trained on and measured"
        return [f"{few}: add some, or hold out by run or by time"]
    held_out = max(1, round(SHARE * found))
    if found >= ENOUGH:
        return []
    return [
        f"holdout: of {found} labelled {what} {held_out} would be held out: a model can be trained, but figures of"
        f" {held_out} tell little, and the gate compares by them; {ENOUGH} are enough"
    ]


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
