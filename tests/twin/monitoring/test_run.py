"""Looks of the monitor at real stores: clean fleets, drift and its case, and what it says where it cannot compare."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select

from foretwin.champion.identity import ModelIdentity
from foretwin.errors import BadInput
from foretwin.twin.cases import board, feedback
from foretwin.twin.monitoring.drift_case import keep_case
from foretwin.twin.monitoring.sample import healthy_words, newest_healthy
from foretwin.twin.store.casework import cases
from foretwin.twin.store.scoring import monitoring
from foretwin.twin.store.scoring.monitoring import Healthy
from foretwin.twin.store.tables import cases as case_table
from foretwin.twin.store.tables import events
from foretwin.twin.store.tables import scores as score_table
from support.live_project import live, score
from support.monitored_fleet import PUMP, keep_reference, live_through, look, machines, monitored_project
from support.stored_readings import store_rows
from support.tiny_bundle import keep_tiny_champion

pytestmark = pytest.mark.dated

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
CHAMPION = ModelIdentity("foretwin-pump", "3", "run", "d" * 64)


def fleet_cases(store):
    with store.read() as connection:
        return connection.execute(select(case_table).where(case_table.c.asset.is_(None)).order_by("id")).all()


def test_a_quiet_store_has_nothing_to_compare_yet(store, tmp_path):
    report = look(store, monitored_project(tmp_path))
    assert "nothing to compare yet" in report["verdict"]["summary"]
    assert (report["verdict"]["limits_broken"], report["verdict"]["retrain"], report["case"]) == ([], False, None)
    assert (report["signals"], report["truth"]["failures"]) == ([], 0)


def test_a_clean_fleet_is_silent(store, tmp_path):
    root = monitored_project(tmp_path)
    live_through(store, root, machines(20, 60, seed=3))
    report = look(store, root)
    assert report["verdict"]["summary"] == "no drift in 500 readings of 20 assets"
    assert report["drift"]["enough"]
    assert (report["verdict"]["limits_broken"], report["verdict"]["signals_broken"]) == ([], [])
    assert fleet_cases(store) == []


def test_a_shift_opens_one_case_that_lasts_until_another_champion_takes_over(store, tmp_path):
    root = monitored_project(tmp_path)
    live_through(store, root, machines(20, 60, seed=3, c1=1.5))
    report = look(store, root)
    (sentence,) = report["verdict"]["limits_broken"]
    assert sentence.startswith("c1 is +1.")
    assert report["verdict"]["drifted"]
    (case,) = fleet_cases(store)
    assert (case.fault, case.severity, case.state, report["case"]["case"]) == ("drift", "planned", "open", case.id)
    assert case.evidence["sentences"] == [sentence]
    assert [one["name"] for one in case.evidence["channels"]] == ["c1"]

    board.acknowledge_case(store, case.id, "ann", datetime.now(UTC))
    assert look(store, root)["case"] == {"case": case.id, "state": "acknowledged", "done": "refreshed"}

    (tmp_path / "trained").rename(tmp_path / "before")
    keep_tiny_champion(root, PUMP, bias=300)
    report = look(store, root)
    assert report["case"]["done"] == "closed: new_champion"
    assert "of another bundle" in report["drift"]["reason"] or "is missing" in report["drift"]["reason"]
    (case,) = fleet_cases(store)
    assert (case.state, case.closed_because) == ("closed", "new_champion")
    with store.read() as connection:
        told = connection.execute(select(events.c.type, events.c.asset).order_by(events.c.at)).all()
    kinds = [f"foretwin.case.{kind}.v1" for kind in ("opened", "acknowledged", "closed")]
    assert [(row.type, row.asset) for row in told] == [(kind, None) for kind in kinds]


def test_a_case_recovers_after_two_clean_looks_in_a_row_at_what_was_broken(store):
    def keep(sentences, looked):
        with store.write() as connection:
            broken, seen = {"drift": sentences, "truth": []}, {"drift": looked, "truth": True}
            kept = keep_case(connection, "pump", CHAMPION, broken, seen, {}, NOON)
        return kept and kept["done"]

    assert keep([], True) is None
    assert keep(["c1 has moved"], True) == "opened"
    assert keep([], False) == "kept"  # nothing could be seen: no recovery
    assert keep([], True) == "refreshed"
    assert keep(["c1 has moved"], True) == "refreshed"
    assert keep([], True) == "refreshed"
    assert keep([], True) == "closed: recovered"
    assert keep([], True) is None


def test_a_sudden_change_does_not_recover_by_silence_but_by_a_verdict(store):
    """Later looks compare shifted readings with shifted ones."""

    def keep(sentences, changed):
        details = {"channels": [{"name": "c1", "change": changed}] if sentences else []}
        with store.write() as connection:
            broken, seen = {"drift": sentences}, {"drift": True}
            kept = keep_case(connection, "pump", CHAMPION, broken, seen, details, NOON)
        return kept and kept["done"]

    assert keep(["c1 has changed"], True) == "opened"
    assert keep(["c1 is away"], False) == "refreshed"
    assert [keep([], False) for _ in range(3)] == ["kept"] * 3
    (case,) = fleet_cases(store)
    with pytest.raises(BadInput, match="a drift is confirmed or no_fault_found"):
        feedback.give_verdict(store, {"pump": PUMP}, case.id, feedback.Verdict(verdict="run_ended"), "ann", NOON)
    given = feedback.Verdict(verdict="confirmed", note="sensors were exchanged")
    assert feedback.give_verdict(store, {"pump": PUMP}, case.id, given, "ann", NOON)["verdict"] == "confirmed"
    (case,) = fleet_cases(store)
    assert (case.state, case.closed_because) == ("closed", "verdict")
    assert keep([], False) is None


def test_without_a_reference_the_other_sections_still_work(store, tmp_path):
    root = monitored_project(tmp_path)
    (root / "models/pump/champion/drift.json").unlink()
    live_through(store, root, machines(6, 20, seed=3))
    report = look(store, root)
    assert "drift.json is missing" in report["verdict"]["summary"]
    assert "`dvc repro`" in report["verdict"]["summary"]
    assert report["signals"]


def test_machines_that_stop_being_healthy_all_at_once_have_drifted(store, tmp_path):
    root = monitored_project(tmp_path)
    live_through(store, root, machines(12, 30, seed=3))
    (tmp_path / "trained").rename(tmp_path / "before")
    keep_tiny_champion(root, PUMP, bias=20)  # in place of sensors that moved: whatever is shown looks ill
    keep_reference(root)
    live_through(store, root, machines(12, 20, seed=4, start=30))
    report = look(store, root)
    (sentence,) = report["verdict"]["limits_broken"]
    assert sentence.startswith("of 12 assets that were called healthy 12 are not any more")
    assert report["case"]["done"] == "opened"

    live_through(store, root, machines(14, 20, seed=4, start=30, prefix="N"))
    assert "of 26 assets 14 were never called healthy" in look(store, root)["verdict"]["limits_broken"][0]


def test_the_newest_readings_count_and_none_after_the_last_healthy_score(store, tmp_path):
    root = monitored_project(tmp_path)
    first = live_through(store, root, machines(2, 10, seed=3), NOON)
    store_rows(store, PUMP, machines(1, 30, seed=5, prefix="Q"), NOON + timedelta(hours=1), ["speed", "c2"])
    ids = first | live_through(store, root, machines(1, 10, seed=4, prefix="R"), NOON + timedelta(hours=2))
    with store.read() as connection:
        healthy = monitoring.healthy_until(connection, ids.values(), healthy_words(PUMP))
        assert healthy == dict.fromkeys(ids.values(), (1, 9.0))
        healthy[ids["P-1"]] = (1, 4.0)
        (assets, values), (before, _) = newest_healthy(connection, PUMP, healthy, 40, 0)
    assert len(values) == 6  # no asset is more than a twentieth of what was asked for
    assert [(assets == ids[name]).sum() for name in ("P-1", "P-2", "R-1")] == [2, 2, 2]
    assert (assets[:2] == ids["R-1"]).all()  # received last
    rows = machines(2, 10, seed=3)
    expected = rows[(rows["asset"] == "P-1") & rows["time"].isin([3, 4])][list(PUMP.channel_names)]
    np.testing.assert_array_equal(values[assets == ids["P-1"]][::-1], expected)
    assert [(before == ids[name]).sum() for name in ("P-1", "P-2", "R-1")] == [3, 8, 8]


def test_a_channel_that_a_layout_lacks_is_missing(store):
    ids = store_rows(store, PUMP, machines(1, 4, seed=3), NOON, ["speed", "c2"])
    with store.read() as connection:
        places = [(ids["P-1"], 1, None)]
        ((found, _),) = monitoring.newest_readings(connection, "pump", PUMP.channel_names, places, (3, 0))
    assert found.time.tolist() == [1, 2, 3]
    assert np.isnan(found.values).any(axis=0).tolist() == [False, True, False]


@pytest.mark.parametrize(("words", "until"), [(("healthy",), (1, 5.0)), (("healthy", "unknown"), (2, 2.0))])
def test_healthy_until_reads_diagnoses_and_intervals(store, tmp_path, words, until):
    root = monitored_project(tmp_path)
    ids = live_through(store, root, machines(1, 6, seed=3))
    with store.write() as connection:
        said = connection.execute(select(score_table)).mappings().one()
        later = {**said, "time": 5.0, "diagnosis": {"mode": "healthy"}}
        connection.execute(score_table.update().values(diagnosis=later["diagnosis"]))
    live_through(store, root, machines(1, 3, seed=4).assign(run=2))
    with store.write() as connection:
        unknown = {"mode": "unknown"}
        connection.execute(score_table.update().where(score_table.c.run == 2).values(diagnosis=unknown))
    with store.read() as connection:
        healthy = Healthy({"mode": words}, PUMP.rul.cap)
        assert monitoring.healthy_until(connection, ids.values(), healthy) == {ids["P-1"]: until}
        assert monitoring.healthy_until(connection, ids.values(), Healthy({"mode": words}, PUMP.rul.cap + 1)) == {}


def test_a_look_leaves_a_page_its_numbers_and_metrics_that_are_answered_over_http(store, tmp_path):
    root = monitored_project(tmp_path)
    live_through(store, root, machines(20, 60, seed=3, c1=1.5))
    report = look(store, root)
    folder = root / "reports/monitor/pump"
    assert json.loads((folder / "report.json").read_text()) == report
    page = (folder / "report.html").read_text()
    assert "<svg" in page
    assert "<li>c1 is +1." in page
    assert "http" not in page  # nothing is fetched from elsewhere

    families = {one.name: one for one in text_string_to_metric_families((folder / "metrics.prom").read_text())}
    psi = {one.labels["channel"]: one.value for one in families["foretwin_monitor_channel_psi"].samples}
    assert psi.keys() == set(PUMP.channel_names)
    assert psi["c1"] == pytest.approx(report["drift"]["channels"][1]["psi"])
    assert [one.value for one in families["foretwin_monitor_drifted"].samples] == [1]

    with live(store, root) as client:
        assert client.get("/v1/monitor/pump").json() == report
        assert client.get("/v1/monitor/fan").status_code == 404
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.content == (folder / "metrics.prom").read_bytes()


def test_retraining_is_called_for_once_there_is_something_new_to_learn(store, tmp_path):
    from foretwin.twin.training_feedback.history import export_history

    root = monitored_project(tmp_path)
    live_through(store, root, machines(20, 60, seed=3, c1=1.5))
    assert not look(store, root)["verdict"]["retrain"]
    work = feedback.Work(kind="run_ended")
    feedback.record_maintenance(store, {"pump": PUMP}, "P-1", work, "ann", datetime.now(UTC))
    report = look(store, root)
    assert (report["unlearnt_runs"], report["verdict"]["retrain"]) == (1, True)
    export_history(store, root, PUMP, datetime.now(UTC))
    assert not look(store, root)["verdict"]["retrain"]


def test_two_looks_at_once_leave_one_case(store, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    root = monitored_project(tmp_path)
    live_through(store, root, machines(20, 60, seed=3, c1=1.5))
    with ThreadPoolExecutor(4) as several:
        found = list(several.map(lambda _: look(store, root)["case"]["case"], range(4)))
    assert len(set(found)) == len(fleet_cases(store)) == 1


def test_a_fleet_case_blocks_no_other_kind(store, tmp_path):
    with store.write() as connection:
        cases.insert(
            connection, cases.NewCase("pump", None, None, "digest", "planned", None, {"waiting": []}), "w", NOON
        )
        kept = keep_case(connection, "pump", CHAMPION, {"drift": ["x"]}, {"drift": True}, {}, NOON)
    assert kept["done"] == "opened"
    assert score(store, monitored_project(tmp_path)) == 0
