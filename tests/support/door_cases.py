"""What one kind of input is at every door: the cases, their verdicts, and the table of them in the docs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from foretwin.contract.twin import Twin
from support.tiny_bundle import tiny_twin

TAKEN, WARNED, SET_ASIDE, REFUSED, NONE = "taken", "warned", "quarantined", "refused", "-"
SCORING = ("score FILE", "score OWN FILE", "POST /v1/score")
INGESTION = ("ingest FILE", "ingest OWN FILE", "POST .../readings", "MQTT")
DOORS = (*SCORING, *INGESTION)
BEGIN, END = "<!-- doors: begin -->", "<!-- doors: end -->"

SOURCE = {"kind": "table", "path": "x.csv", "asset": "machine", "time": "at", "columns": {"speed": "Speed [bar]"}}
TWIN = Twin.model_validate(tiny_twin("press").model_dump() | {"source": SOURCE})  # hourly, windows of 8 rows
HOURS = np.arange(1.0, 13)
OLDEST = 400.0  # h, of the machines in training
NIGHT = pd.Timestamp("2024-03-01T00:00Z")


@dataclass(frozen=True)
class Case:
    """One kind of input: how it changes good rows, and its verdict at the doors of scoring and of ingestion."""

    what: str
    scoring: str
    ingestion: str
    hours: tuple[float, ...] = tuple(HOURS)
    cells: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows
    units: tuple[tuple[str, str], ...] = ()  # what the sender says
    name: str = "{}"
    but: tuple[tuple[str, str], ...] = ()  # doors with another verdict, or at which nobody can send it

    def verdict(self, door: str) -> str:
        """What this door makes of it."""
        return dict(self.but).get(door, self.scoring if door in SCORING else self.ingestion)

    def rows(self, name: str) -> pd.DataFrame:
        """The rows of one machine: asset, time and channels."""
        values = np.random.default_rng(1).normal(size=(len(self.hours), 3)).clip(-3, 3).round(3)
        rows = pd.DataFrame({"asset": self.name.format(name), "time": self.hours})
        return self.cells(rows.assign(**dict(zip(TWIN.channel_names, values.T, strict=True))))


def _last(column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(rows: pd.DataFrame) -> pd.DataFrame:
        cells = rows[column].astype(object) if isinstance(value, str) else rows[column]
        return rows.assign(**{column: cells.where(rows.index < len(rows) - 1, value)})

    return change


def _again(shift: float, **cells: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(rows: pd.DataFrame) -> pd.DataFrame:
        return pd.concat(
            [rows, rows.tail(1).assign(time=lambda last: last["time"] + shift, **cells)], ignore_index=True
        )

    return change


def _spelt_twice(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([rows, rows.assign(asset=rows["asset"].str.lower())], ignore_index=True)


def _late(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.iloc[[*range(5), *range(6, 12), 5]].reset_index(drop=True)


OWN = (("score OWN FILE", REFUSED), ("ingest OWN FILE", REFUSED))
UNSENDABLE = (("POST .../readings", NONE), ("MQTT", NONE))
UNTOLD = (("score FILE", NONE), ("ingest FILE", NONE), *((door, NONE) for door, _ in OWN))

CASES = (
    Case("readings as the model learnt from", TAKEN, TAKEN),
    Case("a value within its limits, beyond what was seen in training", WARNED, WARNED, cells=_last("c1", 5.0)),
    Case("a value outside of its channel's limits", REFUSED, SET_ASIDE, cells=_last("c1", -2000.0)),
    Case("text for a number", REFUSED, SET_ASIDE, cells=_last("c1", "hot"), but=OWN),
    Case("a unit that is not the contract's", REFUSED, SET_ASIDE, units=(("c1", "psi"),), but=OWN),
    Case("times in another unit", REFUSED, SET_ASIDE, hours=tuple(HOURS * 60)),
    Case("times at another pace", WARNED, WARNED, hours=tuple(HOURS / 6)),
    Case("a third of the readings missing", WARNED, WARNED, hours=tuple(hour for hour in range(1, 19) if hour % 3)),
    Case("a standstill within the window", WARNED, WARNED, hours=(*HOURS[:8], *(HOURS[8:] + 300))),
    Case("a standstill longer than `clock.longest_gap`", WARNED, SET_ASIDE, hours=(*HOURS[:8], *(HOURS[8:] + 2160))),
    Case(
        "an age that no machine reached in training",
        WARNED,
        WARNED,
        hours=tuple(HOURS + OLDEST),
        but=tuple((door, NONE) for door, _ in OWN),
    ),
    Case(
        "a time before the run began", REFUSED, SET_ASIDE, hours=tuple(HOURS - 2), but=tuple((d, NONE) for d, _ in OWN)
    ),
    Case("the last reading again, its time rounded", REFUSED, TAKEN, cells=_again(1e-7)),
    Case("the last reading again with other values", REFUSED, SET_ASIDE, cells=_again(0.0, c1=0.5)),
    Case("a reading that comes late", REFUSED, TAKEN, cells=_late),
    Case("two spellings of one machine", REFUSED, SET_ASIDE, cells=_spelt_twice, name="{}-M", but=OWN),
    Case("a name that no topic could hold", REFUSED, SET_ASIDE, name="{}/1", but=UNSENDABLE),
)


def table() -> str:
    """The table of all cases as Markdown."""
    heads = [f"`{door}`" if door != "MQTT" else door for door in DOORS]
    lines = ["| | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(DOORS)]
    lines += ["| " + " | ".join([case.what, *map(case.verdict, DOORS)]) + " |" for case in CASES]
    return "\n".join(lines)
