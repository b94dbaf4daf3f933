"""How pressing each asset is, beside it and in an index: its newest score's RUL, its open cases, their safe date."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

NEVER = {"sqlite": "'9999-01-01 00:00:00.000000'", "postgresql": "'9999-01-01 00:00:00+00'::timestamptz"}
FILL = """INSERT INTO urgencies (asset, severity, due, rul_low, open_cases, word)
SELECT id,
    coalesce((SELECT min(CASE severity WHEN 'urgent' THEN 0 ELSE 1 END) FROM cases WHERE {open}), 2),
    coalesce((SELECT min(latest_safe_date) FROM cases WHERE {open}), {never}),
    coalesce((SELECT rul_low FROM scores WHERE {newest}), 1e300),
    (SELECT count(*) FROM cases WHERE {open}),
    (SELECT CASE WHEN CAST(warnings AS TEXT) LIKE '%"out_of_training_range: %' THEN 'off_specification' ELSE 'good' END
        FROM scores WHERE {newest})
FROM assets"""
OPEN = "cases.asset = assets.id AND state <> 'closed'"
NEWEST = "scores.asset = assets.id AND scores.run = assets.run ORDER BY scores.time DESC, scored_at DESC LIMIT 1"


def upgrade() -> None:
    """Add the table and what it says of the assets that are there."""
    op.create_table(
        "urgencies",
        sa.Column("asset", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rul_low", sa.Double(), nullable=False),
        sa.Column("open_cases", sa.Integer(), nullable=False),
        sa.Column("word", sa.String()),
        sa.ForeignKeyConstraint(["asset"], ["assets.id"]),
        sa.PrimaryKeyConstraint("asset"),
    )
    name = op.get_bind().dialect.name
    filled = FILL.format(open=OPEN, newest=NEWEST, never=NEVER[name])
    op.get_bind().exec_driver_sql(filled.replace("%", "%%") if name == "postgresql" else filled)
    op.create_index("urgencies_in_order", "urgencies", ["severity", "due", "rul_low", "asset"])
