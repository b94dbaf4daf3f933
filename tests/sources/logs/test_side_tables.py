"""Tables beside the readings: lives cut from failures and maintenance, a rule that ends them, events and attributes."""

import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from foretwin.contract.source.side_tables import EndRule
from foretwin.contract.twin import Twin
from foretwin.dataset.event_channels import count_events, rows_before, time_since_event
from foretwin.errors import SourceError
from foretwin.project.paths import Paths
from foretwin.sources import adapt, fetch, origin

REMEDY = {"part": "ram", "instruction": "replace it", "lead_time": 1}
HOURS = pd.date_range("2024-05-01", periods=24, freq="h")
AT = {"asset": "press", "time": "at"}


def twin(source: dict, **fields) -> Twin:
    channels = {"force": {"unit": "1", "role": "sensor", "min": 0, "max": 100}} | fields.pop("channels", {})
    content = {
        "name": "press",
        "title": "Press",
        "source": {"kind": "table", "path": "press.csv", **AT} | source,
        "clock": {"unit": "h", "step": 1},
        "channels": channels,
        "rul": {"cap": 10, "remedy": REMEDY},
        "faults": {"mode": {"title": "mode", "classes": {"fine": None, "worn": REMEDY, "broken": REMEDY}}},
        "window": {"length": 10},
    }
    return Twin.model_validate(content | fields)


@pytest.fixture
def joined(tmp_path):
    """Write readings of two presses and the tables beside them; return the canonical rows."""

    def run(contract: Twin, readings: pd.DataFrame | None = None, **tables: str) -> pd.DataFrame:
        paths = Paths(tmp_path, "press")
        paths.raw.mkdir(parents=True)
        frame = pd.DataFrame({"at": [*HOURS, *HOURS], "press": np.repeat(["P-01", "P-02"], 24)})
        frame = frame.assign(force=np.arange(48.0)) if readings is None else readings
        frame.to_csv(paths.data / "press.csv", index=False)
        for name, text in tables.items():
            (paths.data / f"{name}.csv").write_text(text, encoding="utf-8")
            assert paths.data / f"{name}.csv" in (origin(contract, paths) or []), "its change is one of the source"
        fetch(contract, paths, paths.raw)
        for name in tables:
            (paths.data / f"{name}.csv").unlink()  # the copies are what counts
        return adapt(contract, paths.raw)

    return run


def lives(rows: pd.DataFrame) -> list[tuple]:
    """Machine, rows, first and last RUL, and end of each life."""
    found = []
    for (asset, _), life in rows.groupby(["asset", "run"], sort=False):
        rul = [None if np.isnan(one) else float(one) for one in (life["rul"].iat[0], life["rul"].iat[-1])]
        found.append((str(asset), len(life), *rul, life["ended"].iat[0]))
        assert life["time"].tolist() == list(range(len(life)))
    return found


FAILURES = (
    "press,at,what\np-1,2024-05-01T05:00:00,wear\nP-01,2024-05-01T16:30:00,crack\nP-09,2024-05-01T16:30:00,wear\n"
)


def test_failures_and_replacements_cut_lives_and_only_failures_have_a_rul(joined, caplog):
    maintenance = "press;when\nP-01;01.05.2024 05:00\nP-01;01.05.2024 09:00\nP-02;30.04.2024 09:00\n"
    contract = twin(
        {
            "failures": {"path": "failures.csv", **AT},
            "maintenance": {"path": "work.csv", "asset": "press", "time": "when", "time_format": "day_first"},
        }
    )
    with caplog.at_level(logging.WARNING):
        rows = joined(contract, failures=FAILURES.replace("p-1", "p-01"), work=maintenance)
    assert lives(rows) == [
        ("P-01", 6, 5.0, 0.0, "failed"),  # replaced at the same moment: a failure is its own repair
        ("P-01", 4, None, None, "replaced"),
        ("P-01", 7, 6.5, 0.5, "failed"),
        ("P-01", 7, None, None, "running"),
        ("P-02", 24, None, None, "running"),
    ]
    assert "2 of 5 ends of lives cut nothing" in caplog.text


def test_a_machine_that_went_silent_is_not_known_to_run(joined):
    contract = twin({"failures": {"path": "failures.csv", **AT}}, cases={"stale_after": 3})
    readings = pd.DataFrame({"at": [*HOURS[:10], *HOURS], "press": ["P-01"] * 10 + ["P-02"] * 24, "force": 1.0})
    rows = joined(contract, readings, failures="press,at\nP-02,2024-05-03T00:00:00\n")
    assert [life[1:] for life in lives(rows)] == [(10, None, None, "unknown"), (24, 48.0, 25.0, "failed")]


