"""Keep the scores that tell something new: the newest of an asset takes the place of one before it that does not."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, bindparam, delete, update

from foretwin.contract.twin import Twin
from foretwin.twin.store.scoring.probabilities import unpack_values
from foretwin.twin.store.tables import scores

ScoreKey = tuple[int, int, float, int]  # asset, run, time, model
RunKey = tuple[int, int]  # asset, run
# Of each run the last score kept, by a few steps of the primary key.
LAST_KEPT = """SELECT held.asset, held.run, held.model, held.scored_at, held.rul, held.rul_low, held.rul_high,
        held.layout, held.probabilities, held.diagnosis{text}, held.warnings{text}
    FROM {wanted} JOIN scores AS held ON held.asset = wanted.asset AND held.run = wanted.run AND held.kept
        AND held.time = (SELECT kept.time FROM scores AS kept WHERE kept.asset = wanted.asset AND kept.run = wanted.run
            AND kept.kept ORDER BY kept.time DESC LIMIT 1)
    ORDER BY held.asset, held.run, held.scored_at"""
LAST_KEPT_SQLITE = LAST_KEPT.format(
    text="",
    wanted="(SELECT json_extract(value, '$[0]') AS asset, json_extract(value, '$[1]') AS run FROM json_each(?))"
    " AS wanted",
)
LAST_KEPT_POSTGRESQL = LAST_KEPT.format(text="::text", wanted="unnest(%b::int4[], %b::int4[]) AS wanted (asset, run)")
# By the index of those that make room.
STANDING = "SELECT asset, run, time, model FROM scores WHERE NOT kept AND asset {among} ORDER BY asset, run, time"
STANDING_SQLITE = STANDING.format(among="IN (SELECT value FROM json_each(?))")
STANDING_POSTGRESQL = STANDING.format(among="= ANY(%b::int4[])")
KEY_NAMES = ("asset", "run", "time", "model")
_PLACE: tuple[Any, ...] = tuple(scores.c[name] == bindparam(f"of_{name}") for name in KEY_NAMES)
COUNTED = re.compile(r": \d.*")  # what a warning says beyond its kind, where that is a count
DROP = delete(scores).where(*_PLACE)
KEEP = update(scores).where(*_PLACE).values(kept=True)


@dataclass(frozen=True)
class ThinningRule:
    """By how much a score must differ from the last one kept, and after how long it need not."""

    rul: float  # in the contract's unit, of the RUL or an end of its interval
    probability: float  # of any class
    longest_gap: timedelta


class StoredContent(NamedTuple):
    """What a score says, as the driver writes and reads it; diagnosis and warnings are JSON."""

    model: int
    scored_at: Any
    rul: float | None
    rul_low: float | None
    rul_high: float | None
    layout: int
    probabilities: bytes
    diagnosis: str
    warnings: str


def rule_of(contract: Twin) -> ThinningRule | None:
    """Return the rule of a contract; None where all scores are kept."""
    asked = contract.retention.scores
    if asked.keep == "all":
        return None
    cap = contract.rul.cap if contract.rul else 0.0
    return ThinningRule(asked.rul_change * cap, asked.probability_change, timedelta(minutes=asked.longest_gap))


def thin_out(
    connection: Connection, found: Sequence[tuple[ScoreKey, StoredContent]], rule: ThinningRule
) -> dict[ScoreKey, bool]:
    """Return which of these new scores to write, and whether for good; delete what makes room for them.

    The newest of an asset and the one before it are always there: of those the next ones take the place. What is
    newest of an earlier run was the last word about that, and stays.
    """
    kept_last = _last_kept(connection, {key[:2] for key, _ in found})
    standing = _standing(connection, sorted({key[0] for key, _ in found}))
    gap: Any = rule.longest_gap if connection.dialect.name == "postgresql" else rule.longest_gap.total_seconds() * 1e6
    written: dict[ScoreKey, bool] = {}
    replaced: list[ScoreKey] = []
    for key, said in sorted(found):
        asset, place = key[0], key[:2]
        before = kept_last.get(place)
        if before is None:
            _execute(connection, KEEP, [one for one in standing.pop(asset, []) if one[1] < key[1]][-1:])
        mine = standing.get(asset, [])
        older = [one for one in mine if one != key and one[1:3] <= key[1:3]]
        replaced += older[:-1]
        rest = [*older[-1:], *(one for one in mine if one not in older and one != key)]
        written[key] = before is None or _tells(before, said, rule, gap)
        if written[key]:
            kept_last[place] = said
        else:
            rest.append(key)
        standing[asset] = rest
    for key in replaced:
        written.pop(key, None)
    _execute(connection, DROP, replaced)
    return written


def keep_score(connection: Connection, asset: int, run: int, time: float) -> None:
    """Keep the scores of a reading for good: a case refers to them."""
    mine = (scores.c.asset == asset, scores.c.run == run, scores.c.time == time, scores.c.kept.is_(False))
    connection.execute(update(scores).where(*mine).values(kept=True))


def _last_kept(connection: Connection, wanted: Iterable[RunKey]) -> dict[RunKey, StoredContent]:
    """Return the last score kept of each run, where there is one."""
    places = sorted(wanted)
    if connection.dialect.name == "postgresql":
        rows = _raw(connection, LAST_KEPT_POSTGRESQL, tuple(map(list, zip(*places, strict=True))))
    else:
        rows = _raw(connection, LAST_KEPT_SQLITE, (orjson.dumps(places).decode(),))
    return {(asset, run): StoredContent(*said) for asset, run, *said in rows}


def _standing(connection: Connection, asset_ids: list[int]) -> dict[int, list[ScoreKey]]:
    """Return of each asset the keys of those that make room, the oldest first."""
    if connection.dialect.name == "postgresql":
        rows = _raw(connection, STANDING_POSTGRESQL, (asset_ids,))
    else:
        rows = _raw(connection, STANDING_SQLITE, (orjson.dumps(asset_ids).decode(),))
    found: dict[int, list[ScoreKey]] = {}
    for key in rows:
        found.setdefault(key[0], []).append(key)
    return found


def _raw(connection: Connection, statement: str, parameters: tuple[Any, ...]) -> list[Any]:
    """Return rows as the driver gives them: SQLAlchemy's own take longer than the query."""
    cursor: Any = connection.exec_driver_sql(statement, parameters).cursor
    rows: list[Any] = cursor.fetchall()
    return rows


