"""Who looks after a case, until when it should be done, for when it is planned, how long it rests; comments."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

MOMENTS, TEXTS = ("latest_safe_date", "planned_for", "snoozed_until"), ("undated", "assignee", "snoozed_because")


def upgrade() -> None:
    """Add the columns, which are empty for the cases that are there until their next score, and the comments."""
    for name in MOMENTS:
        op.add_column("cases", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    for name in TEXTS:
        op.add_column("cases", sa.Column(name, sa.String(), nullable=True))
    op.create_index("cases_by_state", "cases", ["state", "latest_safe_date", "id"])
    op.create_table(
        "case_comments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("case", sa.Integer(), nullable=False),
        sa.Column("asset", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["case"], ["cases.id"]),
        sa.ForeignKeyConstraint(["asset"], ["assets.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_case_comments_case", "case_comments", ["case"])
    op.create_index("ix_case_comments_asset", "case_comments", ["asset"])
