"""What a test leaves in a database of PostgreSQL is nothing that the next one finds in it."""

from datetime import UTC, datetime

import psycopg
import pytest

from foretwin.twin.store import assets, open_store

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
BY_PAGE = "SELECT relname FROM pg_class WHERE relname IN ('assets', 'audit') AND pg_relation_size(oid) > 0"


def fill(url: str) -> int:
    """The number of the first asset, registered in a store whose connection stays open."""
    store = open_store(url)
    with store.write() as connection:
        return assets.register_assets(connection, "pump", ["a"], NOON)["a"].id


def test_on_postgresql_the_next_test_finds_no_row_no_page_and_the_first_number(databases):
    url = databases.take()
    assert fill(url) == 1
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO audit (at, actor, action, detail) VALUES (now(), 'me', 'x', '{}')")
        assert connection.execute(BY_PAGE).fetchall()
        connection.execute("SELECT setval(pg_get_serial_sequence('batches', 'id'), 5000, false)")
    databases.give_back(url)
    assert databases.take() == url
    with psycopg.connect(url) as connection:
        assert connection.execute(BY_PAGE).fetchall() == []
        assert connection.execute("SELECT nextval(pg_get_serial_sequence('batches', 'id'))").fetchone() == (1,)
    assert fill(url) == 1
    databases.give_back(url)


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE more (a INTEGER)",
        "ALTER TABLE assets ADD COLUMN more TEXT",
        "ALTER TABLE assets DISABLE TRIGGER ALL",
        "DROP INDEX ix_cases_asset",
        "CREATE VIEW more AS SELECT 1",
        "GRANT SELECT ON assets TO PUBLIC",
        "UPDATE alembic_version SET version_num = '0001'",
        "CREATE SCHEMA more",
        "CREATE SEQUENCE more",
    ],
)
def test_on_postgresql_a_database_that_is_otherwise_than_it_was_is_dropped(databases, change):
    url = databases.take()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(change)
    databases.give_back(url)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)
