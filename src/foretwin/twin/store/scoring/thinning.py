"""Thin out scores that have been there for a while: those stay that told something new, and the newest.

Scores are written as they are made, and looked at later, many of an asset together: the loop does not wait for it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update

from foretwin.contract.twin import Twin
from foretwin.twin.store.aging.holds import held_assets
from foretwin.twin.store.scoring.probabilities import unpack_values
from foretwin.twin.store.tables import assets, scores

NEWEST = 2  # that always stay: the answer of now, and the one that a case may refer to
COUNTED = re.compile(r": \d.*")  # what a warning says beyond its kind, where that is a count
SAID = ("rul", "rul_low", "rul_high", "layout", "probabilities", "diagnosis", "warnings")
COLUMNS = tuple(scores.c[name] for name in ("asset", "run", "time", "model", "scored_at", *SAID))
KEY_NAMES = ("asset", "run", "time", "model")
_PLACE: tuple[Any, ...] = tuple(scores.c[name] == bindparam(f"of_{name}") for name in KEY_NAMES)
KEEP = update(scores).where(*_PLACE).values(kept=True)
_FIRST: Any = bindparam("first_time")
_LAST: Any = bindparam("last_time")
_UNKEPT = (scores.c.kept.is_(False), scores.c.time >= _FIRST, scores.c.time <= _LAST)
DROP = delete(scores).where(*_PLACE[:2], *_UNKEPT)


@dataclass(frozen=True)
class ThinningRule:
    """By how much a score must differ from the last one kept, and after how long it need not."""

    rul: float  # in the contract's unit, of the RUL or an end of its interval
    probability: float  # of any class
    longest_gap: timedelta


def rule_of(contract: Twin) -> ThinningRule | None:
    """Return the rule of a contract; None where all scores are kept."""
    asked = contract.retention.scores
    if asked.keep == "all":
        return None
    cap = contract.rul.cap if contract.rul else 0.0
    return ThinningRule(asked.rul_change * cap, asked.probability_change, timedelta(minutes=asked.longest_gap))


def thick_assets(connection: Connection, twin: str, most: int, fewest: int) -> list[int]:
    """Return at most so many assets, none of them held, with at least `fewest` scores that nobody has looked at."""
    query = select(scores.c.asset).join(assets, assets.c.id == scores.c.asset)
    query = query.where(assets.c.twin == twin, ~scores.c.kept, scores.c.asset.not_in(held_assets()))
    query = query.group_by(scores.c.asset)
    return list(connection.execute(query.having(func.count() >= fewest).limit(most)).scalars())


def thin_out(connection: Connection, asset_ids: Iterable[int], rule: ThinningRule) -> int:
    """Keep for good what told something new of these assets, and delete the rest; return how many that were.

    The newest two of an asset are not looked at yet. The first and the last score of a run stay.
    """
    kept: list[dict[str, Any]] = []
    dropped: list[dict[str, Any]] = []
    for asset in asset_ids:
        rows = _unkept(connection, asset)
        newest = {(row.run, row.time) for row in rows[-NEWEST:]}
        older = [row for row in rows if (row.run, row.time) not in newest]
        for run in dict.fromkeys(row.run for row in older):
            mine = [row for row in older if row.run == run]
            is_over = all(of > run for of, _ in newest)
            telling = _telling(_last_kept(connection, asset, run, mine[0].time), mine, rule, is_over)
            kept += [{f"of_{name}": getattr(row, name) for name in KEY_NAMES} for row in telling]
            span = {"first_time": mine[0].time, "last_time": mine[-1].time}
            dropped.append({"of_asset": asset, "of_run": run, **span})
    if kept:
        connection.execute(KEEP, kept)
    return connection.execute(DROP, dropped).rowcount if dropped else 0


def keep_score(connection: Connection, asset: int, run: int, time: float) -> None:
    """Keep the scores of a reading for good: a case refers to them."""
    mine = (scores.c.asset == asset, scores.c.run == run, scores.c.time == time, scores.c.kept.is_(False))
    connection.execute(update(scores).where(*mine).values(kept=True))


def _unkept(connection: Connection, asset: int) -> Sequence[Any]:
    """Return the asset's scores that nobody has looked at, in order."""
    query = select(*COLUMNS).where(scores.c.asset == asset, ~scores.c.kept)
    return connection.execute(query.order_by(scores.c.run, scores.c.time, scores.c.scored_at)).all()


def _last_kept(connection: Connection, asset: int, run: int, before: float) -> Any:
    """Return the last score kept of a run before a time; None where there is none."""
    query = select(*COLUMNS).where(scores.c.asset == asset, scores.c.run == run, scores.c.time < before, scores.c.kept)
    return connection.execute(query.order_by(scores.c.time.desc(), scores.c.scored_at.desc()).limit(1)).first()


def _telling(last: Any, rows: Sequence[Any], rule: ThinningRule, is_over: bool) -> list[Any]:
    """Return the scores of a run, in order, that told something new after the `last` one kept."""
    found = []
    for row in rows:
        if last is None or _tells(last, row, rule):
            found.append(row)
            last = row
    if is_over and rows[-1] is not last:
        found.append(rows[-1])
    return found


def _tells(before: Any, now: Any, rule: ThinningRule) -> bool:
    """Whether a score tells something that the last one kept did not."""
    if before.model != now.model or before.layout != now.layout or before.diagnosis != now.diagnosis:
        return True
    if now.scored_at - before.scored_at >= rule.longest_gap:
        return True
    if before.warnings != now.warnings and _told(before.warnings) != _told(now.warnings):
        return True
    for one, other in ((before.rul, now.rul), (before.rul_low, now.rul_low), (before.rul_high, now.rul_high)):
        if one is not other and (one is None or other is None or abs(one - other) > rule.rul):
            return True
    pairs = zip(unpack_values(before.probabilities), unpack_values(now.probabilities), strict=True)
    return any(abs(p - q) > rule.probability for p, q in pairs)


def _told(warnings: Sequence[str]) -> list[str]:
    """Return warnings as they are compared: of one that counts, as `short_history: 49 of 60 rows`, its kind."""
    return [COUNTED.sub("", warning) for warning in warnings]