def test_the_mode_of_a_failure_is_a_class_before_it_and_unknown_before_other_ends(joined):
    failures = {"path": "failures.csv", **AT, "mode": "what", "axis": "mode", "holds_before": 2}
    failures["values"] = {"wear": "worn", "crack": "broken"}
    contract = twin({"failures": failures})
    rows = joined(contract, failures=FAILURES.replace("p-1", "P-01"))
    one = rows[rows["asset"] == "P-01"]["fault_mode"].tolist()
    assert one == [0, 0, 0, 1, 1, 1, *[0] * 9, 2, 2, *[0] * 4, -1, -1, -1]


def test_unplanned_work_is_a_failure_and_other_actions_end_nothing(joined):
    work = "press,at,did,planned\nP-01,2024-05-01T05:00,swap,no\nP-01,2024-05-01T09:00,oil,yes\n"
    work += "P-01,2024-05-01T12:00,Scrap,yes\n"
    maintenance = {"path": "work.csv", **AT, "planned": "planned"}
    maintenance |= {"action": "did", "ends": {"swap": "replaced", "scrap": "removed"}}
    rows = joined(twin({"maintenance": maintenance}), work=work)
    assert [life[1:] for life in lives(rows)][:3] == [
        (6, 5.0, 0.0, "failed"),
        (7, None, None, "removed"),
        (11, None, None, "running"),
    ]


def test_only_the_parts_of_a_twin_end_its_lives(joined):
    failures = {"path": "failures.csv", **AT, "part": "what"}
    rows = joined(twin({"failures": failures, "parts": ["crack"]}), failures=FAILURES.replace("p-1", "P-01"))
    assert [life[1:] for life in lives(rows)] == [
        (17, 16.5, 0.5, "failed"),
        (7, None, None, "running"),
        (24, None, None, "running"),
    ]


def test_a_rule_ends_a_life_at_its_first_crossing_and_later_rows_are_left_out(joined, caplog):
    health = [2.0, 1.8, 1.5, 1.39, 1.45, 1.2, np.nan, *[1.9] * 17] + [1.9] * 24
    readings = pd.DataFrame({"at": [*HOURS, *HOURS], "press": np.repeat(["P-01", "P-02"], 24)})
    with caplog.at_level(logging.WARNING):
        rows = joined(twin({"reached": "health < 1.4"}), readings.assign(force=1.0, health=health))
    assert lives(rows) == [("P-01", 4, 3.0, 0.0, "reached"), ("P-02", 24, None, None, "running")]
    assert "20 rows after health < 1.4" in caplog.text
    assert "health" not in rows


def test_a_rule_s_channel_is_no_input_unless_the_contract_allows_it():
    with pytest.raises(ValidationError, match=r"source\.reached: force"):
        twin({"reached": "force > 90"})
    assert twin({"reached": "force > 90"}, quality={"allow": ["force"]}).tells_ends


@pytest.mark.parametrize("text", ["capacity", "capacity = 1", "< 1.4", "capacity < low"])
def test_what_is_no_rule_is_refused(text):
    with pytest.raises(ValidationError, match="is no rule"):
        twin({"reached": text})


def test_a_rule_may_name_a_column_with_blanks_and_signs():
    assert EndRule.of("Capacity [Ah] <= 1.4e0") == EndRule("Capacity [Ah]", "<=", 1.4)


CODES = {
    "e1_count": {"unit": "1", "role": "sensor", "min": 0, "max": 9},
    "e1_since": {"unit": "h", "role": "sensor", "min": 0, "max": 5},
    "age": {"unit": "a", "role": "setting", "min": 0, "max": 90},
}
EVENTS = {"path": "events.csv", **AT, "code": "code", "counts": {"e1_count": "E1"}, "since": {"e1_since": "E1"}}
ASSETS = {"path": "assets.csv", "asset": "name", "columns": {"age": "years"}}


def test_events_and_attributes_are_channels(joined, caplog):
    events = "at,press,code\n" + "".join(
        f"2024-05-01T{time},P-01,{code}\n" for time, code in [("02:30", "e1"), ("02:45", "E1"), ("04:00", "E1")]
    )
    contract = twin({"events": EVENTS, "assets": ASSETS}, channels=CODES)
    with caplog.at_level(logging.WARNING):
        rows = joined(contract, events=events + "2024-05-01T04:00,P-01,E7\n", assets="name,years\nP-01,7\np-02,12\n")
    one = rows[rows["asset"] == "P-01"]
    assert one["e1_count"].tolist() == [0, 0, 0, 2, 1, *[0] * 19]
    assert one["e1_since"].tolist() == [5, 5, 5, 0.25, 0, 1, 2, 3, 4, *[5] * 15]
    assert rows.groupby("asset")["age"].unique().map(list).to_dict() == {"P-01": [7], "P-02": [12]}
    assert "1 of 4 events are of 1 codes" in caplog.text
    assert list(rows.columns[3:7]) == ["force", "e1_count", "e1_since", "age"]


