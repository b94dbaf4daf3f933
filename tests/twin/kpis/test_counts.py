"""The sums that key figures are made of equal a count of everything, after any history; and cost what has changed."""

from dataclasses import astuple
from datetime import timedelta

import numpy as np
import pytest

from foretwin.twin.kpis.counting import VERDICTS, count
from foretwin.twin.kpis.counts import counted_facts, keep_counts
from foretwin.twin.kpis.periods import PeriodRequest, split
from foretwin.twin.store import assets, erasure, open_store
from foretwin.twin.store.casework import cases
from foretwin.twin.store.scoring import kpis as stored
from support.kpis_fleet import END, IMPELLER, PUMP, THRUST, YEAR_END, Fleet, on, report
from support.kpis_oracle import count_all
from support.store_costs import counted

PERIODS = [split(PeriodRequest(length), on(1, 1).date(), YEAR_END.date()) for length in ("month", "week", "all")] + [
    split(PeriodRequest("day", on(2, 3).date(), on(2, 20).date()), on(1, 1).date(), YEAR_END.date())
]


class History:
    """A fleet to which things happen by chance, in the order of moments."""

    def __init__(self, store, seed: int) -> None:
        self.store, self.fleet, self.chance = store, Fleet(store), np.random.default_rng(seed)
        self.now = on(1, 2)

    def go_on(self) -> None:
        self.now += timedelta(hours=float(self.chance.integers(1, 60)), seconds=float(self.chance.integers(0, 3600)))
        name = f"P-{self.chance.integers(1, 5)}"
        with self.store.read() as connection:
            asset = assets.find_all(connection, [name]).get(name)
            opened = cases.open_of(connection, [asset.id]).get(asset.id, []) if asset else []
        what = self.chance.choice(["readings", "late", "alarm", "close", "answer", "work", "readings"])
        if asset is None or what in ("readings", "late"):
            run = 1 if asset is None else max(1, asset.run - (what == "late" and int(self.chance.integers(0, 2))))
            self.fleet.lives(
                name, self.now, int(self.chance.integers(1, 400)), run=run, pace=self.chance.choice([0.9, 9])
            )
            self.now += timedelta(hours=450)
        elif what == "alarm" and asset.time is not None:
            time = float(self.chance.integers(0, int(asset.time) + 1))
            fault = self.chance.choice([THRUST, IMPELLER, END])
            if all(one.fault != fault for one in opened) and self.has_readings(asset):
                self.fleet.alarm(name, str(fault), time, self.now, run=asset.run)
        elif what == "close" and len(opened) > 1:
            self.fleet.closes(opened[0], "merged", self.now, into=opened[1])
        elif what == "close" and opened:
            self.fleet.closes(opened[0], str(self.chance.choice(["recovered", "new_run"])), self.now)
        elif what == "answer" and opened:
            self.fleet.answers(opened[0], str(self.chance.choice(VERDICTS[:3] + VERDICTS[4:])), self.now)
        elif what == "work" and self.has_readings(asset):
            self.fleet.work(name, str(self.chance.choice(["run_ended", "inspection"])), self.now)

    def has_readings(self, asset) -> bool:
        with self.store.read() as connection:
            return any(run.run == asset.run for run, _, _ in stored.counted_runs(connection, [asset.id]))

    def check(self) -> None:
        with self.store.read() as connection:
            for periods in PERIODS:
                facts = counted_facts(connection, "pump", periods.all[-1].until)
                found = count(facts, stored.operation_of_newest(connection, "pump"), PUMP, periods)
                for one, wanted in zip(found, count_all(connection, PUMP, periods), strict=True):
                    assert one.operating == pytest.approx(wanted.operating, rel=1e-6, abs=1e-3)
                    assert one.downtime == pytest.approx(wanted.downtime, rel=1e-9, abs=1e-9)
                    for tally in (one, wanted):
                        tally.operating = tally.downtime = 0.0
                        tally.lead_times = sorted(tally.lead_times)
                    assert [+part if hasattr(part, "update") else part for part in astuple(one)] == [
                        +part if hasattr(part, "update") else part for part in astuple(wanted)
                    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_after_any_history_the_sums_are_those_of_a_count_of_everything(store, seed):
    history = History(store, seed)
    for step in range(45):
        history.go_on()
        if step % 7 == 0:
            keep_counts(store, "pump")
        if step % 15 == 14:
            history.check()
    with store.write() as connection:
        erasure.erase(connection, assets.find_asset(connection, "P-1"))
    history.check()
    keep_counts(store, "pump")
    history.check()


def test_figures_cost_what_has_changed_and_not_the_history(tmp_path):
    def cost(lives: int) -> int:
        store = open_store(f"sqlite:///{tmp_path}/{lives}.db")
        fleet = Fleet(store)
        for i in range(lives):
            begin = on(1, 1) + timedelta(days=(i // 5) % 20)
            fleet.lives(f"P-{i % 5}", begin, 1, run=i // 5 + 1)
            fleet.answers(fleet.alarm(f"P-{i % 5}", THRUST, 0.5, begin, run=i // 5 + 1), "run_ended", begin)
        keep_counts(store, "pump")
        with counted(store) as found:
            assert report(store)["total"]["failures"]["count"] == lives
        store.close()
        return found.instructions

    assert cost(300) < 1.5 * cost(100)
