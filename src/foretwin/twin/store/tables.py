"""Tables of the store, the same for SQLite and PostgreSQL; `migrations/` creates them, step by step.

Every moment is UTC. A reading's `time` is time since its run began, in the contract's clock unit, as everywhere else.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TextClause,
    UniqueConstraint,
    false,
    text,
)

from foretwin.twin.store.column_types import Count, Instant, Moment

metadata = MetaData()


def some(condition: TextClause) -> dict[str, Any]:
    """Return the arguments of an index of those rows alone that meet a condition."""
    return {"sqlite_where": condition, "postgresql_where": condition}


assets = Table(
    "assets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("twin", String, nullable=False),
    Column("name", String, nullable=False, unique=True),
    Column("serial_number", String),
    Column("location", String),
    Column("tags", JSON, nullable=False),  # name -> value, both text
    Column("registered_at", Moment, nullable=False),
    Column("slot", Integer, nullable=False, server_default="0"),  # of its name: which partition it belongs to
    # The newest reading, and how many there were of each kind since the asset is known.
    Column("run", Integer, nullable=False, server_default="1"),
    Column("time", Double),
    Column("received_at", Moment),
    Column("batch", Count, nullable=False, server_default="0"),  # the last one that brought readings
    Column("scored_batch", Count, nullable=False, server_default="0"),  # up to which batch it has been scored
    Column("readings", Count, nullable=False, server_default="0"),
    Column("late", Integer, nullable=False, server_default="0"),
    Column("duplicates", Count, nullable=False, server_default="0"),
    Column("gaps", Integer, nullable=False, server_default="0"),
    Column("quarantined", Count, nullable=False, server_default="0"),
    Column("heard_in", Integer, nullable=False, server_default="0"),  # quarter of an hour of `received_at`, since 1970
    Column("is_silent", Boolean, nullable=False, server_default=false()),  # others have been told that it is stale
    # Its readings of one run and the hour of receipt that came last; `reading_hours` gets them once another begins.
    Column("hour", Integer),
    Column("hour_run", Integer),
    Column("hour_count", Count),
    Column("hour_first_time", Double),
    Column("hour_last_time", Double),
    Column("hour_first_at", Moment),
    Column("hour_last_at", Moment),
    Index("assets_by_twin", "twin", "name"),
    sqlite_autoincrement=True,  # the number of an erased asset is never given to another
)
IS_HEARD = text("NOT is_silent")
Index("assets_heard", assets.c.twin, assets.c.heard_in, **some(IS_HEARD))

parts = Table(  # what is fitted to an asset, and what was
    "parts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("asset", ForeignKey("assets.id"), nullable=False, index=True),
    Column("part", String, nullable=False),  # as the contract's remedies name it
    Column("serial_number", String),
    Column("provenance", String),  # supplier, batch, works order: where it comes from
    Column("fitted_at", Moment, nullable=False),
    Column("removed_at", Moment),
)

layouts = Table(  # which channels the bytes of a reading hold, in their order
    "layouts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("twin", String, nullable=False),
    Column("channels", String, nullable=False),  # joined by commas
    UniqueConstraint("twin", "channels"),
)

batches = Table(  # one per transaction and partition with readings; in a partition numbers are in the order of commits
    "batches",
    metadata,
    Column("id", Count, primary_key=True),
    Column("received_at", Moment, nullable=False),
    Column("via", String, nullable=False),  # http, file or mqtt
    Column("partition", Integer),  # none: of a store that has one
    Index("batches_of_partition", "partition", "id", **some(text("partition IS NOT NULL"))),
)

readings = Table(  # batch and layout, which are made first, are no foreign keys: each would cost half an insert
    "readings",
    metadata,
    Column("asset", ForeignKey("assets.id"), primary_key=True),
    Column("run", Integer, primary_key=True),
    Column("time", Double, primary_key=True),
    Column("batch", Count, nullable=False, index=True),
    Column("layout", Integer, nullable=False),
    Column("channels", LargeBinary, nullable=False),  # float32, little-endian, one per channel of the layout
    sqlite_with_rowid=False,
)

models = Table(
    "models",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("twin", String, nullable=False),
    Column("name", String, nullable=False),
    Column("version", String, nullable=False),
    Column("run", String, nullable=False),  # the run that trained it
    Column("digest", String, nullable=False),  # of its bundle
    Column("contract", String, nullable=False),  # digest
    Column("level", Double),  # share of truths that its RUL's interval should cover
    Column("first_used_at", Moment, nullable=False),
    UniqueConstraint("twin", "version", "digest"),
)

answer_layouts = Table(  # which probabilities the bytes of a score hold, in their order
    "answer_layouts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("axes", String, nullable=False, unique=True),  # JSON: axis -> its classes
)

scores = Table(  # the newest of each asset, and those before it that told something new
    "scores",
    metadata,
    Column("asset", Integer, primary_key=True),
    Column("run", Integer, primary_key=True),
    Column("time", Double, primary_key=True),  # of the last reading that it saw, which may have aged out since
    Column("model", ForeignKey("models.id"), primary_key=True),
    Column("scored_at", Instant, nullable=False),
    Column("age", Double, nullable=False),  # of that reading when it was scored, s
    Column("rows", Integer, nullable=False),  # readings that it saw
    *(Column(name, Double) for name in ("rul", "rul_low", "rul_high")),  # with its interval, in the contract's unit
    Column("layout", Integer, nullable=False),  # of the answer
    Column("probabilities", LargeBinary, nullable=False),  # float64, little-endian, one per class of the layout
    Column("diagnosis", JSON, nullable=False),  # axis -> class or unknown
    Column("warnings", JSON, nullable=False),
    Column("kept", Boolean, nullable=False),  # for good; False: it may be thinned out
    Index("scores_by_moment", "asset", "scored_at"),
    Index("scores_to_thin_out", "asset", **some(text("NOT kept"))),
    sqlite_with_rowid=False,
)

shadow_scores = Table(  # what a candidate said beside the champion; nothing is decided by it
    "shadow_scores",
    metadata,
    Column("asset", Integer, primary_key=True),
    Column("run", Integer, primary_key=True),
    Column("time", Double, primary_key=True),  # of the last reading that it saw
    Column("model", ForeignKey("models.id"), primary_key=True),
    Column("scored_at", Moment, nullable=False),
    *(Column(name, Double) for name in ("rul", "rul_low", "rul_high")),  # with its interval, in the contract's unit
    Column("diagnosis", JSON, nullable=False),  # axis -> class or unknown
    Index("shadow_scores_by_model", "model", "scored_at"),
)

cases = Table(
    "cases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("twin", String, nullable=False, index=True),
    Column("asset", ForeignKey("assets.id"), index=True),  # none: a case of the twin's whole fleet
    Column("run", Integer),
    Column("fault", String, nullable=False),  # <axis>.<class>, `end_of_life`; of a fleet `digest`, `drift`
    Column("state", String, nullable=False),  # open, acknowledged, planned, waiting_for_part, closed
    Column("severity", String, nullable=False),  # planned: the part is expected in time; urgent: it is not
    Column("opened_at", Moment, nullable=False),
    Column("opened_time", Double),  # of the reading whose score opened it
    Column("updated_at", Moment, nullable=False),
    *(Column(name, Moment) for name in ("acknowledged_at", "closed_at")),
    Column("assignee", String),  # who looks after it
    Column("planned_for", Moment),
    Column("snoozed_until", Moment),
    Column("snoozed_because", String),
    Column("closed_because", String),  # verdict, recovered, merged, new_run, dissolved, new_champion
    Column("merged_into", ForeignKey("cases.id")),
    Column("time", Double),  # of the score that speaks last for it, as all that follows
    Column("scored_at", Moment),
    Column("model", ForeignKey("models.id")),
    *(Column(name, Double) for name in ("rul", "rul_low", "rul_high")),
    Column("probability", Double),  # of the fault
    Column("latest_safe_date", Moment),  # by which what it asks for should be done
    Column("undated", String),  # why there is no such date, where there should be one
    Column("evidence", JSON, nullable=False),
    Index("cases_by_opening", "twin", "opened_at"),
    Index("cases_in_order", "opened_at", "id"),
    Index("cases_by_state", "state", "latest_safe_date", "id"),
    sqlite_autoincrement=True,
)
OF_ASSET, OF_FLEET = text("state <> 'closed' AND asset IS NOT NULL"), text("state <> 'closed' AND asset IS NULL")
Index("one_case_per_asset_and_fault", cases.c.asset, cases.c.fault, unique=True, **some(OF_ASSET))
Index("one_fleet_case_per_twin_and_fault", cases.c.twin, cases.c.fault, unique=True, **some(OF_FLEET))

verdicts = Table(
    "verdicts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("case", ForeignKey("cases.id"), nullable=False, unique=True),
    Column("asset", ForeignKey("assets.id"), nullable=False, index=True),
    Column("run", Integer, nullable=False),
    Column("time", Double, nullable=False),  # of the asset's last reading when it was given, or as the technician says
    Column("at", Moment, nullable=False),
    Column("verdict", String, nullable=False),  # of `feedback.Verdict`
    Column("fault", String),  # what was found: <axis>.<class>
    Column("note", String),
    Column("actor", String, nullable=False),
)

maintenance = Table(
    "maintenance",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("asset", ForeignKey("assets.id"), nullable=False, index=True),
    Column("run", Integer, nullable=False),
    Column("time", Double, nullable=False),
    Column("at", Moment, nullable=False),
    Column("kind", String, nullable=False),  # inspection, part_replaced, run_ended, sensor_replaced, ..._recalibrated
    *(Column(name, String) for name in ("part", "channel")),
    Column("serial_number", String),
    Column("note", String),
    Column("case", ForeignKey("cases.id")),
    Column("actor", String, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Count, primary_key=True),
    Column("received_at", Moment, nullable=False),
    Column("via", String, nullable=False),
    Column("twin", String),
    Column("asset", String, index=True),  # as the sender named it
    Column("field", String, nullable=False),
    Column("reason", String, nullable=False),  # unit, range, type, order, run, clock, conflict, ...
    Column("detail", String, nullable=False),
    Column("content", String, nullable=False),  # the reading as JSON, or the message as text, at most 64 KiB
    Column("readings", Count, nullable=False, server_default="1"),  # more than one where they are only counted
    Column("digest", String, nullable=False, unique=True),  # of sender, reason and content: redelivery adds nothing
    Column("released_at", Moment),
    Index("quarantine_in_order", "received_at", "id"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Count, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),  # case.opened, case.closed, asset.registered, ...
    Column("asset", Integer),  # no foreign key: what was done outlives an erased asset
    Column("case", Integer, index=True),
    Column("detail", JSON, nullable=False),
    Index("audit_of_asset", "asset", "at", "id"),
)
Index("audit_of_erasures", audit.c.id, **some(text("action = 'asset.erased'")))

events = Table(  # what others are told: CloudEvents
    "events",
    metadata,
    Column("id", String, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("type", String, nullable=False),
    Column("twin", String, nullable=False),
    Column("asset", ForeignKey("assets.id"), index=True),
    Column("subject", String, nullable=False),
    Column("data", JSON, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("event", ForeignKey("events.id"), primary_key=True),
    Column("target", String, primary_key=True),  # the URL, without credentials
    Column("state", String, nullable=False),  # waiting, delivered, dead, unknown
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due_at", Moment, nullable=False),
    Column("error", String),
    Column("stream", String, nullable=False),  # <twin>/<number of the asset>: events of one are delivered in order
    Column("is_next", Boolean, nullable=False),  # the oldest that waits of its stream for this target
    Index("deliveries_due", "state", "due_at"),
)
IS_NEXT, IS_WAITING = text("is_next"), text("state = 'waiting'")
Index("deliveries_next", deliveries.c.target, deliveries.c.due_at, deliveries.c.event, **some(IS_NEXT))
Index("deliveries_of_stream", deliveries.c.target, deliveries.c.stream, deliveries.c.event, **some(IS_WAITING))
