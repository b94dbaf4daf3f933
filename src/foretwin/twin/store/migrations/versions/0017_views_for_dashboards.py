"""Views with stable names for dashboards, in PostgreSQL alone."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

ASSETS = """CREATE VIEW v_assets AS
    SELECT a.name AS asset, a.twin, a.serial_number, a.location, a.tags, a.tags ->> 'owner' AS owner, a.registered_at,
        a.run, a.time, a.received_at AS last_reading_at, a.is_silent, a.readings, a.late, a.duplicates, a.gaps,
        a.quarantined, newest.scored_at, newest.rul, newest.rul_low, newest.rul_high, newest.diagnosis,
        open.cases AS open_cases, open.urgent AS urgent_cases, open.latest_safe_date
    FROM assets a
    LEFT JOIN LATERAL (
        SELECT s.scored_at, s.rul, s.rul_low, s.rul_high, s.diagnosis FROM scores s
        WHERE s.asset = a.id AND s.run = a.run ORDER BY s.scored_at DESC LIMIT 1
    ) newest ON true
    CROSS JOIN LATERAL (
        SELECT count(*) AS cases, count(*) FILTER (WHERE c.severity = 'urgent') AS urgent,
            min(c.latest_safe_date) AS latest_safe_date
        FROM cases c WHERE c.asset = a.id AND c.state <> 'closed'
    ) open"""
SCORES = """CREATE VIEW v_scores AS
    SELECT a.name AS asset, a.twin, a.tags ->> 'owner' AS owner, s.run, s.time, s.scored_at, s.rows, s.rul, s.rul_low,
        s.rul_high, s.diagnosis, s.warnings, m.name AS model, m.version
    FROM scores s JOIN assets a ON a.id = s.asset JOIN models m ON m.id = s.model"""
CASES = """CREATE VIEW v_cases AS
    SELECT c.id, c.twin, a.name AS asset, a.location, a.tags ->> 'owner' AS owner, c.fault, c.state, c.severity,
        c.assignee, c.opened_at, c.updated_at, c.acknowledged_at, c.planned_for, c.snoozed_until, c.closed_at,
        c.closed_because, c.rul, c.rul_low, c.rul_high, c.probability, c.latest_safe_date, c.undated,
        v.verdict, v.at AS verdict_at
    FROM cases c LEFT JOIN assets a ON a.id = c.asset LEFT JOIN verdicts v ON v."case" = c.id"""


def upgrade() -> None:
    """Create the views."""
    if op.get_bind().dialect.name == "postgresql":
        for view in (ASSETS, SCORES, CASES):
            op.execute(view)
