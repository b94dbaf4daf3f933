"""When the stages ran, kept beside the record that each of them wrote."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from foretwin.project.timings import read_timings, write_timings

BEGAN = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "training.json"
    path.write_text("{}")
    write_timings(path, "train", BEGAN, {"seconds": 3.0})
    return path


def test_what_a_stage_tells_is_read_back_with_its_span(record: Path) -> None:
    told = read_timings(record, "train")
    assert told["seconds"] == 3
    assert told["started"] == "2026-03-29T00:30:00+00:00"
    assert datetime.fromisoformat(told["ended"]) > BEGAN


def test_one_stage_leaves_what_others_told(record: Path) -> None:
    tuning = record.with_name("tuning.json")
    tuning.write_text("{}")
    write_timings(tuning, "tune", BEGAN, {"trials": []})
    assert list(json.loads(record.with_name("timings.json").read_text())) == ["train", "tune"]


def test_what_was_told_of_another_record_is_not_told_of_this_one(record: Path) -> None:
    record.write_text('{"seed": 2}')
    assert read_timings(record, "train") == {}


@pytest.mark.parametrize("content", [None, "no JSON", "[]", '{"train": 3}'])
def test_times_that_are_not_there_are_lived_without(record: Path, content: str | None) -> None:
    times = record.with_name("timings.json")
    times.unlink()
    if content is not None:
        times.write_text(content)
    assert read_timings(record, "train") == {}
    assert read_timings(record.with_name("none.json"), "train") == {}
