"""The benches of growth and of mixed load in small: every work is done, and none fails or is refused."""

from benchmarks.reliability import year
from benchmarks.speed import growth, in_turns, mixed_load
from support.live_project import living_project

WORKS = {"ingest_postgresql", "ingest_sqlite", "urgency_postgresql", "urgency_sqlite"}
WORKS |= {"ingest_new_hour_postgresql", "ingest_new_hour_sqlite"}
WORKS |= {"overview_postgresql", "overview_sqlite", "lists", "kpis", "digest", "outbox"}


def test_each_work_of_a_fleet_and_of_a_long_life_has_its_cost(tmp_path, postgres, monkeypatch):
    monkeypatch.setattr(in_turns, "ROUNDS", 1)
    found = growth.fleets(str(tmp_path), postgres, (20, 40))
    found |= growth.lives(str(tmp_path), (10, 40))
    found |= growth.watched(str(tmp_path), living_project(tmp_path / "project"), (10, 20))
    assert set(found) == WORKS | {"thread", "newest_readings", "scoring", "monitor"}
    assert all(len(one["cost_per_item"]) == 2 and min(one["cost_per_item"]) > 0 for one in found.values())


def test_readings_go_in_while_eight_read_from_a_real_service(monkeypatch):
    monkeypatch.setenv("FORETWIN_STORE", "")  # the bench sets it
    monkeypatch.setattr(mixed_load, "QUICK_ASSETS", 40)
    monkeypatch.setattr(mixed_load, "QUICK_SECONDS", 1.0)
    found = mixed_load.measure(quick=True)["mixed_load"]
    assert found["calls"] == 25
    assert found["p99_ratio"] > 0
    assert set(found["reads"]) <= {"200", "503"}, "a read is answered or told to come back"


def test_a_year_counts_partitions_as_raw_readings_whatever_their_number():
    minutes = 2 * year.DAY

    def day(kept: int, name: str) -> dict:
        size = {f"{name}": 100_000, f"{name}_pkey": 50_000, "batches": 50_000, "scores": kept}
        counts = {"readings": 2000, "scores": kept // 10}
        return {"bytes": size, "counts": counts, "archived": 1000, "archive_bytes": 20_000}

    ends = [day(minutes, "readings_1"), day(2 * minutes, "readings_2"), day(11 * minutes, "readings_3")]
    found = year.year_of(ends, 1)
    assert (found["raw_bytes_per_reading"], found["lasting_bytes_per_reading"]) == (100, 10)
