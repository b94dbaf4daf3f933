"""What would happen if: answers about simulated pumps, held against what then really happens to them."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from foretwin.contract.twin import load_twin
from foretwin.errors import BadInput, ForetwinError, NotFound
from foretwin.evaluation.plots_twin import what_if_plot
from foretwin.physics.degradation import load_degradation
from foretwin.twin.store import Store, assets, open_store
from foretwin.twin.what_if.what_if import AS_NOW, Option, hourly, read_options, what_if
from foretwin.wire.readings import Readings
from support.pump_lives import NOON, Lives, keep, lives, pump_twin

ROOT = Path(__file__).parents[3]
PUMPS = 8
SLOW, FAST = 3240.0, 3672.0  # rpm
OPTIONS = [
    Option(name="fast", settings={"commanded_speed": FAST}),
    Option(name="slow", settings={"commanded_speed": SLOW}),
]
Answers = list[dict[str, dict[str, Any]]]  # of each pump: name of the option -> what is said of it


@pytest.fixture(scope="module")
def root(learnt_project: Path) -> Path:
    return learnt_project


@pytest.fixture(scope="module")
def fleet() -> Lives:
    """Pumps that the degradation model has not seen, at half of their lives."""
    return lives(range(1000, 1000 + PUMPS), 0.5)


@pytest.fixture(scope="module")
def kept(fleet: Lives, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with those pumps, named P-0, P-1, ..."""
    opened = open_store(f"sqlite:///{tmp_path_factory.mktemp('store')}/twins.db")
    for number in range(PUMPS):
        keep(opened, f"P-{number}", *fleet.rows(number))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def answers(root: Path, kept: Store) -> Answers:
    said = [what_if(kept, root, pump_twin(), f"P-{number}", OPTIONS, NOON) for number in range(PUMPS)]
    return [{option["name"]: option for option in answer["options"]} for answer in said]


def holds(figures: dict[str, Any], truth: float) -> bool:
    return bool(figures["low"] <= truth <= figures["high"])


@pytest.mark.parametrize(("name", "rpm"), [(AS_NOW, None), ("slow", SLOW), ("fast", FAST)])
def test_the_intervals_hold_what_really_happens(name: str, rpm: float | None, answers: Answers, fleet: Lives) -> None:
    truth = fleet.left if rpm is None else fleet.left_at(rpm)
    held = [holds(answer[name]["rul"], left) for answer, left in zip(answers, truth, strict=True)]
    assert np.mean(held) >= 0.75
    assert np.mean([answer[name]["rul"]["value"] for answer in answers]) == pytest.approx(truth.mean(), rel=0.5)


def test_the_hours_gained_by_running_slower_are_told_better_than_the_life(answers: Answers, fleet: Lives) -> None:
    truth = fleet.left_at(SLOW) - fleet.left
    gained = [answer["slow"]["difference"] for answer in answers]
    assert np.mean([holds(one, hours) for one, hours in zip(gained, truth, strict=True)]) >= 0.75
    width = np.mean([one["high"] - one["low"] for one in gained])
    assert width < 0.5 * np.mean([answer["slow"]["rul"]["high"] - answer["slow"]["rul"]["low"] for answer in answers])


def test_a_slower_pump_lasts_longer_and_comes_first(answers: Answers, fleet: Lives) -> None:
    assert (fleet.left_at(SLOW) > fleet.left_at(FAST)).all()
    for answer in answers:
        assert answer["slow"]["rul"]["value"] > answer["fast"]["rul"]["value"]
        assert answer["slow"]["rank"] == 1
        assert answer["slow"]["difference"]["value"] > 0 > answer["fast"]["difference"]["value"]
        for slow, fast in zip(answer["slow"]["survival"], answer["fast"]["survival"], strict=True):
            assert slow["time"] == fast["time"]
            assert slow["probability"] >= fast["probability"]


def test_near_its_end_it_is_known_what_fails_first(root: Path, store: Store) -> None:
    late = lives(range(1000, 1002), 0.9)
    classes = list(pump_twin().faults["mode"].classes)
    for number in range(2):
        keep(store, f"P-{number}", *late.rows(number))
        answer = what_if(store, root, pump_twin(), f"P-{number}", OPTIONS[:1], NOON)
        likeliest = answer["options"][0]["fails_first"][0]
        assert likeliest["fault"] == f"mode.{classes[late.plan.component[number] + 1]}"
        assert likeliest["part"] == pump_twin().faults["mode"].classes[classes[late.plan.component[number] + 1]].part
        assert likeliest["probability"] > 0.8


