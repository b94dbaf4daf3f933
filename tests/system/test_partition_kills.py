"""Two hosts of a partitioned fleet, of which one is taken away: what `make kill` does, in small, by real commands."""

import numpy as np
import pytest

from benchmarks.namespaces import MAY_NOT, add_namespace, network
from benchmarks.reliability.partition_kills.compare import Campaign, compare
from benchmarks.reliability.partition_kills.plant import ADDRESS, HOSTS, SUBNET
from benchmarks.render.scale import scale_faults
from foretwin.errors import ForetwinError
from support.live_project import PUMP, living_project
from support.tiny_bundle import random_rows

SEED = 49  # the host goes in the last tick, so that none has to come in its place


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    """The project, its contract and the readings of its machines; the working folder is the project."""
    pump = PUMP.model_copy(update={"cases": PUMP.cases.model_copy(update={"new_per_hour": 1000})})
    root = living_project(tmp_path / "project", pump)
    monkeypatch.chdir(root)
    rows = random_rows(PUMP, {f"P-{i}": 6 for i in range(16)})
    rows[list(PUMP.channel_names)] *= np.linspace(0.2, 4, len(rows))[:, None]
    return root, pump, rows


def assert_nothing_differs(found):
    assert (found["lost"], found["doubled"], found["out_of_order"]) == (0, 0, 0)
    assert (found["scores_that_differ"], found["cases_that_differ"]) == (0, 0)
    assert found["cases"] > 3, "cases must be opened, or their agreement proves nothing"


def may_make_hosts() -> bool:
    try:
        with network(ADDRESS):
            add_namespace(HOSTS[0], f"{SUBNET}.11", ADDRESS).remove()
    except ForetwinError:
        return False
    return True


def test_when_a_host_is_taken_away_the_other_takes_over_and_nothing_differs_from_an_undisturbed_fleet(fleet, tmp_path):
    kinds = ("kill a host" if may_make_hosts() else "kill a worker", "kill the bus", "cut the sessions")
    found = compare(*fleet, Campaign(3, kinds, workers=1, is_whole=False, seed=SEED), tmp_path)
    assert found["kinds"] == dict.fromkeys(kinds, 1)
    assert_nothing_differs(found)
    if "kill a worker" in kinds:
        pytest.skip(f"{MAY_NOT}; a worker was killed in the place of a host")


def test_the_page_says_what_befell_the_fleet_and_what_differed():
    found = {"trials": 9, "hosts": 2, "workers": 4, "partitions": 4, "kinds": {"kill a host": 9}, "readings": 6000}
    found |= {"lost": 0, "doubled": 1, "out_of_order": 0, "scores_that_differ": 2, "cases": 30, "cases_that_differ": 0}
    said = scale_faults(found | {"services_asked": 9, "services_that_did_not_answer": 0})
    assert "9 faults of 2 hosts" in said
    assert "of 6,000 readings 0 lost, 1 windows scored twice" in said
    assert "2 scores and 0 of 30 cases other" in said
    assert "asked 9 times, and did not answer 0 times" in said
