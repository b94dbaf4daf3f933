"""The champion that the registry's alias names is kept, and nothing is written where nothing has moved."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from foretwin import registry
from foretwin.champion.champion import champion_stamp, file_stamp, load_champion
from foretwin.champion.golden import check_golden
from foretwin.dataset.table import read_rows, write_rows
from foretwin.registry.sync import follow_registry
from support.registry_project import TWIN, Project, measured
from support.tiny_bundle import tiny_twin

pytest_plugins = ["support.registry_project"]


@pytest.fixture
def kept(promoted: Project) -> Project:
    """A project whose version 1 is kept, and whose version 2 somebody has just made the champion of the registry."""
    promoted.train(2, 8)
    assert promoted.promote()["version"] == "2"
    registry.set_champion(promoted.root, "pump", "1")
    assert list(follow_registry(promoted.root)) == [{"twin": "pump", "version": "1", "before": "2"}]
    registry.set_champion(promoted.root, "pump", "2")
    return promoted


def test_the_champion_that_the_alias_names_is_kept_with_its_record(kept):
    assert list(follow_registry(kept.root)) == [{"twin": "pump", "version": "2", "before": "1"}]
    champion = load_champion(kept.root, "pump")
    assert champion.identity.version == "2"
    assert champion.record.metrics == measured(8)
    assert champion.record.commit == "c" * 40
    assert champion.record.gate is not None
    assert champion.record.gate["promoted"]
    assert any("version 1" in reason for reason in champion.record.gate["reasons"])
    assert champion.record.promoted_at is not None
    assert timedelta() <= datetime.now(UTC) - champion.record.promoted_at < timedelta(hours=1)
    check_golden(kept.paths.models / "champion", champion.bundle)


def test_an_alias_that_is_moved_back_brings_the_version_before_with_its_own_record(kept):
    first = load_champion(kept.root, "pump")
    list(follow_registry(kept.root))
    registry.set_champion(kept.root, "pump", "1")
    assert list(follow_registry(kept.root)) == [{"twin": "pump", "version": "1", "before": "2"}]
    champion = load_champion(kept.root, "pump")
    assert champion.identity == first.identity
    assert champion.record == first.record
    assert champion.record.metrics == measured(10)


def test_what_promote_and_the_stage_package_kept_is_not_kept_again(promoted):
    assert load_champion(promoted.root, "pump").identity.version == "1"
    assert list(follow_registry(promoted.root)) == []
    promoted.package()
    stamp = champion_stamp(promoted.root, "pump")
    assert list(follow_registry(promoted.root)) == []
    assert champion_stamp(promoted.root, "pump") == stamp


def test_looking_leaves_the_store_untouched(kept):
    stamps = []
    for expected in ([{"twin": "pump", "version": "2", "before": "1"}], []):
        stamps.append(file_stamp(kept.root / "mlflow.db"))
        assert list(follow_registry(kept.root)) == expected
        stamps.append(file_stamp(kept.root / "mlflow.db"))
    assert len(set(stamps)) == 1
    assert not list(kept.root.glob("mlflow.db-*"))


@pytest.mark.parametrize("there", ["nothing", "an empty file"])
def test_a_project_without_a_store_stays_without_one(tmp_path, own_store, there):
    database = tmp_path / "mlflow.db"
    if there != "nothing":
        database.touch()
    assert list(follow_registry(tmp_path)) == []
    assert [path.stat().st_size for path in tmp_path.iterdir()] == ([] if there == "nothing" else [0])


def test_a_tampered_bundle_is_not_kept_and_the_change_says_so(kept):
    folder = registry.champion(kept.root, "pump").folder
    (folder / "network.onnx").write_bytes(b"another network")
    stamp = champion_stamp(kept.root, "pump")
    (change,) = follow_registry(kept.root)
    assert change["twin"] == "pump"
    assert "network.onnx: missing, unknown or altered" in change["error"]
    assert champion_stamp(kept.root, "pump") == stamp


def test_a_version_that_was_registered_by_somebody_else_is_not_kept(kept):
    client = kept.client
    client.create_registered_model("foretwin-fan")
    client.create_model_version("foretwin-fan", str(kept.root / "somewhere"))
    client.set_registered_model_alias("foretwin-fan", "champion", "1")
    changes = list(follow_registry(kept.root))
    assert changes[0] == {"twin": "fan", "error": "foretwin-fan version 1: was not registered by Foretwin"}
    assert changes[1]["version"] == "2"  # and the pump is followed nevertheless
    assert not (kept.root / "models" / "fan").exists()


def test_a_model_of_another_twin_is_not_kept(kept):
    pump = kept.client.get_model_version("foretwin-pump", "2")
    kept.client.create_registered_model("foretwin-fan")
    kept.client.create_model_version("foretwin-fan", pump.source, tags=pump.tags)
    kept.client.set_registered_model_alias("foretwin-fan", "champion", "1")
    assert next(follow_registry(kept.root)) == {
        "twin": "fan",
        "error": "foretwin-fan version 1: is a model of pump",
    }


def test_a_damaged_champion_is_replaced(kept):
    list(follow_registry(kept.root))
    (kept.paths.models / "champion" / "identity.json").write_text("{}")
    assert list(follow_registry(kept.root)) == [{"twin": "pump", "version": "2", "before": None}]
    assert load_champion(kept.root, "pump").bundle.contract == tiny_twin()


def test_a_verdict_says_when_it_was_made_and_a_champion_that_stays_keeps_its_moment(promoted):
    verdict = json.loads((promoted.paths.models / "promotion.json").read_text())
    assert timedelta() <= datetime.now(UTC) - datetime.fromisoformat(verdict["decided_at"]) < timedelta(hours=1)
    earlier = {**verdict, "decided_at": "2026-01-01T00:00:00+00:00"}
    (run,) = promoted.runs("pipeline")  # of a copied project, under another id than the verdict has
    promoted.client.log_text(run.info.run_id, json.dumps(earlier), "promotion.json")
    test = promoted.paths.windows / "test.parquet"
    rows = read_rows(test, TWIN)
    write_rows(rows[rows["asset"] != rows["asset"].iat[0]], TWIN, test)
    promoted.evaluate()  # the same bundle once more, on other rows
    again = promoted.promote()
    assert again["evidence"] != verdict["evidence"]
    assert again["decided_at"] == earlier["decided_at"]
    promoted.train(2, 8)
    assert promoted.promote()["decided_at"] > verdict["decided_at"][:10]
