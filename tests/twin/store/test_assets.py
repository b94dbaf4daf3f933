"""Assets in the store: registered, described, fitted with parts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from foretwin.errors import BadInput, Conflict, NotFound
from foretwin.project.contracts import load_contracts
from foretwin.twin.store import assets
from foretwin.wire.asset_names import is_name

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_registering_again_changes_nothing(store):
    with store.write() as connection:
        first = assets.register_assets(connection, "pump", ["a", "b", "a"], NOON)
    with store.write() as connection:
        again = assets.register_assets(connection, "pump", ["b", "c"], NOON + timedelta(days=1))
    assert list(first) == ["a", "b"]
    assert again["b"] == first["b"]
    assert (again["c"].registered_at, again["c"].run, again["c"].time) == (NOON + timedelta(days=1), 1, None)
    assert (first["a"].tags, first["a"].readings, first["a"].twin) == ({}, 0, "pump")


def test_an_asset_of_another_twin_is_a_conflict_and_nobody_is_registered(store):
    with store.write() as connection:
        assets.register_assets(connection, "pump", ["a"], NOON)

    def register():
        with store.write() as connection:
            assets.register_assets(connection, "fan", ["b", "a"], NOON)

    with pytest.raises(Conflict, match="a is a pump already"):
        register()
    with store.read() as connection:
        assert assets.find_all(connection, ["a", "b"]).keys() == {"a"}


def test_an_asset_that_is_not_there_is_not_found(store):
    with store.read() as connection:
        with pytest.raises(NotFound, match="asset: 'x' is not known"):
            assets.find_asset(connection, "x")
        assert assets.find_all(connection, []) == {}
        assert assets.by_id(connection, [1]) == {}


def test_many_names_are_found_at_once(store):
    names = [f"P-{i}" for i in range(25_000)]
    with store.write() as connection:
        known = assets.register_assets(connection, "pump", names, NOON)
        assert list(known) == names
        assert assets.find_all(connection, names) == known
        assert len(assets.by_id(connection, [asset.id for asset in known.values()])) == 25_000


@pytest.mark.parametrize("name", ["", "a/b", "a+", "#", "a\nb", "a\x00", "a\x7f", "\ud800", "x" * 201, 7, None])
def test_what_would_break_a_path_or_a_topic_is_no_name(name):
    assert not is_name(name)


def test_an_asset_without_a_name_is_not_registered(store):
    with store.write() as connection, pytest.raises(BadInput):
        assets.register_assets(connection, "pump", ["a", "b/c"], NOON)
    with store.read() as connection:
        assert assets.find_all(connection, ["a"]) == {}


def test_names_may_be_of_any_script():
    assert all(is_name(name) for name in ("P-017", "Pumpe 4 (Süd)", "ポンプ", "x" * 200))


def test_an_asset_is_described(store):
    with store.write() as connection:
        asset = assets.register_assets(connection, "pump", ["a"], NOON)["a"]
        changed = assets.describe_asset(connection, asset, {"location": "hall 3", "tags": {"line": "B"}})
        assert changed == replace(asset, location="hall 3", tags={"line": "B"})
        assert assets.describe_asset(connection, changed, {}) == changed
        assert assets.find_asset(connection, "a") == changed
        with pytest.raises(BadInput, match="serial_number, location, tags"):
            assets.describe_asset(connection, asset, {"name": "b"})


def test_a_part_that_is_fitted_takes_the_place_of_the_one_before(store):
    with store.write() as connection:
        asset = assets.register_assets(connection, "pump", ["a"], NOON)["a"]
        for day, serial_number in enumerate(("S-1", "S-2")):
            assets.fit_part(connection, asset, "bearing", serial_number, None, NOON + timedelta(days=day))
        assets.fit_part(connection, asset, "impeller", None, "supplier X", NOON)
        now = [(part.part, part.serial_number) for part in assets.fitted_parts(connection, asset.id)]
        before = assets.fitted_parts(connection, asset.id, NOON + timedelta(hours=1))
        changed = assets.fitted_parts(connection, asset.id, NOON + timedelta(days=1))
        assert assets.fitted_parts(connection, asset.id, NOON - timedelta(hours=1)) == []
    assert now == [("bearing", "S-2"), ("impeller", None)]
    assert [(part.part, part.serial_number) for part in before] == [("bearing", "S-1"), ("impeller", None)]
    assert before[0].removed_at == NOON + timedelta(days=1)
    assert changed[0].serial_number == "S-2"


def test_a_run_begins(store):
    with store.write() as connection:
        asset = assets.register_assets(connection, "pump", ["a"], NOON)["a"]
        assets.begin_run(connection, asset, 5)
        assert assets.find_asset(connection, "a") == replace(asset, run=5)


def test_the_contracts_of_a_project_are_found_by_name(tmp_path):
    from support.tiny_bundle import REPOSITORY

    shipped = load_contracts(REPOSITORY)
    assert {"pump", "hydraulic"} <= shipped.keys()
    assert all(contract.name == name for name, contract in shipped.items())
    assert load_contracts(tmp_path) == {}
