"""A departure in one channel: no case where it bears the signature of a failing sensor, else one of both, and once."""

import json
from datetime import timedelta

import pandas as pd
import pytest
from sqlalchemy import select

from foretwin.champion.champion import keep_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.contract.false_alarms import alarm_share
from foretwin.errors import BadInput
from foretwin.predictor.bundle import Bundle, verify
from foretwin.project.paths import Paths
from foretwin.twin.cases.feedback import Verdict, give_verdict
from foretwin.twin.cases.service_request import as_text, service_request
from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.store import scoring
from foretwin.twin.store.casework.cases import find_case
from foretwin.twin.store.tables import assets, cases
from foretwin.twin.training_feedback.history import export_history
from support.stored_readings import NOON, store_rows
from support.telling_fleet import HOURS, ONSET, departing_rows, save_telling_bundle, telling_rows, telling_twin

TWIN = telling_twin()
CONTRACTS = {"oiler": TWIN}


@pytest.fixture(scope="module")
def made(shared):
    return shared("telling", lambda folder: save_telling_bundle(folder, TWIN))


@pytest.fixture
def root(made, tmp_path):
    identity = ModelIdentity("foretwin-oiler", "1", "run", verify(made / "bundle"))
    keep_champion(Paths(tmp_path, "oiler"), made / "bundle", identity)
    (tmp_path / "data" / "oiler").mkdir(parents=True, exist_ok=True)
    return tmp_path


def follow(store, root, rows, hours):
    watching = Watching(store, root, WatchSettings())
    for hour in hours:
        store_rows(store, TWIN, rows[rows["time"] == hour], NOON + timedelta(hours=hour))
        score_once(watching, lambda now=NOON + timedelta(hours=hour): now)


def opened(store) -> dict[str, list[int]]:
    """The cases of each machine after the onset."""
    columns = select(assets.c.name, cases.c.id).join(cases, cases.c.asset == assets.c.id)
    with store.read() as connection:
        found = connection.execute(columns.where(cases.c.opened_time > ONSET).order_by(cases.c.id)).all()
    return pd.DataFrame(found, columns=["name", "id"]).groupby("name")["id"].apply(list).to_dict()


def test_a_sensor_opens_no_case_and_a_channel_that_drifts_opens_one_of_both(store, root):
    rows = departing_rows(TWIN, 5)
    follow(store, root, rows, range(1, HOURS + 1))
    found = opened(store)
    assert set(found) == {"drift", "machine"}
    (number,) = found["drift"]
    with store.read() as connection:
        request = service_request(connection, TWIN, find_case(connection, number), NOON)
        whole = service_request(connection, TWIN, find_case(connection, found["machine"][0]), NOON)
        said = {
            name: scoring.scores.last(connection, asset).warnings
            for name, asset in connection.execute(select(assets.c.name, assets.c.id))
        }
    assert request["fault"]["title"] == "Check the sensor or the part: oil"
    assert request["instruction"].startswith("oil alone departs from normal")
    assert TWIN.health.remedy.instruction in as_text(request)
    assert whole["fault"]["title"] == "Health: departed"
    told = {name: [one for one in warnings if one.startswith("check_function: ")] for name, warnings in said.items()}
    assert told == {
        "calm": [],
        "shift": ["check_function: oil jumps"],  # which lies behind the window by now
        "drift": ["check_function: oil contradicts the other channels"],
        "stuck": ["check_function: oil stands still"],
        "noise": ["check_function: oil scatters"],
        "machine": [],
    }

    with pytest.raises(BadInput, match="but the verdict is sensor_fault"):
        give_verdict(store, CONTRACTS, number, Verdict(verdict="sensor_fault", fault="health.departed"), "t", NOON)
    give_verdict(store, CONTRACTS, number, Verdict(verdict="sensor_fault"), "tessa", NOON)
    give_verdict(store, CONTRACTS, found["machine"][0], Verdict(verdict="confirmed"), "tessa", NOON)
    export_history(store, root, TWIN, NOON + timedelta(days=9))
    (table,) = (root / "data" / "oiler" / "history").glob("*.parquet")
    labels = pd.read_parquet(table).groupby("asset")["fault_health"].agg(set)
    assert "drift" not in labels.index or labels["drift"] == {-1}, "its readings tell nothing of the machine"
    assert 1 in labels["machine"]


def test_false_alarms_keep_to_the_budget_with_lone_channels_counted(made):
    bundle, rows = Bundle.load(made / "bundle"), telling_rows(TWIN, 60, 9, 2 * HOURS)
    told = [bundle.score(rows[rows["time"] <= hour]) for hour in range(16, 2 * HOURS + 1, 8)]
    departed = pd.concat(told)["health"] == "departed"
    assert departed.mean() <= 1.5 * alarm_share(TWIN) + 1 / len(departed)
    assert json.loads((made / "candidates" / "blend.json").read_text())["weights"]["health"]
