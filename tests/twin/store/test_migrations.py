"""A store of schema 0002 with content is opened: every score, reading and shadow score is there as it was."""

import json
from datetime import UTC, datetime, timedelta

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, select, text

from foretwin.serving.access.bounds import UNBOUND
from foretwin.twin.store import listing, open_store
from foretwin.twin.store.database import MIGRATIONS
from foretwin.twin.store.health import count_health
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.scores import Score
from foretwin.twin.store.scoring.urgency import NEVER, UNKNOWN
from foretwin.twin.store.summaries import urgencies
from foretwin.twin.store.tables import readings, shadow_scores
from foretwin.twin.store.telemetry import windows
from support.stored_readings import count

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
FAULTS = {"mode": {"healthy": 0.1234567890123, "wear": 0.7, "leak": 0.1765432109877}, "bearing": {"good": 1.0}}
DIAGNOSIS = {"mode": "wear", "bearing": "good"}
SCORES = 25


def old_store(url):
    """A store as version 0002 made it, with an asset, its readings and their scores."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        at = NOON if connection.dialect.name == "postgresql" else NOON.replace(tzinfo=None)
        moments = [str(at + timedelta(minutes=i, microseconds=i)) for i in range(SCORES)]
        asset = (
            "INSERT INTO assets (id, twin, name, tags, registered_at, batch, scored_batch)"
            " VALUES (1, 'pump', 'P-1', '{}', :at, 1, 0), (2, 'pump', 'P-2', '{}', :at, 1, 1)"
        )
        connection.execute(text(asset), {"at": str(at)})
        connection.execute(text("INSERT INTO batches (id, received_at, via) VALUES (1, :at, 'http')"), {"at": str(at)})
        connection.execute(
            text(
                "INSERT INTO models (id, twin, name, version, run, digest, contract, first_used_at)"
                " VALUES (1, 'pump', 'm', '1', 'r', 'd', 'c', :at), (2, 'pump', 'm', '2', 'r', 'e', 'c', :at)"
            ),
            {"at": str(at)},
        )
        said = {"f": json.dumps(FAULTS, separators=(",", ":")), "d": json.dumps(DIAGNOSIS), "w": '["rul_at_cap: 100"]'}
        for i, moment in enumerate(moments):
            values = {"i": float(i), "at": moment, "rul": 50.0 + i / 7} | said
            reading = "INSERT INTO readings (asset, run, time, batch, layout, channels) VALUES (1, 1, :i, 1, 1, :c)"
            connection.execute(text(reading), {"i": float(i), "c": b"\0\0\0\0"})
            columns = "asset, run, time, model, scored_at, rul, rul_low, rul_high, diagnosis"
            head = f"({columns}) VALUES (1, 1, :i, 2, :at, :rul, NULL, NULL, :d)"
            connection.execute(text(f"INSERT INTO shadow_scores {head}"), values)
            columns = (
                "asset, run, time, model, scored_at, age, rows, rul, rul_low, rul_high, faults, diagnosis, warnings"
            )
            head = f"({columns}) VALUES (1, 1, :i, 1, :at, 0.25, 8, :rul, 40, NULL, :f, :d, :w)"
            connection.execute(text(f"INSERT INTO scores {head}"), values)
    engine.dispose()


def test_scores_of_the_schema_before_are_packed_and_stay_what_they_were(store_url):
    old_store(store_url)
    store = open_store(store_url)
    with store.read() as connection:
        found = scores.history(connection, 1, None, None, 1000)[::-1]
    expected = [
        Score(1, 1, float(i), 1, at, 0.25, 8, 50 + i / 7, 40.0, None, FAULTS, DIAGNOSIS, ["rul_at_cap: 100"])
        for i, at in enumerate(NOON + timedelta(minutes=i, microseconds=i) for i in range(SCORES))
    ]
    assert found == expected
    assert count(store, shadow_scores) == count(store, readings) == SCORES
    with store.read() as connection:
        assert windows.with_news(connection, "pump").asset.tolist() == [1]
    with store.read() as connection:
        rows = connection.execute(select(urgencies).order_by(urgencies.c.asset)).all()
        listed = listing.list_fleet(connection, listing.Page(9, 0, "urgency", False), {}, None, {})
        counted = count_health(connection, {}, UNBOUND)
    assert rows == [(1, 2, NEVER, 40.0, 0, "good", False, False), (2, 2, NEVER, UNKNOWN, 0, None, False, False)]
    assert [(one["health"], one["assets"]) for one in counted] == [("check_function", 1), ("good", 1)]
    assert [row["id"] for row in listed] == [1, 2]
    with store.write() as connection:  # an old score is the last one kept for the next
        scores.add_scores(connection, [expected[-1]])
    with store.read() as connection:
        assert scores.history(connection, 1, None, None, 1000)[::-1] == expected
    store.close()
