"""Scores that keep their probabilities packed and outlive their readings; archives, hours and holds."""

import json
import logging
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
INSTANT = MOMENT.with_variant(sa.Integer(), "sqlite")
AT_ONCE = 10_000
START = datetime(1970, 1, 1, tzinfo=UTC)
KEYS = ("asset", "run", "time", "model")


def upgrade() -> None:
    """Make the tables of version 0004; pack the scores that are there, and keep all of them."""
    op.create_table(
        "answer_layouts",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("axes", sa.String(), nullable=False, unique=True),
    )
    _create_archive_tables()
    op.drop_index("scores_by_moment", "scores")
    op.rename_table("scores", "scores_0002")
    _create_scores()
    _pack_scores(op.get_bind())
    op.drop_table("scores_0002")
    op.create_index("scores_by_moment", "scores", ["asset", "scored_at"])
    where = sa.text("NOT kept")
    op.create_index("scores_to_thin_out", "scores", ["asset"], sqlite_where=where, postgresql_where=where)
    _free_shadow_scores()


def _create_archive_tables() -> None:
    op.create_table(
        "archives",
        sa.Column("id", sa.Integer(), primary_key=True),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("twin", "kind", "file", "digest")),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("last_batch", COUNT, nullable=False, server_default="0"),
        *(sa.Column(name, MOMENT, nullable=False) for name in ("since", "until", "written_at")),
        sa.Column("dropped", sa.Integer(), nullable=False, server_default="0"),
    )
    op.create_index("archives_by_kind", "archives", ["twin", "kind", "id"])
    op.create_table(
        "hours",
        sa.Column("asset", sa.Integer(), sa.ForeignKey("assets.id"), primary_key=True),
        *(sa.Column(name, sa.Integer(), primary_key=True) for name in ("run", "hour", "archive")),
        sa.Column("count", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Double(), nullable=False) for name in ("first_time", "last_time")),
        *(sa.Column(name, INSTANT, nullable=False) for name in ("first_at", "last_at")),
        sa.Column("layout", sa.Integer(), nullable=False),
        sa.Column("channels", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "holds",
        sa.Column("asset", sa.Integer(), sa.ForeignKey("assets.id"), primary_key=True),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("because", "actor")),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("released_at", MOMENT),
    )


def _create_scores() -> None:
    op.create_table(
        "scores",
        sa.Column("asset", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("run", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("time", sa.Double(), primary_key=True),
        sa.Column("model", sa.Integer(), sa.ForeignKey("models.id"), primary_key=True),
        sa.Column("scored_at", INSTANT, nullable=False),
        sa.Column("age", sa.Double(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Double()) for name in ("rul", "rul_low", "rul_high")),
        sa.Column("layout", sa.Integer(), nullable=False),
        sa.Column("probabilities", sa.LargeBinary(), nullable=False),
        *(sa.Column(name, sa.JSON(), nullable=False) for name in ("diagnosis", "warnings")),
        sa.Column("kept", sa.Boolean(), nullable=False),
        sqlite_with_rowid=False,
    )


def _pack_scores(connection: sa.Connection) -> None:
    """Copy the scores, some thousands at a time, all of them as kept; the old table and the new one stand together."""
    old, new = _table("scores_0002", {"scored_at": MOMENT}), _table("scores", {"scored_at": INSTANT})
    count = connection.execute(sa.select(sa.func.count()).select_from(old)).scalar_one()
    if count:
        words = "packing %d scores, once; until it is done the store needs room for them a second time"
        logging.getLogger("foretwin.store").warning(words, count)
    key = sa.tuple_(*(old.c[name] for name in KEYS))
    layouts: dict[str, int] = {}
    rows = connection.execute(sa.select(old).order_by(*(old.c[name] for name in KEYS)).limit(AT_ONCE)).all()
    while rows:
        connection.execute(sa.insert(new), [_packed(connection, dict(row._mapping), layouts) for row in rows])
        last = sa.tuple_(*(sa.literal(getattr(rows[-1], name), old.c[name].type) for name in KEYS))
        further = sa.select(old).where(key > last).order_by(*(old.c[name] for name in KEYS)).limit(AT_ONCE)
        rows = connection.execute(further).all()


def _table(name: str, moments: dict[str, Any]) -> sa.TableClause:
    types: dict[str, Any] = {"asset": sa.Integer(), "run": sa.Integer(), "time": sa.Double(), "model": sa.Integer()}
    types |= {**moments, "age": sa.Double(), "rows": sa.Integer()}
    types |= {name: sa.Double() for name in ("rul", "rul_low", "rul_high")}
    if name == "scores":
        types |= {"layout": sa.Integer(), "probabilities": sa.LargeBinary(), "kept": sa.Boolean()}
    else:
        types |= {"faults": sa.JSON()}
    types |= {"diagnosis": sa.JSON(), "warnings": sa.JSON()}
    return sa.table(name, *(sa.column(column, kind) for column, kind in types.items()))


def _packed(connection: sa.Connection, row: dict[str, Any], layouts: dict[str, int]) -> dict[str, Any]:
    """Return the row of the new table; `layouts` are the answers' layouts so far."""
    faults = row.pop("faults")
    axes = json.dumps({axis: list(classes) for axis, classes in faults.items()}, separators=(",", ":"))
    if axes not in layouts:
        new = sa.insert(sa.table("answer_layouts", sa.column("id"), sa.column("axes"))).values(axes=axes)
        layouts[axes] = connection.execute(new.returning(sa.column("id"))).scalar_one()
    values = [probability for classes in faults.values() for probability in classes.values()]
    if connection.dialect.name == "sqlite":
        row["scored_at"] = (row["scored_at"].replace(tzinfo=UTC) - START) // timedelta(microseconds=1)
    packed = struct.pack(f"<{len(values)}d", *values)
    return {**row, "layout": layouts[axes], "probabilities": packed, "kept": True}


def _free_shadow_scores() -> None:
    """Make shadow_scores anew without its foreign key to readings, which may age out before it."""
    op.drop_index("shadow_scores_by_model", "shadow_scores")
    op.rename_table("shadow_scores", "shadow_scores_0002")
    op.create_table(
        "shadow_scores",
        sa.Column("asset", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("run", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("time", sa.Double(), primary_key=True),
        sa.Column("model", sa.Integer(), sa.ForeignKey("models.id"), primary_key=True),
        sa.Column("scored_at", MOMENT, nullable=False),
        *(sa.Column(name, sa.Double()) for name in ("rul", "rul_low", "rul_high")),
        sa.Column("diagnosis", sa.JSON(), nullable=False),
    )
    names = "asset, run, time, model, scored_at, rul, rul_low, rul_high, diagnosis"
    op.execute(f"INSERT INTO shadow_scores ({names}) SELECT {names} FROM shadow_scores_0002")  # noqa: S608 - constants
    op.drop_table("shadow_scores_0002")
    op.create_index("shadow_scores_by_model", "shadow_scores", ["model", "scored_at"])
