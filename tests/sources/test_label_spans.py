"""Labels as spans of time in a file of their own: JSON and tables, wall clocks and numbers, one machine and many."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretwin.contract.twin import Twin
from foretwin.errors import SourceError
from foretwin.project.paths import Paths
from foretwin.sources import adapt, fetch, origin
from foretwin.sources.label_spans import Spans

REMEDY = {"part": "ram", "instruction": "replace it", "lead_time": 1}
HOURS = pd.date_range("2024-05-01", periods=24, freq="h")


@pytest.fixture
def labelled(tmp_path):
    """Write a table of two presses and the file of spans; return the classes by press."""

    def run(spans: dict, content: str, times=HOURS, values: dict | None = None, **fields) -> dict[str, list[int]]:
        paths = Paths(tmp_path, "press")
        paths.raw.mkdir(parents=True)
        frame = pd.DataFrame({"at": [*times, *times], "force": np.arange(2.0 * len(times))})
        frame["press"] = np.repeat(["P-01", "P-02"], len(times))
        frame.to_csv(paths.data / "press.csv", index=False)
        (paths.data / "spans").write_text(content, encoding="utf-8")
        fault = {"spans": {"path": "spans"} | spans, "values": values or {}} | fields.pop("fault", {})
        classes = {"fine": None, "worn": REMEDY, "broken": REMEDY}
        contract = Twin.model_validate(
            {
                "name": "press",
                "title": "Press",
                "source": {"kind": "table", "path": "press.csv", "asset": "press", "time": "at"}
                | {"faults": {"mode": fault}, **fields},
                "clock": {"unit": "h", "step": 1},
                "channels": {"force": {"unit": "1", "role": "sensor", "min": 0, "max": 100}},
                "faults": {"mode": {"title": "mode", "classes": classes}},
                "window": {"length": 10},
            }
        )
        assert paths.data / "spans" in (origin(contract, paths) or []), (
            "a change of the spans is a change of the source"
        )
        fetch(contract, paths, paths.raw)
        (paths.data / "spans").unlink()
        rows = adapt(contract, paths.raw)
        return {str(asset): part.tolist() for asset, part in rows.groupby("asset")["fault_mode"]}

    return run


def held(**hours: range) -> list[int]:
    found = [0] * 24
    for name, some in hours.items():
        for hour in some:
            found[hour] = {"worn": 1, "broken": 2, "unknown": -1}[name]
    return found


def test_pairs_of_times_in_json_hold_on_every_machine_and_an_hour_before(labelled):
    pairs = {
        "other": [],
        "presses": [["2024-05-01 03:00:00.000000", "2024-05-01T05:30:00"], ["2024-05-01 20:00", "2024-05-02"]],
    }
    spans = {"key": "presses", "means": "broken"}
    found = labelled(spans, json.dumps(pairs), fault={"holds_before": 1})
    assert found == dict.fromkeys(["P-01", "P-02"], held(broken=[*range(2, 6), *range(19, 24)]))


def test_single_moments_in_json_hold_on_their_row_and_before(labelled):
    found = labelled({"means": "worn"}, json.dumps(["2024-05-01 08:00:00"]), fault={"holds_before": 2})
    assert found["P-01"] == held(worn=range(6, 9))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_of_spans_names_machines_in_any_spelling_and_classes(labelled, separator):
    lines = ["what,machine,from,to", "worn out,p-01,2024-05-01T01:00,2024-05-01T06:00"]
    lines += ["Broken,p-01,2024-05-01T05:00,2024-05-01T09:00", "noise,P-01,2024-05-01T12:00,2024-05-01T15:00"]
    lines += ["broken ,P-02,2024-05-01T22:00,"]
    spans = {"begin": "from", "end": "to", "asset": "machine", "label": "what"}
    values = {"worn out": "worn", "broken": "broken"}
    found = labelled(spans, "\n".join(lines).replace(",", separator), values=values)
    assert found["P-01"] == held(worn=range(1, 5), unknown=range(5, 7), broken=range(7, 10)), "two at once: unknown"
    assert found["P-02"] == held(broken=[22]), "without an end, a span is a moment"


def test_spans_are_in_the_clock_and_zone_of_the_table(labelled):
    days = [time.strftime("%d.%m.%Y %H:%M") for time in HOURS]
    spans = "from,to\n01.05.2024 02:00,01.05.2024 03:00\n2024-05-01T08:00:00Z,2024-05-01T09:00:00Z"
    zoned = {"time_format": "day_first", "time_zone": "Europe/Berlin"}
    found = labelled({"begin": "from", "end": "to", "means": "worn"}, spans, times=days, **zoned)
    assert found["P-01"] == held(worn=[2, 3, 10, 11]), "an offset of its own counts"


def test_spans_of_numbers_are_in_the_clocks_unit(labelled):
    found = labelled({"begin": "from", "end": "to", "means": "worn"}, "from,to\n100.5,103\n", times=range(100, 124))
    assert found["P-02"] == held(worn=[1, 2, 3])


@pytest.mark.parametrize(
    ("spans", "content", "problem"),
    [
        ({"means": "worn"}, "from,to\n1,2", "spans: is no JSON"),
        ({"means": "worn", "key": "b"}, '{"a": [], "c": []}', "has no key 'b'; set spans.key to one of 'a', 'c'"),
        ({"means": "worn"}, "[[1, 2, 3]]", "holds no pairs of times"),
        ({"means": "worn"}, '[["2024-05-01", "soon"]]', "span 1: 'soon' is no time"),
        ({"means": "worn"}, '[["2024-05-02", "2024-05-01"]]', "span 1 ends at 2024-05-01, before it begins"),
        ({"means": "worn"}, '[["2025-05-02", "2025-05-03"]]', "no span of axis mode holds a row"),
        ({"begin": "start", "means": "worn"}, "from,to\n1,2", "start"),
    ],
)
def test_spans_that_cannot_be_read_are_a_source_error(labelled, spans, content, problem):
    with pytest.raises(SourceError, match=problem):
        labelled(spans, content)


SPAN = st.tuples(st.integers(0, 30), st.integers(0, 10), st.integers(1, 2), st.sampled_from(["a", "b"]))


@settings(max_examples=60, deadline=None)
@given(spans=st.lists(SPAN, max_size=8), times=st.lists(st.integers(0, 40), min_size=1, max_size=30))
def test_a_row_has_the_class_of_the_spans_around_it(spans, times):
    begin, length, label, asset = (np.array(part) for part in zip(*spans, strict=True)) if spans else [np.array([])] * 4
    given_spans = Spans(
        begin.astype(float), (begin + length).astype(float), label.astype(np.int8), pd.Series(asset, dtype="str")
    )
    names = pd.Series(np.resize(["A", "b "], len(times)), dtype="str")
    found = given_spans.classes_at(np.array(times, float), names, 3)
    for row, time in enumerate(times):
        mine = names.iat[row].strip().lower()
        around = {kind for first, size, kind, name in spans if name == mine and first <= time <= first + size}
        assert found[row] == (0 if not around else -1 if len(around) > 1 else around.pop())
