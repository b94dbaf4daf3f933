"""The bench of slow clients, with hundreds: no honest call is refused, and the service holds no more than it may."""

from benchmarks.render.speed import slow_clients
from benchmarks.speed.slow_clients import measure
from support.live_project import living_project


def test_hundreds_of_slow_clients_keep_no_honest_call_away(tmp_path, monkeypatch):
    monkeypatch.chdir(living_project(tmp_path / "project"))
    monkeypatch.setenv("FORETWIN_MAX_CONNECTIONS", "100")
    figures = measure("pump", 300, 1.0, 1)
    assert figures["calls"] >= 100
    assert 80 < figures["descriptors"] < 150
    assert figures["p99_ratio"] > 0
    assert "| slow clients that come again and again | 300 |" in slow_clients({"slow_clients": figures})
