"""A few random faults under a little load: the campaign of `make kill` in small, with real servers and commands."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.reliability.draws import draw
from benchmarks.reliability.faults.kinds import KINDS
from benchmarks.reliability.faults.run import Campaign, run
from benchmarks.reliability.faults.supervisor import UNITS, read_rule
from foretwin.errors import ForetwinError
from support.live_project import PUMP, living_project


def test_nothing_acknowledged_is_lost_or_doubled_and_nobody_starts_a_process_by_hand(tmp_path):
    assets, steps = 20, 12
    rows = pd.DataFrame(
        {"asset": f"P-{i}", "run": 1, "time": float(t), "failed": False} for t in range(steps) for i in range(assets)
    ).assign(**dict.fromkeys(PUMP.channel_names, 0.5))

    campaign = Campaign(faults=8, seconds=12, seed=3, per_second=20)
    found = run(living_project(tmp_path / "project"), PUMP, rows, campaign)

    assert found["trials"] == 8
    assert found["found"]["readings"] == len(rows)
    assert (found["lost"], found["doubled"], found["cases_doubled"]) == (0, 0, 0)
    assert (found["by_hand"], found["undelivered_events"]) == (0, 0)
    assert found["longest_backlog_s"] < 60
    assert sum(found["starts"].values()) > 3, "something must have been killed"
    assert found["events_received"] > 0


def test_each_kind_of_fault_is_drawn_once_before_any_is_drawn_again():
    shares = {name: share for name, (_, share) in KINDS.items()}
    drawn = draw(shares, len(KINDS) + 5, np.random.default_rng(1))
    assert set(drawn) == set(KINDS)
    assert len(drawn) == len(KINDS) + 5


def test_a_unit_that_would_give_up_is_refused(tmp_path):
    text = (UNITS / "foretwin-watch.service").read_text()
    (tmp_path / "unit").write_text(text.replace("StartLimitIntervalSec=0", "StartLimitIntervalSec=10"))
    with pytest.raises(ForetwinError, match="nobody to start it"):
        read_rule(tmp_path / "unit", ["foretwin"], {})
