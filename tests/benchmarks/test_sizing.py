"""The page of sizes: its formula against wholes that were measured, and its examples against what was tried."""

import re
from dataclasses import replace

import pytest

from benchmarks.render import sizing
from benchmarks.render.sizing import Coefficients, Plant, Prices, Size, monthly_cost, size_of
from benchmarks.speed.pipeline import contract
from foretwin.twin.scoring.window_cache import WindowCache
from support.tiny_bundle import REPOSITORY

PAGE = (REPOSITORY / "docs" / "sizing.md").read_text()
REPORTS = sizing.read_reports(REPOSITORY)
MEASURED = sizing.read_coefficients(REPOSITORY)
ROUND = Coefficients(
    channels=10,
    window=50,
    ingest_us={"sqlite": 100, "postgresql": 200},
    score_us=300,
    spread_us=2000,
    idle_cores={"sqlite": 0.01, "postgresql": 0.02},
    scores_per_second=5000,
    messages_per_second=7000,
    window_bytes=3000,
    worker_mb=400,
    others_mb=600,
    raw_bytes={"sqlite": 100, "postgresql": 150},
    lasting_bytes={"sqlite": 20, "postgresql": 30},
    archive_bytes={"sqlite": 25, "postgresql": 25},
)


def test_a_plant_s_size_is_that_of_its_parts():
    found = size_of(Plant(60_000, channels=10, window=50, store="postgresql", workers=2), ROUND)
    assert found.cores_least == pytest.approx(1000 * 500e-6 + 2 * 0.02)
    assert found.cores_most == pytest.approx(1000 * 2000e-6)
    assert found.memory_gb == pytest.approx((1400 * 1024**2 + 60_000 * 3000) / 1e9)
    daily = 1000 * 86_400
    assert found.store_gb == pytest.approx(daily * (150 * (30 + 1 + 3) + 30 * 365) / 1e9)
    assert found.archive_gb == pytest.approx(daily * 25 * (365 - 34) / 1e9)
    assert (found.least_workers, found.least_ingests) == (1, 1)
    assert found.shortest_interval_s == pytest.approx(60_000 / 2 / 5000)


def test_more_channels_take_four_bytes_each_of_disk_and_as_the_loop_reserves_them_in_memory():
    small, large = (WindowCache(contract(channels), 1) for channels in (10, 14))
    plant = Plant(60_000, channels=10, window=small.length)
    of_window = replace(ROUND, window=small.length)
    before, after = size_of(plant, of_window), size_of(replace(plant, channels=14), of_window)
    reserved = large.window_bytes - small.window_bytes
    assert after.memory_gb - before.memory_gb == pytest.approx(60_000 * reserved / 1e9)
    daily = 1000 * 86_400
    assert after.store_gb - before.store_gb == pytest.approx(daily * 16 * 31 / 1e9)
    assert after.archive_gb - before.archive_gb == pytest.approx(daily * 16 * (365 - 31) / 1e9)
    fewer = size_of(replace(plant, channels=6), of_window)
    assert fewer.store_gb < before.store_gb
    assert fewer.archive_gb == before.archive_gb, "what Parquet saves was not measured"


def test_a_plant_that_is_younger_than_the_term_has_no_archive():
    found = size_of(Plant(60, channels=10, window=50, years=20 / 365), ROUND)
    assert found.archive_gb == 0
    assert found.store_gb == pytest.approx(86_400 * 20 * (100 + 20) / 1e9)


def test_what_it_costs_a_month_is_by_the_user_s_own_prices():
    size = Size(2.0, 5.0, 8.0, 100.0, 50.0, 1, 1, 1.0)
    assert monthly_cost(size, Prices(core=10, memory_gb=3, disk_gb=0.1)) == pytest.approx((59.0, 89.0))


def test_the_laptop_s_half_hour_lies_within_the_range_of_cores():
    """The least is of other runs, by large batches; the half hour took no less, and no more than five times that."""
    scale = REPORTS["scale"]
    found, measured = size_of(sizing.laptop_plant(scale), MEASURED), sizing.laptop_cores(scale)
    assert found.cores_least < measured <= found.cores_most * 1.001
    assert measured < 5 * found.cores_least
    assert found.memory_gb == pytest.approx(scale["laptop"]["megabytes"] * 1024**2 / 1e9, rel=0.01)


def test_a_worker_of_a_sixteenth_takes_a_quarter_more_memory_than_its_parts_at_most():
    share = REPORTS["scale"]["sixteenth"]
    measured = share["gigabytes"] * 1024**3 / 1e9
    assert 1 / 1.25 < measured / sizing.worker_gb(share["assets"], MEASURED) < 1.25


def test_the_disk_is_that_of_the_measured_year():
    for store, within in (("sqlite", 0.01), ("postgresql", 0.05)):  # the latter was measured before it had partitions
        year = REPORTS["year"]["year"][store]
        found = size_of(Plant(REPORTS["year"]["fleet"], store=store), MEASURED)
        assert found.store_gb == pytest.approx(year["gigabytes"], rel=within)
        assert found.archive_gb == pytest.approx(year["archive_gigabytes"], rel=0.01)


def test_what_was_tried_and_what_is_designed_for_are_rows_of_their_own():
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in sizing.examples(REPOSITORY).splitlines()]
    shown = {row[0]: row[1:] for row in rows}
    small, laptop, server, workers = shown["tried"]
    assert small == "a larger one"
    assert laptop.startswith("for 30 minutes: ")
    assert (server, workers.startswith("the memory of one worker: ")) == ("no", True)
    assert shown["designed for, not tried"] == ["-", "-", "yes", "yes"]
    assert all(int(most) >= int(least) for most, least in zip(*(shown[row] for row in WORKERS), strict=True))


WORKERS = ("workers (`foretwin watch`)", "workers that scoring needs")


def test_what_no_report_holds_is_said_not_to_be_measured():
    table = sizing.coefficients(REPOSITORY)
    lines = [line for line in table.splitlines() if "not measured" in line]
    assert len(lines) == 5
    assert "the database's own" in lines[-1]


def test_the_page_s_example_runs_as_it_stands(monkeypatch, capsys):
    monkeypatch.chdir(REPOSITORY)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(block, {})  # noqa: S102 - our own page
    size, cost = capsys.readouterr().out.splitlines()
    assert size.startswith("Size(cores_least=")
    least, most = map(float, cost.strip("()").split(","))
    assert 0 < least < most
