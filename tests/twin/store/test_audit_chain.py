"""The audit is only appended to: the database refuses a change, and one behind its back breaks the chain."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from foretwin.errors import StoreError
from foretwin.twin.store import open_store
from foretwin.twin.store.aging.due_records import AUDIT, drop_records
from foretwin.twin.store.casework import audit
from foretwin.twin.store.casework.audit_chain import FIRST, verify_chain
from support.commands import refusal, shown
from support.stored_case import store_case
from support.tiny_bundle import tiny_twin

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
TRIGGERS = ("audit_is_not_changed", "audit_is_not_deleted", "audit_chain_is_not_changed", "audit_chain_is_not_deleted")


def state(store, noted=None):
    with store.read() as connection:
        return verify_chain(connection, noted)


def note(store, *actions: str) -> None:
    with store.write() as connection:
        for number, action in enumerate(actions):
            audit.record(connection, "ann", action, {"n": number, "x": 0.1}, NOON + timedelta(microseconds=number))


def behind_its_back(store, statement: str) -> None:
    """What somebody does who owns the database, and its triggers."""
    with store.engine.begin() as connection:
        for name in TRIGGERS:
            table = "audit_chain" if "chain" in name else "audit"
            on = f" ON {table}" if connection.dialect.name == "postgresql" else ""
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}{on}")
        connection.exec_driver_sql(statement)


def test_every_entry_is_chained_with_its_transaction(store):
    assert state(store).head == f"0:{FIRST}"
    store_case(store, tiny_twin("pump"), "mode.wear")
    note(store, "a", "b")
    first = state(store)
    assert first.entries >= 3
    with pytest.raises(RuntimeError, match="undone"), store.write() as connection:  # noqa: PT012
        audit.record(connection, "ann", "undone", {}, NOON)
        raise RuntimeError("undone")
    note(store, "c")
    assert state(store).entries == first.entries + 1
    assert state(store, first.head).head != first.head


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'eve' WHERE id = 2",
        "DELETE FROM audit WHERE id = 2",
        "UPDATE audit_chain SET content = digest WHERE position = 2",
        "DELETE FROM audit_chain WHERE position = 3",
    ],
)
def test_the_database_refuses_a_change_and_one_behind_its_back_is_found(store, statement):
    note(store, "a", "b", "c")
    with pytest.raises(Exception, match="is only appended to"), store.engine.begin() as connection:
        connection.execute(text(statement))
    assert state(store).entries == 3
    behind_its_back(store, statement)
    with pytest.raises(StoreError, match=r"audit: .*(changed|taken out|follow|in no chain)"):
        state(store)


def test_an_entry_that_somebody_slips_in_is_found(store):
    note(store, "a")
    behind_its_back(
        store, "INSERT INTO audit (id, at, actor, action, detail) SELECT 9, at, actor, action, detail FROM audit"
    )
    with pytest.raises(StoreError, match="number 9 is in no chain"):
        state(store)


def test_a_chain_that_was_cut_is_told_by_a_noted_head(store):
    note(store, "a", "b")
    noted = state(store).head
    behind_its_back(store, "DELETE FROM audit_chain WHERE position = 2")
    behind_its_back(store, "DELETE FROM audit WHERE id = 2")
    assert state(store).entries == 1, "who owns the database can cut its end"
    with pytest.raises(StoreError, match="does not go through"):
        state(store, noted)


def test_what_is_archived_stays_in_the_chain_and_its_number_may_come_again(store):
    note(store, "a", "b", "c")
    with store.write() as connection:
        assert drop_records(connection, AUDIT, [{"id": 2}, {"id": 3}]) == 2
    note(store, "d")
    found = state(store)
    assert (found.entries, found.archived, found.erased) == (4, 2, 0)


def test_the_command_tells_the_head_and_what_was_changed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///twins.db")
    note(store, "a", "b")
    said = shown("audit", "verify")
    assert said.startswith("2 entries, each follows the one before it (0 archived, 0 erased); head 2:")
    head = said.rpartition(" ")[2]
    note(store, "c")
    assert "3 entries" in shown("audit", "verify", "--noted", head)
    behind_its_back(store, "UPDATE audit SET actor = 'eve' WHERE id = 2")
    assert refusal("audit", "verify") == ("audit: entry 2 of the chain, number 2, was changed: compare with a backup")
    store.close()
