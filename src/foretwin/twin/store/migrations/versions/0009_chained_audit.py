"""A chain of digests over the audit, and triggers that keep both from being changed."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from foretwin.twin.store.casework.audit_chain import FIRST, entry_digest, link_digest
from foretwin.twin.store.column_types import Moment

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COUNT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
AUDIT = sa.table(
    "audit",
    sa.column("id", COUNT),
    sa.column("at", Moment()),
    *(sa.column(name, kind) for name, kind in (("actor", sa.String()), ("action", sa.String()))),
    *(sa.column(name, sa.Integer()) for name in ("asset", "case")),
    sa.column("detail", sa.JSON()),
)
ALLOWED = "EXISTS (SELECT 1 FROM audit_chain WHERE entry = OLD.id AND gone IS NOT NULL)"
CHANGED = (
    "OLD.position <> NEW.position OR OLD.content <> NEW.content OR OLD.digest <> NEW.digest"
    " OR (OLD.gone IS NOT NULL AND NEW.gone IS NULL)"
)
# name, table, when, the condition under which it is refused
TRIGGERS = (
    ("audit_is_not_changed", "audit", "UPDATE", f"NOT {ALLOWED}"),
    ("audit_is_not_deleted", "audit", "DELETE", f"NOT {ALLOWED}"),
    ("audit_chain_is_not_changed", "audit_chain", "UPDATE", CHANGED),
    ("audit_chain_is_not_deleted", "audit_chain", "DELETE", "1 = 1"),
)


def upgrade() -> None:
    """Make the chain over the entries that are there, in the order of their numbers, and the triggers."""
    chain = op.create_table(
        "audit_chain",
        sa.Column("position", COUNT, autoincrement=False, nullable=False),
        sa.Column("entry", COUNT, nullable=True),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("gone", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("entry"),
    )
    links = list(_links(op.get_bind()))
    if links:
        op.bulk_insert(chain, links)
    for name, table, what, condition in TRIGGERS:
        if op.get_bind().dialect.name == "postgresql":
            _guard_postgresql(name, table, what, condition)
        else:
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {what} ON {table} WHEN {condition}"
                f" BEGIN SELECT RAISE(ABORT, '{table}: is only appended to'); END"
            )


def downgrade() -> None:
    """Drop triggers and chain; the entries stay."""
    for name, table, _, _ in TRIGGERS:
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"DROP TRIGGER {name} ON {table}")
            op.execute(f"DROP FUNCTION {name}()")
        else:
            op.execute(f"DROP TRIGGER {name}")
    op.drop_table("audit_chain")


def _links(connection: sa.Connection) -> Iterator[dict[str, object]]:
    digest = FIRST
    for position, row in enumerate(connection.execute(sa.select(AUDIT).order_by(AUDIT.c.id)), 1):
        content = entry_digest(row)
        digest = link_digest(digest, content)
        yield {"position": position, "entry": row.id, "content": content, "digest": digest, "gone": None}


def _guard_postgresql(name: str, table: str, what: str, condition: str) -> None:
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {condition} THEN"
        f" RAISE EXCEPTION '{table}: is only appended to'; END IF;"
        f" RETURN {'OLD' if what == 'DELETE' else 'NEW'}; END $$"
    )
    op.execute(f"CREATE TRIGGER {name} BEFORE {what} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")
