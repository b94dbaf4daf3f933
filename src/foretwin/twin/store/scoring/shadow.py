"""Shadow scores: of a challenger in shadow, or of the champion on a pilot's assets, and their comparison."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import sqrt
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, and_, func, select

from foretwin.twin.store.aging.hours import archived_until
from foretwin.twin.store.scoring.scores import Score, ScoringModel, as_stored, models
from foretwin.twin.store.tables import assets, readings, scores, shadow_scores
from foretwin.twin.store.tables import models as models_table
from foretwin.twin.store.telemetry.history import failed_runs, findings

AT_ONCE = 10_000
PERCENTILES = (5, 25, 50, 75, 95)
MOST_ASSETS = 10  # of which the disagreement is named

# Written by hand, as the scores are.
KEY = ("asset", "run", "time", "model")
SAID = ("rul", "rul_low", "rul_high", "diagnosis")
COLUMNS = (*KEY, "scored_at", *SAID)
INSERT = f"INSERT INTO shadow_scores ({', '.join(COLUMNS)})"
REPLACE = f"ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in ("scored_at", *SAID)
)
ADD_SQLITE = f"{INSERT} VALUES ({', '.join('?' * len(COLUMNS))}) {REPLACE}"
ADD_POSTGRESQL = f"""{INSERT}
    SELECT asset, run, time, model, scored_at, rul, rul_low, rul_high, diagnosis::json
    FROM unnest(%b::int4[], %b::int4[], %b::float8[], %b::int4[], %b::timestamptz[], %b::float8[], %b::float8[],
        %b::float8[], %b::text[]) AS new ({", ".join(COLUMNS)})
    {REPLACE}"""  # noqa: S608 - of constants alone

SAME_READING = and_(
    *(scores.c[name] == shadow_scores.c[name] for name in KEY[:3]), scores.c.model != shadow_scores.c.model
)


@dataclass(frozen=True)
class Realised:
    """Errors of the RUL where the failure has been seen since, in the contract's unit: root of the mean square."""

    runs: int
    scores: int
    served: float
    beside: float


@dataclass(frozen=True)
class Disagreement:
    """An asset on which two models disagree."""

    asset: str
    scores: int
    rul: float | None  # mean of the absolute difference
    diagnosis: float | None  # share of answers that differ on some axis


@dataclass(frozen=True)
class Comparison:
    """Two models on the same readings: the one served and the one in shadow.

    Differences are what was said beside less what was served. What the twin does not predict is None.
    """

    served: ScoringModel
    beside: ScoringModel
    scores: int
    assets: int
    rul_mean: float | None
    rul_mean_absolute: float | None
    rul_percentiles: dict[int, float]  # of the difference; empty where there is no RUL
    diagnoses_differ: float | None  # share of the answers that differ on some axis that both have
    realised: Realised | None
    largest: tuple[Disagreement, ...]  # the largest first


@dataclass
class _Tally:
    """Sums over the scores of two models."""

    scores: int = 0
    lives: int = 0  # answers with an RUL
    rul: float = 0.0
    absolute: float = 0.0
    diagnoses: int = 0  # answers with a diagnosis
    differ: int = 0

    def add(self, difference: float | None, differs: bool | None) -> None:
        self.scores += 1
        if difference is not None:
            self.lives += 1
            self.rul += difference
            self.absolute += abs(difference)
        if differs is not None:
            self.diagnoses += 1
            self.differ += differs

    @property
    def mean(self) -> float | None:
        return self.rul / self.lives if self.lives else None

    @property
    def mean_absolute(self) -> float | None:
        return self.absolute / self.lives if self.lives else None

    @property
    def share(self) -> float | None:
        return self.differ / self.diagnoses if self.diagnoses else None


@dataclass
class _Pair:
    """The scores of two models read so far; grows with the number of assets alone."""

    every: _Tally = field(default_factory=_Tally)
    by_asset: defaultdict[int, _Tally] = field(default_factory=lambda: defaultdict(_Tally))
    ended: set[tuple[int, int]] = field(default_factory=set)  # runs with errors
    errors: int = 0
    served: float = 0.0  # sums of squares
    beside: float = 0.0

    def add(self, row: Row[Any], true: float | None) -> None:
        """Add two scores of one reading; `true` is its RUL, where known."""
        both = row.rul is not None and row.rul_beside is not None
        difference = row.rul_beside - row.rul if both else None
        differs = _differ(row.diagnosis, row.diagnosis_beside)
        self.every.add(difference, differs)
        self.by_asset[row.asset].add(difference, differs)
        if both and true is not None:
            self.ended.add((row.asset, row.run))
            self.errors += 1
            self.served += (row.rul - true) ** 2
            self.beside += (row.rul_beside - true) ** 2

    def realised(self) -> Realised | None:
        """Return the errors, if there are any."""
        if not self.errors:
            return None
        served, beside = sqrt(self.served / self.errors), sqrt(self.beside / self.errors)
        return Realised(len(self.ended), self.errors, served, beside)


