"""Define which rows of the store are about one asset, for export and erasure."""

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, or_, select

from foretwin.twin.store.archive_tables import holds, hours
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.scoring.probabilities import unpacked
from foretwin.twin.store.summaries import (
    case_comments,
    case_photos,
    event_places,
    machine_events,
    own_offsets,
    pending_samples,
    reading_hours,
    run_clocks,
    runs,
    spellings,
    unscored,
    urgencies,
    waiting_faults,
)
from foretwin.twin.store.tables import (
    assets,
    audit,
    cases,
    deliveries,
    events,
    maintenance,
    metadata,
    models,
    parts,
    quarantine,
    readings,
    scores,
    shadow_scores,
    verdicts,
)

AT_ONCE = 10_000


def holdings(asset: Asset) -> dict[Table, ColumnElement[bool]]:
    """Return table -> condition of the rows about the asset; referring tables come before referred ones."""
    events_of = select(events.c.id).where(events.c.asset == asset.id)
    cases_of = select(cases.c.id).where(cases.c.asset == asset.id)
    # Of a message that could not be read, the sender's own text may be all that names the asset.
    named = [quarantine.c.content.contains(text, autoescape=True) for text in quoted(asset.name)]
    return {
        deliveries: deliveries.c.event.in_(events_of),
        event_places: event_places.c.event.in_(events_of),
        events: events.c.asset == asset.id,
        verdicts: verdicts.c.asset == asset.id,
        maintenance: maintenance.c.asset == asset.id,
        case_comments: case_comments.c.asset == asset.id,
        case_photos: case_photos.c.asset == asset.id,
        audit: or_(audit.c.asset == asset.id, audit.c.case.in_(cases_of)),
        cases: cases.c.asset == asset.id,
        waiting_faults: waiting_faults.c.asset == asset.id,
        scores: scores.c.asset == asset.id,
        shadow_scores: shadow_scores.c.asset == asset.id,
        pending_samples: pending_samples.c.asset == asset.id,
        machine_events: machine_events.c.asset == asset.id,
        readings: readings.c.asset == asset.id,
        hours: hours.c.asset == asset.id,
        holds: holds.c.asset == asset.id,
        reading_hours: reading_hours.c.asset == asset.id,
        runs: runs.c.asset == asset.id,
        unscored: (unscored.c.twin == asset.twin) & (unscored.c.asset == asset.id),
        urgencies: urgencies.c.asset == asset.id,
        own_offsets: own_offsets.c.asset == asset.id,
        run_clocks: run_clocks.c.asset == asset.id,
        spellings: spellings.c.asset == asset.id,
        parts: parts.c.asset == asset.id,
        quarantine: or_(quarantine.c.asset == asset.name, and_(quarantine.c.asset.is_(None), or_(*named))),
        assets: assets.c.id == asset.id,
    }


def rows_of(connection: Connection, asset: Asset, name: str) -> Iterator[dict[str, Any]]:
    """Return the asset's rows of the table of that name, in order of its primary key."""
    table = metadata.tables[name]
    query = select(table).where(holdings(asset)[table]).order_by(*table.primary_key.columns)
    names = [str(column.name) for column in table.c]  # plain text: SQLAlchemy's own kind is no key of JSON
    for row in connection.execute(query.execution_options(yield_per=AT_ONCE)):
        yield dict(zip(names, row, strict=True))


def held_scores(connection: Connection, asset: Asset, name: str = "scores") -> Iterator[list[dict[str, Any]]]:
    """Yield the asset's scores in order of run, time and model, some thousands at a time; models by name and version.

    `name` is that of the table: of the scores, or of those that were kept beside them.
    """
    table = metadata.tables[name]
    of_model = (models.c.name.label("model_name"), models.c.version.label("model_version"), models.c.digest)
    query = select(*(column for column in table.c if column.name not in ("asset", "model")), *of_model)
    query = query.join(models, models.c.id == table.c.model).where(table.c.asset == asset.id)
    query = query.order_by(table.c.run, table.c.time, table.c.model)
    for part in connection.execute(query.execution_options(yield_per=AT_ONCE)).mappings().partitions():
        yield unpacked(connection, part) if table is scores else [dict(row) for row in part]


def named_models(connection: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with model_name, model_version and digest beside the number of their model."""
    numbers = {row["model"] for row in rows}
    known = {row.id: row for row in connection.execute(select(models).where(models.c.id.in_(numbers)))}
    named = ((row, known[row["model"]]) for row in rows)
    return [{**row, "model_name": m.name, "model_version": m.version, "digest": m.digest} for row, m in named]


def quoted(name: str) -> set[str]:
    """Return the forms that the name may have in JSON, in quotation marks."""
    return {json.dumps(name), json.dumps(name, ensure_ascii=False)}
