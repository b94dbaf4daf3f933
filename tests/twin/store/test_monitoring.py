"""What the monitor reads: of many assets in one statement, and of each no more than it looks at."""

from datetime import timedelta

import numpy as np
import pytest

from foretwin.champion.identity import ModelIdentity
from foretwin.twin.store.scoring import monitoring, scores
from foretwin.twin.store.scoring.monitoring import Healthy
from foretwin.twin.store.scoring.scores import Score
from support.store_costs import counted
from support.stored_readings import NOON, store_rows
from support.tiny_bundle import random_rows, tiny_twin

TWIN = tiny_twin()
ASSETS, LENGTH = 40, 9


@pytest.fixture
def ids(store):
    """Assets with as many readings as scores; each was healthy until its reading 4."""
    found = store_rows(store, TWIN, random_rows(TWIN, {f"P-{i}": LENGTH for i in range(ASSETS)}))
    with store.write() as connection:
        identity = ModelIdentity("foretwin-pump", "3", "a-run", "a-digest")
        fixed = {"run": 1, "model": scores.model_id(connection, "pump", identity, "c", NOON), "age": 1.0, "rows": 5}
        fixed |= {"warnings": [], "rul": 50.0, "rul_low": 40.0, "diagnosis": {"mode": "x"}}
        rows = [
            {**fixed, "asset": number, "time": float(time), "rul_high": 125.0 if time <= 4 else 60.0}
            | {"scored_at": NOON + timedelta(hours=time)}
            for number in found.values()
            for time in range(1, LENGTH + 1)
        ]
        scores.add_scores(connection, [Score(**{"faults": {}, **row}) for row in rows])
    return sorted(found.values())


def test_what_the_monitor_reads_takes_a_statement_for_many_assets(store, ids):
    with counted(store) as cost, store.read() as connection:
        said = dict(monitoring.recent_scores(connection, ids, NOON + timedelta(hours=3), 3))
        healthy = monitoring.healthy_until(connection, ids, Healthy({}, 125.0))
        places = [(number, 1, None if number % 2 else 6.0) for number in ids]
        newest = list(monitoring.newest_readings(connection, "pump", TWIN.channel_names, places, (4, 0)))
    assert len([one for one in cost.statements if one != "BEGIN"]) == 4  # each of the three, and the layouts
    assert list(said) == ids
    assert all(one.time.tolist() == [9, 8, 7] for one in said.values())
    assert healthy == dict.fromkeys(ids, (1, 4.0))
    assert [int(one.asset[0]) for one, _ in newest] == ids
    for one, batches in newest:
        last = 9 if one.asset[0] % 2 else 6
        assert one.time.tolist() == list(range(last - 3, last + 1))
        assert np.isfinite(one.values).all()
        assert set(batches.tolist()) == {1}


def test_assets_without_anything_are_left_out(store, ids):
    with store.read() as connection:
        assert list(monitoring.recent_scores(connection, [*ids[:2], 9999], NOON + timedelta(days=9), 3)) == []
        assert monitoring.healthy_until(connection, [9999], Healthy({}, 125.0)) == {}
        assert list(monitoring.newest_readings(connection, "pump", TWIN.channel_names, [(9999, 1, None)], (4, 0))) == []
        few = dict(monitoring.recent_scores(connection, ids[:1], NOON + timedelta(hours=8), 3))
    assert [one.time.tolist() for one in few.values()] == [[9, 8]]
