"""Keep the scores that tell something new: the newest of an asset takes the place of one before it that does not."""

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

# Of each run: the last score kept, and what came after it. A few steps of the primary key for each.
RECENT = """SELECT held.asset, held.run, held.time, held.model, held.kept, held.scored_at, held.rul, held.rul_low,
        held.rul_high, held.probabilities, held.diagnosis{text}, held.warnings{text}
    FROM {wanted} JOIN scores AS held ON held.asset = wanted.asset AND held.run = wanted.run AND held.time >= coalesce(
        (SELECT kept.time FROM scores AS kept WHERE kept.asset = wanted.asset AND kept.run = wanted.run AND kept.kept
            ORDER BY kept.time DESC LIMIT 1), -1e300)
    ORDER BY held.asset, held.run, held.time, held.scored_at"""
RECENT_SQLITE = RECENT.format(
    text="",
    wanted="(SELECT json_extract(value, '$[0]') AS asset, json_extract(value, '$[1]') AS run FROM json_each(?))"
    " AS wanted",
)
RECENT_POSTGRESQL = RECENT.format(text="::text", wanted="unnest(%b::int4[], %b::int4[]) AS wanted (asset, run)")
KEY_NAMES = ("asset", "run", "time", "model")
_PLACE: tuple[Any, ...] = tuple(scores.c[name] == bindparam(f"of_{name}") for name in KEY_NAMES)
DROP = delete(scores).where(*_PLACE)


@dataclass(frozen=True)
class ThinningRule:
    """By how much a score must differ from the last one kept, and after how long it need not."""

    rul: float  # in the contract's unit, of the RUL or an end of its interval
    probability: float  # of any class
    longest_gap: timedelta


@dataclass(frozen=True)
class _Said:
    """The content of a score as it is compared; diagnosis and warnings as JSON."""

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
    """Return which of these new scores to write, and whether for good; delete what stood in as a run's newest.

    What stood in for an earlier run was the last word about that, and stays.
    """
    kept_last, standing = _recent(connection, {(score.asset, score.run) for score in found})
    written: dict[ScoreKey, bool] = {}
    replaced: list[ScoreKey] = []
    for score in sorted(found, key=lambda one: (one.asset, one.run, one.time)):
        place, key, said = (score.asset, score.run), _key(score), _said(score)
        before = kept_last.get(place)
        if before is None:
            _keep_earlier_runs(connection, score)
        mine = standing.setdefault(place, [])
        replaced += [one for one in mine if one != key and one[2] <= score.time]
        mine[:] = [one for one in mine if one[2] > score.time]
        written[key] = before is None or _tells(before, said, rule)
        if written[key]:
            kept_last[place] = said
        else:
            mine.append(key)
    for key in replaced:
        written.pop(key, None)
    if replaced:
        names = [f"of_{name}" for name in KEY_NAMES]
        connection.execute(DROP, [dict(zip(names, key, strict=True)) for key in replaced])
    return written


def _recent(
    connection: Connection, wanted: Iterable[RunKey]
) -> tuple[dict[RunKey, _Said], dict[RunKey, list[ScoreKey]]]:
    """Return of each run the last score kept, and the keys of what stands in since."""
    places = sorted(wanted)
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(RECENT_POSTGRESQL, tuple(map(list, zip(*places, strict=True))))
    else:
        rows = connection.exec_driver_sql(RECENT_SQLITE, (orjson.dumps(places).decode(),))
    read: Any = scores.c.scored_at.type
    kept_last: dict[RunKey, _Said] = {}
    standing: dict[RunKey, list[ScoreKey]] = {}
    for asset, run, time, model, is_kept, at, *life, packed, diagnosis, warnings in rows:
        if is_kept:
            moment = read.process_result_value(at, connection.dialect)
            values = unpack_values(packed)
            kept_last[asset, run] = _Said(model, moment, tuple(life), values, diagnosis, warnings)
        else:
            standing.setdefault((asset, run), []).append((asset, run, time, model))
    return kept_last, standing


def _key(score: "Score") -> ScoreKey:
    return score.asset, score.run, score.time, score.model


def _said(score: "Score") -> _Said:
    life = (score.rul, score.rul_low, score.rul_high)
    texts = (orjson.dumps(score.diagnosis).decode(), orjson.dumps(score.warnings).decode())
    return _Said(score.model, score.scored_at, life, tuple(values_of(score.faults)), *texts)


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


def _keep_earlier_runs(connection: Connection, score: "Score") -> None:
    """Keep what stood in as the newest score of an earlier run."""
    earlier = (scores.c.asset == score.asset, scores.c.run < score.run, scores.c.kept.is_(False))
    connection.execute(update(scores).where(*earlier).values(kept=True))
