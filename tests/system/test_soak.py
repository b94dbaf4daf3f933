"""The soak of the scoring service in small: load, swaps of two kinds, and what its report must notice."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.reliability.soak import load as soak_load
from benchmarks.reliability.soak import run
from benchmarks.reliability.soak.project import make_project, register, served
from benchmarks.reliability.soak.serve import Course, Load, Swap, count_wrong, latencies, report, serve
from benchmarks.render import soak as render_soak
from foretwin.errors import ForetwinError
from support.tiny_bundle import save_tiny_bundle, tiny_twin

PUMP = tiny_twin("pump", channels=4)
FAN = tiny_twin("fan", rul=False)


def test_no_call_fails_while_champions_are_swapped(tmp_path):
    make_project(tmp_path, [PUMP, FAN], save_tiny_bundle)
    register(tmp_path, "fan")
    with served(tmp_path) as service:
        found = serve(tmp_path, service, {"folder": PUMP, "alias": FAN}, Load(seconds=20, every=4, peak_seconds=2))
    assert found["complaints"] == []
    assert found["failed"] == 0
    assert found["answered by no champion of the moment"] == 0
    assert found["swaps"]["folder"] >= 1
    assert found["swaps"]["alias"] >= 1
    assert sum(found["swaps"].values()) >= 3
    assert found["calls"] > 1000


def answers(*calls) -> dict:
    """Calls as (sent, done, version, status) of the first twin."""
    sent, done, version, status = (np.array(values) for values in zip(*calls, strict=True))
    return {"sent": sent, "done": done, "version": version, "status": status, "twin": np.zeros(len(calls), int)}


SWAPS = [Swap("pump", "folder", 2, put=10, seen=12), Swap("pump", "folder", 1, put=20, seen=21)]


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        ((5.0, 5.1, 1, 200), 0),
        ((5.0, 5.1, 2, 200), 1),  # not yet there
        ((11.0, 11.1, 1, 200), 0),  # both are right while one takes over
        ((11.0, 11.1, 2, 200), 0),
        ((11.9, 13.0, 1, 200), 0),  # sent before
        ((13.0, 13.1, 1, 200), 1),  # of the past
        ((9.8, 10.1, 2, 200), 0),
        ((25.0, 25.1, 1, 200), 0),
        ((25.0, 25.1, 2, 200), 1),
        ((25.0, 25.1, 0, 200), 1),  # an answer without a version
        ((25.0, 25.1, 0, 500), 0),  # counted as failed instead
    ],
)
def test_an_answer_of_another_moment_is_noticed(call, wrong):
    assert count_wrong(answers(call), SWAPS, ["pump"]) == wrong


def steady(end: float = 100.0) -> dict:
    return answers(*((float(i), i + 0.002, 1, 200) for i in range(int(end))))


def test_failures_and_growth_are_complained_of():
    flat = [(float(i), 200.0) for i in range(100)]
    growing = [(float(i), 200.0 + i) for i in range(100)]
    load = Load(seconds=100, every=20, peak_seconds=10)
    good = report(steady(), steady(10), Course([], flat), [PUMP], load)
    assert good["complaints"] == []
    assert good["peak_per_second"] == 1
    assert good["latency_ms by minute"][0]["p50"] == 2
    broken = steady()
    broken["status"][3] = 0
    assert "1 calls failed" in report(broken, steady(10), Course([], flat), [PUMP], load)["complaints"]
    assert "memory grew" in report(steady(), steady(10), Course([], growing), [PUMP], load)["complaints"][0]


def test_the_figures_are_rendered_with_where_they_come_from():
    load = Load(seconds=100, every=20, peak_seconds=10)
    memory = [(float(i), 200.0) for i in range(100)]
    page = render_soak.soak(report(steady(), steady(10), Course(SWAPS, memory), [PUMP], load))
    assert "| calls that failed | 0 |" in page
    assert "| swaps by the folder | 2, seen within 2 s |" in page
    kinds = {"json: valid": {"200": 3}, "json: bytes": {"400": 1}, "arrow: bytes": {"400": 2, "0": 1}}
    total = {"0": 1, "200": 3, "400": 3}
    figures = {"after warm-up": 200.0, "end": 201.0, "peak": 300.0}
    found = {"bodies": 7, "seed": 1, "seconds": 2.0, "statuses": total, "memory_mb": figures, "complaints": []}
    page = render_soak.fuzz(found | {"kinds": kinds})
    assert "| json |  | 3 | 1 |" in page
    assert "| arrow | 1 |  | 2 |" in page
    assert "`reports/fuzz.json`" in page


def test_latency_is_told_by_minute():
    calls = [(float(i), i + (0.001 if i < 60 else 0.005), 1, 200) for i in range(120)]
    assert [minute["p50"] for minute in latencies(answers(*calls))] == [1.0, 5.0]


def test_a_service_that_is_away_is_counted_and_not_waited_for(tmp_path, monkeypatch):
    from foretwin.twin.simulator.processes import free_port

    plan = {
        "port": free_port(),
        "connections": 2,
        "calls": [[0, "GET / HTTP/1.1\r\n\r\n"]],
        "seconds": 0.2,
        "rate": None,
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    monkeypatch.setattr(soak_load, "PATIENCE", 0.1)
    soak_load.main(tmp_path / "plan.json", tmp_path / "out.npz")
    assert set(np.load(tmp_path / "out.npz")["status"]) == {0}


def test_figures_are_kept_and_complaints_end_in_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").mkdir()
    run.write("fuzz", {"bodies": 1, "complaints": []})
    assert json.loads((tmp_path / "reports/fuzz.json").read_text())["bodies"] == 1
    with pytest.raises(ForetwinError, match="did not hold: status 500"):
        run.write("fuzz", {"complaints": ["status 500"]})


def test_the_commands_are_those_of_the_documentation():
    for command, option in (("fuzz", "--bodies"), ("serve", "--minutes")):
        assert option in CliRunner().invoke(run.main, [command, "--help"]).output
