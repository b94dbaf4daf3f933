"""How lives can be held out where machines are few, and what too few of them cannot show."""

import pandas as pd

from foretwin.contract.holdout import Holdout
from foretwin.contract.twin import Twin
from foretwin.dataset.units import FEWEST, describe_units

ENOUGH = 20  # labelled units, of which a quarter is held out: five, the fewest that decide anything in the gate
SHARE = 0.25  # held out, where params.yaml does not say otherwise


def labelled_units(rows: pd.DataFrame, contract: Twin, by: str) -> int:
    """Count the machines (`asset`), lives (`run`) or groups (`subset`) with a label in canonical rows."""
    named = rows if by == "asset" else rows.assign(asset=rows["asset"] + "#" + rows["run"].astype("str"))
    units = describe_units(named, contract.axes)
    labelled = units[units["labelled"]]
    return int(labelled["group"].nunique()) if by == "subset" else len(labelled)


def propose_holdout(rows: pd.DataFrame, contract: Twin) -> tuple[Holdout, str]:
    """Return what should be held out as a whole, and why; an empty reason where there are machines enough."""
    assets, lives = (labelled_units(rows, contract, by) for by in ("asset", "run"))
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


def few_units_hints(rows: pd.DataFrame, contract: Twin) -> list[str]:
    """Return a sentence where so few labelled units would be held out that their figures decide little."""
    if contract.holdout.by == "time" or (rows["fixed_split"] == "test").any():
        return []
    found = labelled_units(rows, contract, contract.holdout.by)
    what = {"asset": "machines", "run": "lives", "subset": "groups"}[contract.holdout.by]
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
