"""Tables of sums and places kept beside what they are of, so that no question has to read it all again; exports.

Also where the clocks of runs begin, how the names of assets are spelt, the single values that wait, the events that
machines report, what people say of a case, how many partitions the fleet has, how pressing each asset is, and how many
are in which state of health.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    false,
    text,
)

from foretwin.twin.store.column_types import Count, Moment
from foretwin.twin.store.tables import metadata, some

runs = Table(  # each run with readings: its first and its last one, and what of it the key figures count
    "runs",
    metadata,
    Column("asset", ForeignKey("assets.id"), primary_key=True),
    Column("run", Integer, primary_key=True),
    Column("first_time", Double, nullable=False),
    Column("first_at", Moment, nullable=False),
    # Of the asset's newest run these are brought up to date when another follows: until then the asset has them.
    Column("last_time", Double, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("is_newest", Boolean, nullable=False),
    Column("is_changed", Boolean, nullable=False),  # since it was counted
    Column("counted", JSON, nullable=False),  # list of [day, what, detail, count, amount] that `kpi_counts` holds of it
)
IS_CHANGED, IS_NEWEST = text("is_changed"), text("is_newest")
Index("runs_changed", runs.c.asset, runs.c.run, **some(IS_CHANGED))

unscored = Table(  # assets with readings that no score has seen: an index of all assets would change with each reading
    "unscored",
    metadata,
    Column("twin", String, primary_key=True),
    Column("asset", Integer, primary_key=True),  # no foreign key: it would cost as much as the row
    sqlite_with_rowid=False,
)

reading_hours = Table(  # readings of one run that came in within one hour, but for the last hour, which the asset has
    "reading_hours",
    metadata,
    Column("asset", ForeignKey("assets.id"), primary_key=True),
    Column("hour", Integer, primary_key=True),  # since 1970
    Column("run", Integer, primary_key=True),
    Column("count", Count, nullable=False),
    Column("first_time", Double, nullable=False),
    Column("last_time", Double, nullable=False),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    sqlite_with_rowid=False,
)

kpi_counts = Table(  # sums over runs: what key figures are made of
    "kpi_counts",
    metadata,
    Column("twin", String, primary_key=True),
    Column("day", Integer, primary_key=True),  # since 1 January of the year 1
    Column("what", String, primary_key=True),
    Column("detail", String, primary_key=True),
    Column("count", Count, nullable=False),
    Column("amount", Double, nullable=False),
)

waiting_faults = Table(  # what the fleet's digest lists: faults for whose cases the hour had no room
    "waiting_faults",
    metadata,
    Column("asset", ForeignKey("assets.id"), primary_key=True),
    Column("fault", String, primary_key=True),
    Column("twin", String, nullable=False),
    Column("run", Integer, nullable=False),
    Column("severity", String, nullable=False),
    Column("since", Moment, nullable=False),
    Index("waiting_faults_by_twin", "twin", "severity", "since", "asset"),
)

event_places = Table(  # the order in which events were stored, whatever the clocks of their senders say
    "event_places",
    metadata,
    Column("number", Count, primary_key=True),
    Column("event", ForeignKey("events.id", ondelete="CASCADE"), nullable=False, unique=True),
    sqlite_autoincrement=True,  # no number comes twice, even if the newest event is erased
)

audit_chain = Table(  # the audit's entries in the order of their commits, each with a digest that covers all before it
    "audit_chain",
    metadata,
    Column("position", Count, primary_key=True, autoincrement=False),
    Column("entry", Count, unique=True),  # none: it is not in the audit any more
    Column("content", String, nullable=False),  # SHA-256 of the entry
    Column("digest", String, nullable=False),  # SHA-256 of the digest before it and of `content`
    Column("gone", String),  # archived, erased: why the entry is not there, or not as it was
)

exports = Table(  # history that was given to training
    "exports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("twin", String, nullable=False, index=True),
    Column("at", Moment, nullable=False),
    Column("digest", String, nullable=False),
    Column("assets", JSON, nullable=False),  # ids
    Column("rows", Integer, nullable=False),
    Column("labels", Integer, nullable=False),
)

run_clocks = Table(  # runs of sources whose times are moments, or go on from life to life
    "run_clocks",
    metadata,
    Column("asset", ForeignKey("assets.id"), primary_key=True),
    Column("run", Integer, primary_key=True),
    Column("is_calendar", Boolean, nullable=False),
    # Positions: microseconds since 1970 of a calendar, else numbers in the contract's unit.
    Column("zero", Double, nullable=False),  # where the run's time is 0
    Column("last", Double, nullable=False),  # of its newest row
    Column("ended", Double),  # of the failure that ended it
    Column("label", String),  # what the source calls it
    Column("carried", JSON),  # time and values of its newest row, where those of the next file's first row depend on it
)

spellings = Table(  # what all spellings of an asset's name have in common
    "spellings",
    metadata,
    Column("spelling", String, primary_key=True),
    Column("asset", ForeignKey("assets.id"), nullable=False, index=True),
)

partitioning = Table(  # one row, how many partitions the fleet has; none: one
    "partitioning",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("since", Count, nullable=False),  # batches up to this one are from before
)

pending_samples = Table(  # single values that wait to become readings
    "pending_samples",
    metadata,
    Column("asset", ForeignKey("assets.id"), primary_key=True, autoincrement=False),
    Column("twin", String, nullable=False),
    Column("heard_at", Moment, nullable=False),  # from when it waits: when its newest value came, or an hour later
    Column("waiting", Integer, nullable=False),  # values; 0: none becomes a reading by waiting on
    Column("content", LargeBinary, nullable=False),  # of `PendingValues.pack`; at most 20,000 values of 18 bytes
)
IS_PENDING = text("waiting > 0")
Index("pending_samples_due", pending_samples.c.twin, pending_samples.c.heard_at, **some(IS_PENDING))

machine_events = Table(  # what machines report: alarms and errors, of which channels are made
    "machine_events",
    metadata,
    Column("asset", ForeignKey("assets.id"), primary_key=True),
    Column("run", Integer, primary_key=True),
    Column("code", String, primary_key=True),  # as `label_key` has it
    Column("time", Double, primary_key=True),  # on the run's clock
    Column("received_at", Moment, nullable=False),
    Index("machine_events_by_receipt", "received_at"),
    sqlite_with_rowid=False,
)

case_comments = Table(  # what people say of a case; never changed
    "case_comments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("case", ForeignKey("cases.id"), nullable=False, index=True),
    Column("asset", ForeignKey("assets.id"), index=True),  # none: of a twin's whole fleet
    Column("at", Moment, nullable=False),
    Column("actor", String, nullable=False),
    Column("text", String, nullable=False),
    sqlite_autoincrement=True,
)

urgencies = Table(  # how pressing each asset is: an index of the assets themselves would cost each reading something
    "urgencies",
    metadata,
    Column("asset", ForeignKey("assets.id"), primary_key=True, autoincrement=False),
    Column("severity", Integer, nullable=False),  # the worst of its open cases: 0 urgent, 1 planned, 2 without one
    Column("due", Moment, nullable=False),  # the earliest safe date of these cases; the year 9999 without one
    Column("rul_low", Double, nullable=False),  # of the newest score of its present run; 1e300 without one
    Column("open_cases", Integer, nullable=False),
    Column("word", String),  # of NAMUR NE 107, that this score says by itself; none without a score
    # As the asset's own row had it when it was last counted, the latter that it had sent something; none before that.
    Column("was_silent", Boolean, nullable=False, server_default=false()),
    Column("was_heard", Boolean),
    Index("urgencies_in_order", "severity", "due", "rul_low", "asset"),
)

health_changes = Table(  # how many assets came into a state of health, or left it; the sum is how many are in it
    "health_changes",
    metadata,
    Column("id", Count, primary_key=True),
    Column("twin", String, nullable=False),
    Column("severity", Integer, nullable=False),  # this and the word as in `urgencies`
    Column("word", String),
    Column("is_silent", Boolean, nullable=False),
    Column("is_heard", Boolean, nullable=False),
    Column("change", Integer, nullable=False),
    sqlite_autoincrement=True,
)

case_photos = Table(  # of a case, as they were encoded anew; never changed
    "case_photos",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("case", ForeignKey("cases.id"), nullable=False, index=True),
    Column("asset", ForeignKey("assets.id"), index=True),  # none: of a twin's whole fleet
    Column("at", Moment, nullable=False),
    Column("actor", String, nullable=False),
    Column("width", Integer, nullable=False),  # pixels
    Column("height", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),  # JPEG
    sqlite_autoincrement=True,
)

usage_counts = Table(  # readings that were stored and scores that were made of an owner's machines, by month
    "usage_counts",
    metadata,
    Column("twin", String, primary_key=True),
    Column("owner", String, primary_key=True),  # the machines' tag `owner` at that time; empty: nobody's
    Column("month", Integer, primary_key=True),  # of UTC, since January of the year 0
    Column("kind", String, primary_key=True),  # readings, scores
    # Of whoever stored them, so that those who write at once have rows of their own; -1 where there is but one.
    Column("partition", Integer, primary_key=True),
    Column("count", Count, nullable=False),
)

own_offsets = Table(  # how far an asset's channels lay from the fleet's in the first windows of its run
    "own_offsets",
    metadata,
    Column("asset", ForeignKey("assets.id"), primary_key=True),
    Column("run", Integer, nullable=False),
    Column("windows", Integer, nullable=False),  # that count
    Column("until", Double),  # time of the last reading that was looked at
    Column("channels", JSON, nullable=False),  # name -> [mean, in the channel's unit, of how many readings]
)
