"""Tables and indexes by which no work grows with the fleet's history: runs, hours, key figures, digest, outbox."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables and fill them with what the store holds."""
    _make_tables_of_runs()
    _make_digest()
    _make_outbox()
    _partial("assets_with_news", "assets", ["twin", "id"], "batch > scored_batch", silent=True)
    _partial("assets_heard", "assets", ["twin", "heard_in"], "NOT is_silent")
    op.create_index("cases_by_opening", "cases", ["twin", "opened_at"], unique=False)
    op.create_index("cases_in_order", "cases", ["opened_at", "id"], unique=False)
    op.create_index("quarantine_in_order", "quarantine", ["received_at", "id"], unique=False)
    op.drop_index("ix_audit_asset", "audit")
    op.create_index("audit_of_asset", "audit", ["asset", "at", "id"], unique=False)
    _partial("audit_of_erasures", "audit", ["id"], "action = 'asset.erased'")
    _fill()


def _partial(name: str, table: str, columns: list[str], where: str, silent: bool = False) -> None:
    if silent:
        op.add_column("assets", sa.Column("heard_in", sa.Integer(), server_default="0", nullable=False))
        op.add_column("assets", sa.Column("is_silent", sa.Boolean(), server_default=sa.false(), nullable=False))
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=False, sqlite_where=condition, postgresql_where=condition)


def _make_tables_of_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("asset", sa.Integer(), sa.ForeignKey("assets.id"), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("first_time", sa.Double(), nullable=False),
        sa.Column("first_at", MOMENT, nullable=False),
        sa.Column("last_time", sa.Double(), nullable=False),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.Column("is_newest", sa.Boolean(), nullable=False),
        sa.Column("is_changed", sa.Boolean(), nullable=False),
        sa.Column("counted", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("asset", "run"),
    )
    _partial("runs_changed", "runs", ["asset", "run"], "is_changed")
    op.create_table(
        "reading_hours",
        sa.Column("asset", sa.Integer(), sa.ForeignKey("assets.id"), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("count", COUNT, nullable=False),
        sa.Column("first_time", sa.Double(), nullable=False),
        sa.Column("last_time", sa.Double(), nullable=False),
        sa.Column("first_at", MOMENT, nullable=False),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("asset", "hour", "run"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "kpi_counts",
        sa.Column("twin", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("count", COUNT, nullable=False),
        sa.Column("amount", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("twin", "day", "what", "detail"),
    )


def _make_digest() -> None:
    op.create_table(
        "waiting_faults",
        sa.Column("asset", sa.Integer(), sa.ForeignKey("assets.id"), nullable=False),
        sa.Column("fault", sa.String(), nullable=False),
        sa.Column("twin", sa.String(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("asset", "fault"),
    )
    op.create_index("waiting_faults_by_twin", "waiting_faults", ["twin", "severity", "since", "asset"], unique=False)
    cases = sa.table(
        "cases", *(sa.column(name) for name in ("id", "twin", "fault", "state")), sa.column("evidence", sa.JSON)
    )
    columns = ("asset", "fault", "twin", "run", "severity")
    waiting = sa.table("waiting_faults", *(sa.column(name) for name in columns), sa.column("since", MOMENT))
    connection = op.get_bind()
    known = set(connection.execute(sa.text("SELECT id FROM assets")).scalars())
    query = sa.select(cases).where(cases.c.fault == "digest", cases.c.state != "closed")
    for digest in connection.execute(query).all():
        listed = [one for one in digest.evidence.get("waiting", []) if one["asset"] in known]
        rows = [
            {name: one[name] for name in columns if name != "twin"}
            | {"twin": digest.twin, "since": datetime.fromisoformat(one["since"])}
            for one in listed
        ]
        if rows:
            connection.execute(waiting.insert(), rows)
        told = {"count": len(rows)}
        connection.execute(cases.update().where(cases.c.id == digest.id).values(evidence=told))


def _make_outbox() -> None:
    op.create_table(
        "event_places",
        sa.Column("number", COUNT, nullable=False),
        sa.Column("event", sa.String(), sa.ForeignKey("events.id", ondelete="CASCADE"), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("event"),
        sqlite_autoincrement=True,
    )
    op.add_column("deliveries", sa.Column("stream", sa.String(), server_default="", nullable=False))
    op.add_column("deliveries", sa.Column("is_next", sa.Boolean(), server_default=sa.false(), nullable=False))
    _partial("deliveries_next", "deliveries", ["target", "due_at", "event"], "is_next")
    _partial("deliveries_of_stream", "deliveries", ["target", "stream", "event"], "state = 'waiting'")


def _fill() -> None:
    """Fill the new tables and columns: one look at everything, once."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    seconds = (
        "CAST(strftime('%s', b.received_at) AS INTEGER)" if is_sqlite else "floor(extract(epoch FROM b.received_at))"
    )
    hour = f"CAST({seconds} / 3600 AS INTEGER)" if is_sqlite else f"CAST(floor({seconds} / 3600) AS INTEGER)"
    heard = seconds.replace("b.received_at", "received_at")
    heard = f"{heard} / 900" if is_sqlite else f"floor({heard} / 900)"
    for statement in (
        f"UPDATE assets SET heard_in = CAST({heard} AS INTEGER) WHERE received_at IS NOT NULL",  # noqa: S608 - of constants
        "INSERT INTO event_places (event) SELECT id FROM events ORDER BY id",
        "UPDATE deliveries SET stream = (SELECT e.twin || '/' || coalesce(CAST(e.asset AS VARCHAR), '') FROM events e"
        " WHERE e.id = deliveries.event)",
        "UPDATE deliveries SET is_next = true WHERE state = 'waiting' AND event ="
        " (SELECT min(o.event) FROM deliveries o WHERE o.target = deliveries.target AND o.stream = deliveries.stream"
        " AND o.state = 'waiting')",
        "UPDATE assets SET is_silent = true WHERE EXISTS (SELECT 1 FROM events e WHERE e.asset = assets.id"
        " AND e.type = 'foretwin.asset.stale.v1' AND e.at > assets.received_at)",
        "INSERT INTO runs SELECT g.asset, g.run, g.begun, fb.received_at, g.ended, lb.received_at,"
        " g.run = (SELECT max(run) FROM readings n WHERE n.asset = g.asset), true, '[]'"
        " FROM (SELECT asset, run, min(time) AS begun, max(time) AS ended FROM readings GROUP BY asset, run) AS g"
        " JOIN readings f ON f.asset = g.asset AND f.run = g.run AND f.time = g.begun"
        " JOIN readings l ON l.asset = g.asset AND l.run = g.run AND l.time = g.ended"
        " JOIN batches fb ON fb.id = f.batch JOIN batches lb ON lb.id = l.batch",
        f"INSERT INTO reading_hours SELECT r.asset, {hour}, r.run, count(*), min(r.time), max(r.time),"  # noqa: S608 - of constants
        " min(b.received_at), max(b.received_at) FROM readings r JOIN batches b ON b.id = r.batch"
        f" GROUP BY r.asset, {hour}, r.run",
    ):
        op.execute(statement)
