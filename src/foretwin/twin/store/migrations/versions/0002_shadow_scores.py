"""What a candidate says beside the champion, and a twin's open cases of more than one kind."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OPEN_OF_A_FLEET = sa.text("state <> 'closed' AND asset IS NULL")


def upgrade() -> None:
    """Make the table of shadow scores; let a fleet have one open case of each kind beside its digest."""
    op.create_table(
        "shadow_scores",
        sa.Column("asset", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("model", sa.Integer(), nullable=False),
        sa.Column("scored_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rul", sa.Double(), nullable=True),
        sa.Column("rul_low", sa.Double(), nullable=True),
        sa.Column("rul_high", sa.Double(), nullable=True),
        sa.Column("diagnosis", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["asset", "run", "time"], ["readings.asset", "readings.run", "readings.time"]),
        sa.ForeignKeyConstraint(["model"], ["models.id"]),
        sa.PrimaryKeyConstraint("asset", "run", "time", "model"),
    )
    op.create_index("shadow_scores_by_model", "shadow_scores", ["model", "scored_at"], unique=False)
    op.drop_index("one_digest_per_twin", "cases")
    op.create_index(
        "one_fleet_case_per_twin_and_fault",
        "cases",
        ["twin", "fault"],
        unique=True,
        sqlite_where=OPEN_OF_A_FLEET,
        postgresql_where=OPEN_OF_A_FLEET,
    )