def add_shadow_scores(connection: Connection, found: Sequence[Score]) -> None:
    """Keep what was said beside; what was there already for the same reading, by the same model, is replaced."""
    if not found:
        return
    once = {(score.asset, score.run, score.time, score.model): score for score in found}
    moments = as_stored({score.scored_at for score in found}, connection, shadow_scores.c.scored_at)
    rows = [
        (*key, moments[one.scored_at], one.rul, one.rul_low, one.rul_high, orjson.dumps(one.diagnosis).decode())
        for key, one in once.items()
    ]
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(ADD_POSTGRESQL, tuple(list(column) for column in zip(*rows, strict=True)))
    else:
        connection.exec_driver_sql(ADD_SQLITE, rows)


def comparison(
    connection: Connection, twin: str, since: datetime, until: datetime, cap: float | None = None
) -> list[Comparison]:
    """Compare every two models of a twin that scored the same readings from `since` up to and with `until`.

    `cap` is the longest life that the models tell apart: a longer one counts as that much where errors are realised,
    which is where a run has ended in a failure. Memory grows with the number of assets, not of scores.
    """
    pairs: defaultdict[tuple[int, int], _Pair] = defaultdict(_Pair)
    of_twin = select(models_table.c.id).where(models_table.c.twin == twin)
    chosen = shadow_scores.c.model.in_(of_twin) & shadow_scores.c.scored_at.between(since, until)
    if connection.execute(select(shadow_scores.c.asset).where(chosen).limit(1)).first() is None:
        return []  # a twin without a trial: how its runs ended need not be looked up
    failed = _failures(connection, twin)
    query = select(
        *(scores.c[name] for name in ("model", "asset", "run", "time", "rul", "diagnosis")),
        *(shadow_scores.c[name].label(f"{name}_beside") for name in ("model", "rul", "diagnosis")),
    )
    query = query.join(shadow_scores, SAME_READING).where(chosen)
    for row in connection.execute(query.execution_options(yield_per=AT_ONCE)):
        end = failed.get((row.asset, row.run))
        true = None if end is None or row.time > end else end - row.time
        pairs[row.model, row.model_beside].add(row, true if true is None or cap is None else min(true, cap))
    known = models(connection, {number for both in pairs for number in both})
    return [_compared(connection, known, both, pair, chosen) for both, pair in sorted(pairs.items())]


def _compared(
    connection: Connection,
    known: Mapping[int, ScoringModel],
    both: tuple[int, int],
    pair: _Pair,
    chosen: ColumnElement[bool],
) -> Comparison:
    every, (served, beside) = pair.every, both
    mine = chosen & (scores.c.model == served) & (shadow_scores.c.model == beside)
    return Comparison(
        served=known[served],
        beside=known[beside],
        scores=every.scores,
        assets=len(pair.by_asset),
        rul_mean=every.mean,
        rul_mean_absolute=every.mean_absolute,
        rul_percentiles=_percentiles(connection, mine, every.lives),
        diagnoses_differ=every.share,
        realised=pair.realised(),
        largest=_largest(connection, pair.by_asset),
    )


def _percentiles(connection: Connection, chosen: ColumnElement[bool], count: int) -> dict[int, float]:
    """Return percentiles of `count` differences of the RUL: the database sorts them, so that memory stays bounded."""
    if count == 0:
        return {}
    difference = shadow_scores.c.rul - scores.c.rul
    ranked = select(difference.label("difference"), func.row_number().over(order_by=difference).label("rank"))
    ranked = ranked.join_from(scores, shadow_scores, SAME_READING).where(chosen, difference.is_not(None))
    inner = ranked.subquery()
    ranks = {percent: 1 + (count - 1) * percent // 100 for percent in PERCENTILES}
    wanted = select(inner.c.rank, inner.c.difference).where(inner.c.rank.in_(set(ranks.values())))
    found = {row.rank: row.difference for row in connection.execute(wanted)}
    return {percent: found[rank] for percent, rank in ranks.items()}


def _largest(connection: Connection, by_asset: Mapping[int, _Tally]) -> tuple[Disagreement, ...]:
    """Return the assets with the largest disagreement, by RUL, then by diagnosis."""
    order = sorted(by_asset, key=lambda one: (-(by_asset[one].mean_absolute or 0), -(by_asset[one].share or 0), one))
    chosen = order[:MOST_ASSETS]
    named = select(assets.c.id, assets.c.name).where(assets.c.id.in_(chosen))
    names = {row.id: row.name for row in connection.execute(named)}
    tallies = ((names[number], by_asset[number]) for number in chosen)
    return tuple(Disagreement(name, one.scores, one.mean_absolute, one.share) for name, one in tallies)


def _failures(connection: Connection, twin: str) -> dict[tuple[int, int], float]:
    """Return (asset, run) -> time of the last reading before the failure that ended the run, as labels have it."""
    failed = {}
    for (asset, run), time in failed_runs(findings(connection, twin)).items():
        of_run = (readings.c.asset == asset) & (readings.c.run == run) & (readings.c.time <= time)
        stored = connection.execute(select(func.max(readings.c.time)).where(of_run)).scalar()
        ends = [end for end in (stored, archived_until(connection, asset, run, time)) if end is not None]
        if ends:
            failed[asset, run] = max(ends)
    return failed


def _differ(one: Mapping[str, str], other: Mapping[str, str]) -> bool | None:
    """Whether two diagnoses differ on an axis that both have; None where there is no such axis."""
    if one == other:
        return False if one else None
    axes = one.keys() & other.keys()
    return any(one[axis] != other[axis] for axis in axes) if axes else None