def _tells(before: StoredContent, now: StoredContent, rule: ThinningRule, gap: Any) -> bool:
    """Whether a score tells something that the last one kept did not."""
    if before.model != now.model or before.layout != now.layout or before.diagnosis != now.diagnosis:
        return True
    if now.scored_at - before.scored_at >= gap:
        return True
    if before.warnings != now.warnings and _told(before.warnings) != _told(now.warnings):
        return True
    for one, other in ((before.rul, now.rul), (before.rul_low, now.rul_low), (before.rul_high, now.rul_high)):
        if one is not other and (one is None or other is None or abs(one - other) > rule.rul):
            return True
    if before.probabilities == now.probabilities:
        return False
    pairs = zip(unpack_values(before.probabilities), unpack_values(now.probabilities), strict=True)
    return max(abs(p - q) for p, q in pairs) > rule.probability


def _told(warnings: str) -> list[str]:
    """Return warnings as they are compared: of one that counts, as `short_history: 49 of 60 rows`, its kind."""
    return [COUNTED.sub("", warning) for warning in orjson.loads(warnings)]


def _execute(connection: Connection, statement: Any, keys: list[ScoreKey]) -> None:
    if keys:
        names = [f"of_{name}" for name in KEY_NAMES]
        connection.execute(statement, [dict(zip(names, key, strict=True)) for key in keys])
