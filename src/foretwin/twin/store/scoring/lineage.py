"""Read which models have scored: how often, since when, and every model's score of a reading."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from foretwin.twin.store.scoring.scores import Score, as_given
from foretwin.twin.store.tables import models, scores


@dataclass(frozen=True)
class Use:
    """A model of the store, and its scores that are still there; `first` and `last` are when they were made."""

    id: int
    twin: str
    name: str
    version: str
    run: str
    digest: str  # of its bundle
    contract: str  # digest
    scores: int
    first: datetime | None
    last: datetime | None


def uses(connection: Connection, asset_id: int | None = None) -> list[Use]:
    """Return every model that has ever scored, in order of first use; with all its scores, or those of one asset."""
    counted = select(
        scores.c.model,
        func.count().label("scores"),
        func.min(scores.c.scored_at).label("first"),
        func.max(scores.c.scored_at).label("last"),
    )
    if asset_id is not None:
        counted = counted.where(scores.c.asset == asset_id)
    made = counted.group_by(scores.c.model).subquery()
    named = (models.c[name] for name in ("id", "twin", "name", "version", "run", "digest", "contract"))
    query = select(*named, func.coalesce(made.c.scores, 0).label("scores"), made.c.first, made.c.last)
    joined = query.join(made, made.c.model == models.c.id, isouter=True)
    return [Use(**row) for row in connection.execute(joined.order_by(models.c.id)).mappings()]


def scores_at(connection: Connection, asset_id: int, run: int | None, time: float | None) -> list[Score]:
    """Return every model's score of the asset's newest scored reading, the newest first; empty where none was.

    With a `run` of that run, else of the newest one that has any; with a `time` of those up to and with that time.
    """
    wanted = [scores.c.asset == asset_id]
    wanted += [] if run is None else [scores.c.run == run]
    wanted += [] if time is None else [scores.c.time <= time]
    newest = select(scores.c.run, scores.c.time).where(*wanted)
    found = connection.execute(newest.order_by(scores.c.run.desc(), scores.c.time.desc()).limit(1)).first()
    if found is None:
        return []
    of_reading = (scores.c.asset == asset_id, scores.c.run == found.run, scores.c.time == found.time)
    rows = connection.execute(select(scores).where(*of_reading).order_by(scores.c.scored_at.desc(), scores.c.model))
    return as_given(connection, rows.mappings().all())