def test_events_on_the_grid_are_counted_per_step_of_the_clock(joined):
    contract = twin(
        {"events": EVENTS, "failures": {"path": "failures.csv", **AT}},
        channels={name: CODES[name] for name in ("e1_count", "e1_since")}
        | {"force": {"unit": "1", "role": "sensor", "min": 0, "max": 100, "grid": {"take": "last"}}},
        clock={"unit": "h", "step": 2},
    )
    events = "at,press,code\n2024-05-01T02:30,P-01,E1\n2024-05-01T03:30,P-01,E1\n"
    rows = joined(contract, events=events, failures="press,at\nP-01,2024-05-01T10:00:00\n")
    one = rows[(rows["asset"] == "P-01") & (rows["run"] == 1)]
    assert one["time"].tolist() == [0, 2, 4, 6, 8, 10]
    assert one["e1_count"].tolist() == [0, 0, 2, 0, 0, 0]
    assert one["e1_since"].tolist() == [5, 5, 0.5, 2.5, 4.5, 5]
    assert one["rul"].tolist() == [10, 8, 6, 4, 2, 0]
    assert set(one["ended"]) == {"failed"}


def test_a_machine_without_an_attribute_is_refused(joined):
    with pytest.raises(SourceError, match=r"machine 'P-02' has no 'years'; add it"):
        joined(twin({"assets": ASSETS}, channels={"age": CODES["age"]}), assets="name,years\nP-01,7\n")


def test_a_code_that_never_came_is_refused_with_those_that_did(joined):
    with pytest.raises(SourceError, match=r"no row is of 'E1'; it holds 'E2'"):
        joined(
            twin({"events": EVENTS}, channels={n: CODES[n] for n in ("e1_count", "e1_since")}),
            events="at,press,code\n2024-05-01T02:30,P-01,E2\n",
        )


def test_dates_beside_numbers_are_refused(joined):
    readings = pd.DataFrame({"at": np.arange(24.0), "press": "P-01", "force": 1.0})
    with pytest.raises(SourceError, match=r"the times are dates.*set source\.failures\.time_format"):
        joined(twin({"failures": {"path": "failures.csv", **AT}}), readings, failures="press,at\nP-01,2024-05-01\n")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ({"failures": {"path": "f.csv", **AT}, "failure": "failed"}, "failure: failures"),
        ({"failures": {"path": "f.csv", **AT}, "run": "life"}, "run: lives are cut"),
        ({"failures": {"path": "f.csv", "time": "at"}}, "failures.asset: name the column"),
        ({"failures": {"path": "f.csv", "asset": "press"}}, "time: a row is something"),
        ({"failures": {"path": "f.csv", **AT}, "parts": ["ram"]}, "failures.part: name the column"),
        ({"parts": ["ram"]}, "parts: are of failures"),
        ({"failures": {"path": "f.csv", **AT, "mode": "what"}}, "mode: `mode`, `axis` and `values`"),
        ({"events": {"path": "f.csv", **AT, "code": "c", "counts": {"force": "1"}}}, None),
        ({"events": {"path": "f.csv", **AT, "code": "c", "counts": {"heat": "1"}}}, "events: heat is not a channel"),
        ({"maintenance": {"path": "f.csv", **AT}, "time": None, "time_format": "row"}, "maintenance: is of times"),
    ],
)
def test_what_does_not_fit_together_is_refused(source, reason):
    if reason is None:
        assert twin(source).source.made_channels == ("force",)
        return
    with pytest.raises(ValidationError, match=reason):
        twin(source)


MOMENTS = st.lists(st.integers(0, 40), max_size=12).map(lambda one: np.array(one, np.float64) / 2)


@settings(max_examples=50, deadline=None)
@given(MOMENTS.filter(len), MOMENTS)
def test_counts_and_ages_of_events_are_those_of_a_plain_loop(times, events):
    times = np.unique(times)
    counts, since = count_events(times, events, rows_before(times, times[0] - 1)), time_since_event(times, events, 9.0)
    before = times[0] - 1.0
    for place, time in enumerate(times):
        assert counts[place] == sum(before < one <= time for one in events)
        assert since[place] == min([9.0, *(time - one for one in events if one <= time)])
        before = time


def test_an_attribute_may_be_a_word_and_one_that_is_not_listed_is_unknown(joined, caplog):
    assets = {"path": "assets.csv", "asset": "name", "columns": {"model": "Type"}}
    contract = twin({"assets": assets}, channels={"model": {"categories": ["A1", "B2"]}})
    with caplog.at_level(logging.WARNING):
        rows = joined(contract, assets="name,Type\nP-01,b2\nP-02,C3\n")
    assert dict(zip(rows["asset"], rows["model"], strict=True)) == {"P-01": 2, "P-02": 0}
    assert "column 'Type': none of its categories, taken as unknown: 'C3' (1 rows)" in caplog.text
