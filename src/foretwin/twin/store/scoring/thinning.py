"""Keep the scores that tell something new: the newest of an asset takes the place of one before it that does not."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, bindparam, delete, update

from foretwin.contract.twin import Twin
from foretwin.twin.store.scoring.probabilities import unpack_values, values_of
from foretwin.twin.store.tables import scores

if TYPE_CHECKING:
    from foretwin.twin.store.scoring.scores import Score

ScoreKey = tuple[int, int, float, int]  # asset, run, time, model
RunKey = tuple[int, int]  # asset, run

# Of each run the last score kept, by a few steps of the primary key.
LAST_KEPT = """SELECT held.asset, held.run, held.model, held.scored_at, held.rul, held.rul_low, held.rul_high,
        held.probabilities, held.diagnosis{text}, held.warnings{text}
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


@dataclass(frozen=True)
class _Said:
    """The content of a score as it is compared; the diagnosis as JSON."""

    model: int
    scored_at: datetime
    life: tuple[float | None, ...]  # RUL and its interval
    probabilities: tuple[float, ...]
    diagnosis: str
    warnings: str


def rule_of(contract: Twin) -> ThinningRule | None:
    """Return the rule of a contract; None where all scores are kept."""
    asked = contract.retention.scores
    if asked.keep == "all":
        return None
    cap = contract.rul.cap if contract.rul else 0.0
    return ThinningRule(asked.rul_change * cap, asked.probability_change, timedelta(minutes=asked.longest_gap))


def thin_out(connection: Connection, found: Collection["Score"], rule: ThinningRule) -> dict[ScoreKey, bool]:
    """Return which of these new scores to write, and whether for good; delete what makes room for them.

    The newest of an asset and the one before it are always there: of those the next ones take the place. What is
    newest of an earlier run was the last word about that, and stays.
    """
    kept_last = _last_kept(connection, {(score.asset, score.run) for score in found})
    standing = _standing(connection, sorted({score.asset for score in found}))
    written: dict[ScoreKey, bool] = {}
    replaced: list[ScoreKey] = []
    for score in sorted(found, key=lambda one: (one.asset, one.run, one.time)):
        place, key, said = (score.asset, score.run), _key(score), _said(score)
        if place not in kept_last:
            _keep_for_good(connection, [one for one in standing.pop(score.asset, []) if one[1] < score.run][-1:])
        mine = standing.setdefault(score.asset, [])
        older = [one for one in mine if one != key and one[1:3] <= (score.run, score.time)]
        replaced += older[:-1]
        mine[:] = [*older[-1:], *(one for one in mine if one not in older and one != key)]
        written[key] = place not in kept_last or _tells(kept_last[place], said, rule)
        if written[key]:
            kept_last[place] = said
        else:
            mine.append(key)
    for key in replaced:
        written.pop(key, None)
    _execute(connection, DROP, replaced)
    return written


def keep_score(connection: Connection, asset: int, run: int, time: float) -> None:
    """Keep the scores of a reading for good: a case refers to them."""
    mine = (scores.c.asset == asset, scores.c.run == run, scores.c.time == time, scores.c.kept.is_(False))
    connection.execute(update(scores).where(*mine).values(kept=True))


def _last_kept(connection: Connection, wanted: Iterable[RunKey]) -> dict[RunKey, _Said]:
    """Return the last score kept of each run, where there is one."""
    places = sorted(wanted)
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(LAST_KEPT_POSTGRESQL, tuple(map(list, zip(*places, strict=True))))
    else:
        rows = connection.exec_driver_sql(LAST_KEPT_SQLITE, (orjson.dumps(places).decode(),))
    read: Any = scores.c.scored_at.type
    found: dict[RunKey, _Said] = {}
    for asset, run, model, at, *life, packed, diagnosis, warnings in rows:
        moment = read.process_result_value(at, connection.dialect)
        said = (unpack_values(packed), diagnosis, _told(orjson.loads(warnings)))
        found[asset, run] = _Said(model, moment, tuple(life), *said)
    return found


def _standing(connection: Connection, asset_ids: list[int]) -> dict[int, list[ScoreKey]]:
    """Return of each asset the keys of those that make room, the oldest first."""
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(STANDING_POSTGRESQL, (asset_ids,))
    else:
        rows = connection.exec_driver_sql(STANDING_SQLITE, (orjson.dumps(asset_ids).decode(),))
    found: dict[int, list[ScoreKey]] = {}
    for asset, run, time, model in rows:
        found.setdefault(asset, []).append((asset, run, time, model))
    return found


def _key(score: "Score") -> ScoreKey:
    return score.asset, score.run, score.time, score.model


def _said(score: "Score") -> _Said:
    life = (score.rul, score.rul_low, score.rul_high)
    texts = (orjson.dumps(score.diagnosis).decode(), _told(score.warnings))
    return _Said(score.model, score.scored_at, life, tuple(values_of(score.faults)), *texts)


def _told(warnings: list[str]) -> str:
    """Return the warnings as they are compared: of one that counts, as `short_history: 49 of 60 rows`, its kind."""
    return "\n".join(COUNTED.sub("", warning) for warning in warnings)


def _tells(before: _Said, now: _Said, rule: ThinningRule) -> bool:
    """Whether a score tells something that the last one kept did not."""
    if (before.model, before.diagnosis, before.warnings) != (now.model, now.diagnosis, now.warnings):
        return True
    if now.scored_at - before.scored_at >= rule.longest_gap or len(before.probabilities) != len(now.probabilities):
        return True
    if any(_differ(one, other, rule.rul) for one, other in zip(before.life, now.life, strict=True)):
        return True
    return any(abs(p - q) > rule.probability for p, q in zip(before.probabilities, now.probabilities, strict=True))


def _differ(one: float | None, other: float | None, most: float) -> bool:
    return one is not other if one is None or other is None else abs(one - other) > most


def _keep_for_good(connection: Connection, keys: list[ScoreKey]) -> None:
    _execute(connection, KEEP, keys)


def _execute(connection: Connection, statement: Any, keys: list[ScoreKey]) -> None:
    if keys:
        names = [f"of_{name}" for name in KEY_NAMES]
        connection.execute(statement, [dict(zip(names, key, strict=True)) for key in keys])
