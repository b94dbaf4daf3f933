"""A store with a scripted past, told moment by moment through the product's own functions."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from foretwin.champion.identity import ModelIdentity
from foretwin.contract.twin import Twin, load_twin
from foretwin.twin.cases import feedback
from foretwin.twin.cases.feedback import Verdict, Work
from foretwin.twin.kpis import kpis
from foretwin.twin.kpis.periods import PeriodRequest
from foretwin.twin.store import assets
from foretwin.twin.store.casework import cases
from foretwin.twin.store.casework.cases import NewCase, Numbers
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.telemetry import spans
from foretwin.twin.store.telemetry.arrivals import Arrivals, count_arrivals, find_arriving
from foretwin.twin.store.telemetry.readings import add_readings, newest_times
from foretwin.twin.store.telemetry.spans import RunArrivals
from foretwin.wire.readings import Readings

PUMP = load_twin(Path(__file__).parents[2] / "data" / "pump" / "twin.yaml")
THRUST, IMPELLER, END = "mode.thrust_bearing", "mode.impeller_wear", "end_of_life"
IDENTITY = ModelIdentity("foretwin-pump", "3", "run-1", "d" * 64)
YEAR_END = datetime(2026, 12, 31, 12, tzinfo=UTC)


def on(month: int, day: int, hour: float = 0) -> datetime:
    return datetime(2026, month, day, tzinfo=UTC) + timedelta(hours=hour)


class Fleet:
    """What happens to pumps, each thing at the moment that it is given."""

    def __init__(self, store, twin=PUMP) -> None:
        self.store, self.twin = store, twin

    def lives(self, name: str, begin: datetime, hours: int, run: int = 1, pace: float = 1.0) -> None:
        """Readings at hour 0 and at the last one, which come in `pace` times as fast as the machine's clock."""
        for time in (0.0, float(hours)):
            rows = pd.DataFrame({"asset": [name], "run": [run], "time": [time]})
            self._store(rows, begin + timedelta(hours=time / pace))

    def alarm(self, name: str, fault: str, opened: float, at: datetime, run: int = 1) -> cases.Case:
        with self.store.write() as connection:
            asset = assets.find_asset(connection, name)
            model = scores.model_id(connection, self.twin.name, IDENTITY, self.twin.digest, at)
            numbers = Numbers(opened, at, model, 40.0, 30.0, 50.0, 0.9)
            case = cases.insert(
                connection, NewCase(self.twin.name, asset.id, run, fault, "planned", numbers, {}), "watch", at
            )
        assert case is not None
        return case

    def closes(self, case, because: str, at: datetime, into=None) -> None:
        with self.store.write() as connection:
            cases.close(connection, case, because, "watch", at, into.id if into else None)

    def answers(self, case, verdict: str, at: datetime, **told) -> None:
        feedback.give_verdict(
            self.store, {self.twin.name: self.twin}, case.id, Verdict(verdict=verdict, **told), "tessa", at
        )

    def work(self, name: str, kind: str, at: datetime, **told) -> None:
        work = Work(kind=kind, **told)
        feedback.record_maintenance(self.store, {self.twin.name: self.twin}, name, work, "tessa", at)

    def _store(self, rows: pd.DataFrame, at: datetime) -> None:
        with self.store.write() as connection:
            known = assets.register_assets(connection, self.twin.name, rows["asset"].unique().tolist(), at)
            ids = rows["asset"].map({name: asset.id for name, asset in known.items()}).to_numpy(np.int64)
            keys = (ids, rows["run"].to_numpy(np.int64), rows["time"].to_numpy(np.float64))
            newest_of_run = newest_times(connection, *keys[:2])
            values = np.zeros((len(rows), len(self.twin.channels)), np.float32)
            add_readings(connection, "http", Readings(self.twin.name, self.twin.channel_names, *keys, values), at)
            for (i, run, time), newest_time in zip(zip(*keys, strict=True), newest_of_run, strict=True):
                before = assets.by_id(connection, [int(i)])[int(i)]
                newest = run >= before.run and not time <= newest_time
                place = (int(run), float(time), at) if newest else (before.run, before.time, before.received_at)
                arrived = RunArrivals(before.id, int(run), 1, float(time), float(time))
                hours = find_arriving(connection, [before.name]).hours
                arrivals = [Arrivals(before.id, *place, 1, 1, 0, 0, 0)]
                count_arrivals(connection, self.twin.name, arrivals, [arrived], hours, at)
                spans.extend_runs(connection, [arrived], at, [before])


def report(store, contract=PUMP, now=YEAR_END, **asked) -> dict:
    with store.read() as connection:
        return kpis(connection, contract, PeriodRequest(**asked), now)


def total(store, contract=PUMP, **asked) -> dict:
    return report(store, contract, length="all", **asked)["total"]


def outcomes(figures: dict) -> tuple[int, int, int, int]:
    failures = figures["failures"]
    return failures["foreseen"], failures["missed"], figures["avoided"], figures["replaced"]


def without_costs() -> Twin:
    return PUMP.model_copy(update={"costs": None})
