"""How lives can be held out where machines are few, and what too few of them cannot show."""

from dataclasses import dataclass
from typing import Self

import pandas as pd

from foretwin.contract.holdout import Holdout
from foretwin.contract.twin import HEALTH, Twin
from foretwin.dataset.pieces import RowPieces
from foretwin.dataset.units import FEWEST, UNTOLD, asset_of, describe_units, join_units, name_units

ENOUGH = 20  # labelled units, of which a quarter is held out: five, the fewest that decide anything in the gate
SHARE = 0.25  # held out, where params.yaml does not say otherwise


@dataclass(frozen=True)
class LabelledUnits:
    """How many machines, lives and groups have a label, and whether the source fixed a test set, or the folds.

    `across` is whether it puts lives of one machine into different parts; `are` says in sentences what they are.
    """

    asset: int
    run: int
    subset: int
    fixed: bool
    across: bool = False
    are: str = "labelled "

    @classmethod
    def of(cls, rows: pd.DataFrame | RowPieces, contract: Twin) -> Self:
        """Count them in one pass."""
        pieces = RowPieces.of(rows) if isinstance(rows, pd.DataFrame) else rows
        lives = name_units(pieces, Holdout(by="run"), SHARE, 1)
        units = join_units(describe_units(piece, contract.axes) for piece in lives)
        known = units[units["labelled"]]
        assets = {asset_of(str(unit)) for unit in known.index}
        places = units["place"].groupby([asset_of(str(unit)) for unit in units.index]).nunique()
        fixed = bool((units["place"] != UNTOLD).any())
        presumed = contract.rul is None and contract.axes == (HEALTH,) and contract.health is not None
        groups, across = int(known["group"].nunique()), bool((places > 1).any())
        return cls(len(assets), len(known), groups, fixed, across, "" if presumed else cls.are)


def propose_holdout(labelled: LabelledUnits) -> tuple[Holdout, str]:
    """Return what should be held out as a whole, and why; an empty reason where there are machines enough."""
    assets, lives, parts = labelled.asset, labelled.run, labelled.subset
    several = _count(lives, f"{labelled.are}life", f"{labelled.are}lives")
    found = Holdout(), ""
    if labelled.across:
        found = Holdout(by="run"), "the split puts lives of one machine into different parts: each is held out whole"
    elif assets >= ENOUGH or labelled.fixed:
        pass
    elif parts >= FEWEST and lives >= 2 * parts:
        alike = "those of one part are alike: each part is held out whole"
        found = Holdout(by="subset"), f"{several} lie in {parts} parts of the data, and {alike}"
    elif lives >= FEWEST and lives >= 2 * assets:
        found = Holdout(by="run"), f"{_count(assets, 'machine')} had {several}: each life is held out whole"
    elif assets >= FEWEST:
        dealt = "they are dealt by how their lives ended"
        found = Holdout(stratify=True), f"{assets} {labelled.are}machines are few: {dealt}"
    elif lives:
        found = Holdout(by="time"), f"{several} cannot be held out: the latest quarter of each machine's rows is"
    return found


def few_units_hints(labelled: LabelledUnits, holdout: Holdout) -> list[str]:
    """Return a sentence where so few labelled units would be held out that their figures decide little."""
    if labelled.fixed:
        return []
    if holdout.by == "time":
        if not labelled.are or not 0 < labelled.run < FEWEST:
            return []
        few = f"holdout: of {_count(labelled.run, 'labelled life', 'labelled lives')} none can be held out whole"
        return [
            f"{few}, {FEWEST} are the fewest: figures say how what was learnt holds later in the same lives, nothing"
            " about another one"
        ]
    found: int = getattr(labelled, holdout.by)
    what = {"asset": "machines", "run": "lives", "subset": "groups"}[holdout.by]
    if found < FEWEST:
        few = f"holdout: {found} {labelled.are}{what}, and {FEWEST} are the fewest that can be trained on and measured"
        return [f"{few}: add some, or hold out by run or by time"]
    held_out = max(1, round(SHARE * found)) if holdout.assets is None else len(holdout.assets)
    if found >= ENOUGH:
        return []
    return [
        f"holdout: of {found} {labelled.are}{what} {held_out} would be held out: a model can be trained, but figures of"
        f" {held_out} tell little, and the gate compares by them; {ENOUGH} are enough"
    ]


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
