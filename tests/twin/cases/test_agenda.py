"""What is due: cases by their dates, as a file for calendars, and the parts that will be needed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import icalendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretwin.contract.twin import load_twin
from foretwin.serving.access.bounds import UNBOUND, Bounds
from foretwin.twin.cases import board
from foretwin.twin.cases.agenda import agenda
from foretwin.twin.cases.board import Move
from foretwin.twin.cases.icalendar import OCTETS, write_calendar
from foretwin.twin.cases.part_needs import part_needs
from foretwin.twin.store import assets
from foretwin.twin.store.casework import cases
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.scores import Score
from support.stored_case import MODEL, NOON, store_case

PUMP = load_twin(Path(__file__).parents[3] / "data" / "pump" / "twin.yaml")
CONTRACTS = {"pump": PUMP}
FAULT = "mode.thrust_bearing"
DAY = timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")


def due(store, days: int, tag=None, bounds=UNBOUND) -> dict:
    with store.read() as connection:
        return agenda(connection, CONTRACTS, NOON + days * DAY, tag, bounds)


def dated_case(store, name: str, date: datetime, **tags: str):
    case = store_case(store, PUMP, FAULT, name)
    with store.write() as connection:
        cases.change_case(connection, case, "assigned", {"latest_safe_date": date}, "ann", NOON)
        assets.describe_asset(connection, assets.find_asset(connection, name), {"tags": tags})
    return case


def test_what_is_due_is_in_its_order_with_site_and_part(store):
    dated_case(store, "P-1", NOON + 5 * DAY, site="Lyon", line="2")
    second = dated_case(store, "P-2", NOON + 2 * DAY, site="Ulm")
    dated_case(store, "P-3", NOON + 40 * DAY)
    store_case(store, PUMP, FAULT, "P-4")
    board.move_case(store, second.id, Move(state="planned", planned_for=NOON + 3 * DAY), "ann", NOON)
    found = due(store, 30)
    assert [(one["asset"], one["site"], one["is_late"]) for one in found["items"]] == [
        ("P-2", "Ulm", True),
        ("P-1", "Lyon / 2", False),
    ]
    assert found["items"][0]["part"] == "thrust bearing set"
    assert found["items"][0]["due_at"] == NOON + 3 * DAY
    assert [one["asset"] for one in found["undated"]] == ["P-4"]
    assert [one["asset"] for one in due(store, 30, tag=("site", "Lyon"))["items"]] == ["P-1"]
    assert [one["asset"] for one in due(store, 99, bounds=Bounds(assets=("P-3",)))["items"]] == ["P-3"]


@given(
    name=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=120),
    site=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=80),
)
def test_any_calendar_reads_the_file(name, site):
    item = {
        "id": 7,
        "asset": name,
        "twin": "pump",
        "fault": FAULT,
        "severity": "urgent",
        "assignee": "Ann; Bert, both",
        "part": "seal\\kit",
        "site": site,
        "due_at": datetime(2026, 11, 30, 23, 30, tzinfo=UTC),
        "latest_safe_date": datetime(2026, 11, 30, 23, 30, tzinfo=UTC),
    }
    written = write_calendar([item], BERLIN, "http://127.0.0.1/cases", NOON)
    assert all(len(line) <= OCTETS for line in written.split(b"\r\n"))
    (event,) = icalendar.Calendar.from_ical(written).walk("VEVENT")
    assert event["DTSTART"].dt.isoformat() == "2026-12-01", "the day is the site's"
    plain = "".join(sign if sign.isprintable() else " " for sign in name)
    assert str(event["SUMMARY"]) == f"{plain}: thrust bearing"
    assert "Ann; Bert, both" in str(event["DESCRIPTION"])
    assert "part: seal\\kit" in str(event["DESCRIPTION"])
    assert event["URL"] == "http://127.0.0.1/cases/7"


@pytest.mark.parametrize(("days", "counted"), [(0, (0, 1, 2)), (60, (2, 2, 2))])
def test_parts_are_counted_by_the_ends_of_the_interval(store, days, counted):
    with store.write() as connection:
        model = scores.model_id(connection, "pump", MODEL, PUMP.digest, NOON, 0.9)
        known = assets.register_assets(connection, "pump", ["P-1", "P-2", "P-3"], NOON)
        healthy = {"diagnosis": {"mode": "none"}, "faults": {}, "warnings": []}
        worn = {"diagnosis": {"mode": "thrust_bearing"}, "faults": {}, "warnings": []}
        near = 30 * 24.0 - days * 24  # h of the first horizon that are left at that moment
        said = [(60.0, -10.0, 90.0), (-5.0, -20.0, 80.0)] if not days else [(0.0, -1.0, 1.0)] * 2
        rows = [
            Score(known[name].id, 1, 1.0, model, NOON, 0.0, 9, near + rul, near + low, near + high, **worn)
            for name, (rul, low, high) in zip(("P-1", "P-2"), said, strict=True)
        ]
        capped = Score(known["P-3"].id, 1, 1.0, model, NOON, 0.0, 9, 125.0, 90.0, 125.0, **healthy)
        scores.add_scores(connection, [*rows, capped])
    long = PUMP.model_copy(update={"rul": PUMP.rul.model_copy(update={"cap": 1e6})})
    moment = NOON + days * DAY
    absent = PUMP.model_copy(update={"name": "absent", "rul": None})  # of which there is no machine
    with store.read() as connection:
        found = part_needs(connection, {"pump": long, "absent": absent}, UNBOUND, moment)
        none = part_needs(connection, {"pump": long}, Bounds(assets=("X-*",)), moment)
        capped_out = part_needs(connection, {"pump": PUMP}, UNBOUND, moment)
    line = next(one for one in found["items"] if one["part"] == "thrust bearing set")
    assert tuple(line["in_30_days"].values()) == counted
    assert sorted(line["assets"]) == ["P-1", "P-2"]
    assert found["left_out"] == []
    assert none == {"items": [], "left_out": []}
    (line,) = [one for one in capped_out["items"] if "P-3" in one["assets"]] or [None]
    assert line is None, "at the cap it may last for ever"
