"""Tables of what ages: files of the archive, hours of readings, and holds."""

from sqlalchemy import Boolean, Column, Double, ForeignKey, Index, Integer, LargeBinary, String, Table, false

from foretwin.twin.store.column_types import Count, Instant, Moment
from foretwin.twin.store.tables import metadata

archives = Table(  # files that hold what has aged out, each written and read back before anything was dropped
    "archives",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("twin", String, nullable=False),
    Column("kind", String, nullable=False),  # readings, scores, shadow_scores, events, quarantine, audit
    Column("file", String, nullable=False),  # in the twin's folder of archives
    Column("digest", String, nullable=False),  # SHA-256 of the file
    Column("rows", Integer, nullable=False),
    Column("last_batch", Count, nullable=False, server_default="0"),  # of readings: the file holds all up to it
    Column("since", Moment, nullable=False),  # moments of its first and its last row
    Column("until", Moment, nullable=False),
    Column("written_at", Moment, nullable=False),
    Column("dropped", Integer, nullable=False, server_default="0"),  # rows that were looked at and dropped, or spared
    Column("hours_dropped", Boolean, nullable=False, server_default=false()),  # channels of its hours, or spared
    Index("archives_by_kind", "twin", "kind", "id"),
)

hours = Table(  # what an hour's readings of a run come to, once they are in an archive; by the hour of receipt
    "hours",
    metadata,
    Column("asset", ForeignKey("assets.id"), primary_key=True),
    Column("run", Integer, primary_key=True),
    Column("hour", Integer, primary_key=True),  # since 1970, UTC
    Column("archive", Integer, primary_key=True),  # an hour on the border of two files has a row of each
    Column("count", Integer, nullable=False),
    Column("first_time", Double, nullable=False),
    Column("last_time", Double, nullable=False),
    Column("first_at", Instant, nullable=False),
    Column("last_at", Instant, nullable=False),
    Column("layout", Integer, nullable=False),  # of the channels, as of readings
    Column("channels", LargeBinary, nullable=False),  # float32: all means, then all minima, all maxima; empty once aged
    sqlite_with_rowid=False,
)

holds = Table(  # assets whose records never age out
    "holds",
    metadata,
    Column("asset", ForeignKey("assets.id"), primary_key=True),
    Column("because", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("at", Moment, nullable=False),
    Column("released_at", Moment),  # what the hold spared is dropped next, and then this row
)