def test_the_answer_is_json_says_where_it_comes_from_and_is_the_same_again(root: Path, kept: Store) -> None:
    later = NOON + timedelta(hours=7)
    answer = what_if(kept, root, pump_twin(), "P-0", OPTIONS, later)

    assert json.loads(json.dumps(answer)) == answer
    assert what_if(kept, root, pump_twin(), "P-0", OPTIONS, later) == answer
    assert [option["rank"] for option in answer["options"]] == [1, 2, 3]
    assert answer["as_of"]["received_at"] == NOON.isoformat()
    assert (answer["age_seconds"], answer["stale"]) == (7 * 3600, True)
    assert answer["options"][0]["settings"] == {"commanded_speed": SLOW}
    assert [one["time"] for one in answer["options"][0]["survival"]] == [24, 72, 168]
    assert answer["model"]["draws"] == 200
    assert len(answer["model"]["digest"]) == 64
    assert any("pipe's curve" in line for line in answer["assumptions"])
    assert answer["warnings"] == []


def test_pieces_follow_one_another_to_the_hour() -> None:
    course = [{"hours": 2, "value": 1.0}, {"hours": 0.5, "value": 2.0}, {"hours": 1.5, "value": 3.0}]
    option = read_options([{"name": "a", "settings": {"commanded_speed": course, "ambient_temperature": 7}}])[0]
    hourly = option.hourly(6)
    assert hourly["commanded_speed"].tolist() == [1, 1, 2, 3, 3, 3]
    assert hourly["ambient_temperature"].tolist() == [7] * 6


def test_a_duty_may_change_with_time(root: Path, kept: Store) -> None:
    horizon = 375
    week = [{"hours": 168, "value": SLOW}, {"hours": 1, "value": FAST}]
    never = [{"hours": float(horizon), "value": SLOW}, {"hours": 1, "value": FAST}]
    options = read_options(
        [
            {"name": name, "settings": {"commanded_speed": course}}
            for name, course in (("slow", SLOW), ("week", week), ("never", never), ("fast", FAST))
        ]
    )
    said = {one["name"]: one for one in what_if(kept, root, pump_twin(), "P-1", options, NOON)["options"]}

    assert said["never"]["curve"] == said["slow"]["curve"]
    for time, slow, week_of, fast in zip(
        said["slow"]["curve"]["time"],
        *(said[name]["curve"]["probability"] for name in ("slow", "week", "fast")),
        strict=True,
    ):
        assert slow >= week_of >= fast
        assert time > 168 or slow == week_of
    assert sum(said["week"]["curve"]["probability"]) > sum(said["fast"]["curve"]["probability"])


def test_readings_are_put_into_their_hours(root: Path) -> None:
    contract, forward = pump_twin(), load_degradation(root / "models" / "pump" / "forward.json")
    times = np.array([-500.0, 100, 101.02, 100.97, 104.98])
    values = (1000 * np.arange(1.0, 6)[:, None] + np.arange(11)).astype(np.float32)
    order = np.argsort(times)
    ones = np.ones(5, np.int64)
    seen = hourly(Readings("pump", contract.channel_names, ones, ones, times[order], values[order]), contract, forward)

    assert seen.missing.tolist() == [False, False, True, True, True, False]
    assert seen.time == 104.98
    assert seen.recordings.settings["commanded_speed"][:, 0].tolist() == [2000, 3000, 3000, 3000, 3000, 5000]
    flow = seen.recordings.measured[:, 0, forward.sensors.names.index("flow")]
    np.testing.assert_array_equal(flow, [2003, 3003, np.nan, np.nan, np.nan, 5003])
    assert seen.tail(3).missing.tolist() == [True, True, False]
    assert seen.tail(3).recordings.counts.tolist() == [3]


def test_holes_in_the_readings_are_told_and_change_little(root: Path, fleet: Lives, store: Store) -> None:
    times, values = fleet.rows(2)
    there = np.ones(len(times), bool)
    there[[-3, -9, -10, -11, -30]] = False
    keep(store, "whole", times, values)
    keep(store, "holed", times[there], values[there])
    whole, holed = (what_if(store, root, pump_twin(), name, OPTIONS, NOON) for name in ("whole", "holed"))

    assert holed["warnings"] == ["5 of the last 60 hours have no reading"]
    before, after = ({one["name"]: one["rul"] for one in answer["options"]} for answer in (whole, holed))
    assert after != before
    assert after[AS_NOW]["value"] == pytest.approx(before[AS_NOW]["value"], rel=0.25)


def test_a_short_history_and_a_duty_that_no_pump_ever_ran_are_warned_of(root: Path, fleet: Lives, store: Store) -> None:
    times, values = fleet.rows(0)
    keep(store, "young", times[:20], values[:20])
    options = [
        Option(name="hot", settings={"ambient_temperature": 55.0}),
        Option(name="crawl", settings={"commanded_speed": 1000.0}),
    ]
    assert what_if(store, root, pump_twin(), "young", options, NOON)["warnings"] == [
        "the history is short: 20 hours, where the estimate can use 60",
        "hot: ambient_temperature 55 degC: the fleet only ran at 2.7 to 30.3",
        "crawl: commanded_speed 1000 rpm: the fleet only ran at 3240 to 3672",
        "crawl: at 1000 rpm the machine lasts, but is too slow to lift anything",
    ]


def asked(**settings: Any) -> list[dict[str, Any]]:
    return [{"name": "a", "settings": settings}]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], r"^options: are 0, but there may be 1 to 10$"),
        ([*({"name": str(i), "settings": {"commanded_speed": SLOW}} for i in range(11))], r"^options: are 11, but"),
        (2 * asked(commanded_speed=SLOW), r"^options\[1\]\.name: a is the name of another option"),
        ([{"name": AS_NOW, "settings": {"commanded_speed": SLOW}}], r"^options\[0\]\.name: as now is the name of"),
        (asked(flow=3.0), r"^options\[0\]\.settings\.flow: is no setting of pump that can be changed; these can: comm"),
        (asked(commanded_speed=4001), r"^options\[0\]\.settings\.commanded_speed: 4001 rpm is not within 0 to 4000$"),
        (asked(commanded_speed=0), r"^options\[0\]\.settings\.commanded_speed: a pump at rest is not modelled"),
        (asked(), r"^options\[0\]\.settings: .*at least 1"),
        (asked(commanded_speed="slow"), r"^options\[0\]\.settings\.commanded_speed: "),
        (asked(commanded_speed=[]), r"^options\[0\]\.settings\.commanded_speed: List should have at least 1"),
        (asked(commanded_speed=float("nan")), r"^options\[0\]\.settings\.commanded_speed: "),
        (
            asked(commanded_speed=[{"hours": 0, "value": 3000}]),
            r"^options\[0\]\.settings\.commanded_speed\[0\]\.hours: ",
        ),
        ([{"name": "a", "settings": {"commanded_speed": SLOW}, "speed": 1}], r"^options\[0\]\.speed: Extra inputs"),
        ([7], r"^options\[0\]: "),
        ({}, r"^options: must be a list"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_its_place(options: Any, message: str, root: Path, kept: Store) -> None:
    with pytest.raises(BadInput, match=message):
        what_if(kept, root, pump_twin(), "P-0", read_options(options), NOON)


def test_a_speed_that_only_just_lifts_the_column_is_refused(root: Path, kept: Store) -> None:
    refusals = []
    for rpm in (1780.0, 1820.0, 1860.0, 1900.0):
        try:
            what_if(kept, root, pump_twin(), "P-0", read_options([*asked(commanded_speed=SLOW), *edge(rpm)]), NOON)
        except BadInput as error:
            refusals.append((error.field, error.reason[:50]))
    assert set(refusals) == {("options[1]", "the machine would at times be too slow to lift its")}


def edge(rpm: float) -> list[dict[str, Any]]:
    return [{"name": "edge", "settings": {"commanded_speed": rpm}}]


def test_an_asset_that_is_not_there_or_has_hardly_been_read_is_refused(root: Path, fleet: Lives, store: Store) -> None:
    times, values = fleet.rows(0)
    keep(store, "young", times[:11], values[:11])
    with store.write() as connection:
        assets.register_assets(connection, "pump", ["unread"], NOON)
        assets.register_assets(connection, "press", ["other"], NOON)
    refusals: list[tuple[str, type[ForetwinError], str]] = [
        ("young", BadInput, "asset: young has 11 readings of its present run, but 12 are needed"),
        ("unread", BadInput, "asset: unread has 0 readings of its present run, but 12 are needed"),
        ("other", BadInput, "asset: other is a press, not a pump"),
        ("nobody", NotFound, "asset: 'nobody' is not known"),
    ]
    for name, kind, message in refusals:
        with pytest.raises(kind, match=message):
            what_if(store, root, pump_twin(), name, OPTIONS, NOON)


def test_a_machine_that_stood_still_cannot_be_followed(root: Path, fleet: Lives, store: Store) -> None:
    times, values = fleet.rows(0)
    values = values.copy()
    values[-5:, pump_twin().channel_names.index("commanded_speed")] = 0
    keep(store, "still", times, values)
    with pytest.raises(BadInput, match="asset: still: its last readings are none of a running pump"):
        what_if(store, root, pump_twin(), "still", OPTIONS, NOON)


def test_other_twins_have_no_forward_model(root: Path, kept: Store) -> None:
    with pytest.raises(BadInput, match=r"^twin: hydraulic ") as refused:
        what_if(kept, root, load_twin(ROOT / "data" / "hydraulic" / "twin.yaml"), "P-0", OPTIONS, NOON)
    assert refused.value.field == "twin"


def test_the_picture_shows_the_answer(root: Path, kept: Store, tmp_path: Path) -> None:
    answers = [what_if(kept, root, pump_twin(), name, OPTIONS, NOON) for name in ("P-0", "P-3")]
    for number, answer in enumerate([*answers, answers[0]]):
        what_if_plot(answer, tmp_path / f"{number}.png")
    one, other, again = (matplotlib.image.imread(tmp_path / f"{number}.png") for number in range(3))

    assert min(one.shape[:2]) > 500
    assert 0.02 < (one[:, :, :3] < 0.9).any(axis=2).mean() < 0.5
    assert not np.array_equal(one, other)
    assert (tmp_path / "0.png").read_bytes() == (tmp_path / "2.png").read_bytes()
    assert np.array_equal(one, again)
