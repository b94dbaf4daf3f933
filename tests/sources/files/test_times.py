"""Times as they are written: forms, zones, the hour that is there twice, and the one that never was."""

import numpy as np
import pandas as pd
import pytest

from foretwin.errors import SourceError
from foretwin.sources.files.times import durations
from support.written_table import adapted, contract

HEADER = "Maschine,Zeit,Kraft,Öl °C\n"


@pytest.fixture
def times(tmp_path):
    """Return the hours (or the text of the refusal) that these texts of one machine are read as."""

    def run(*texts: str, **source) -> list[float]:
        lines = "".join(f'M-1,"{text}",1,1\n' for text in texts)
        (tmp_path / "export.csv").write_text(HEADER + lines, encoding="utf-8")
        rows = adapted(contract("export.csv", **source), tmp_path, tmp_path / "raw")
        return [round(float(hour), 6) for hour in rows["time"]]

    return run


@pytest.mark.parametrize(
    ("form", "first", "second"),
    [
        ("iso", "2024-05-31", "2024-05-31 02:00:00.000"),
        ("iso", "2024-05-31T08:00:00+02:00", "2024-05-31T08:00:00Z"),
        ("day_first", "03/04/2024 11:30 PM", "04/04/2024 1:30 am"),
        ("day_first", "03.04.24 23:30", "04.04.24 1:30"),
        ("day_first", "31-Mai-2024 08:00", "31-May-2024 10:00"),
        ("month_first", "05/31/2024 12:30 AM", "05/31/2024 2:30 AM"),
        ("month_first", "05/31/2024 08:00:00+0200", "05/31/2024 08:00:00Z"),
        ("epoch_s", "1711828800", "1711836000.0"),
        ("epoch_ms", "1711828800000", "1711836000000"),
        ("epoch_ns", "1711828800000000001", "1711836000000000001"),
        ("%Y%m%d%H%M", "202405310800", "202405311000"),
        ("%Y %j %H", "2024 100 08", "2024 100 10"),
    ],
)
def test_two_hours_are_two_hours_in_any_form(times, form, first, second):
    assert times(first, second, time_format=form) == [0, 2]


@pytest.mark.parametrize("texts", [("1 day 02:00:00", "1 day 04:00:00"), ("26:00", "28:00:00"), ("PT26H", "P1DT4H")])
def test_durations_are_kept_as_ages(times, texts):
    assert times(*texts, time_format="duration") == [26, 28]


def test_the_second_pass_of_a_doubled_hour_is_told_by_order(times, caplog):
    texts = ["01:30", "02:00", "02:30", "02:00", "02:30", "03:00"]
    read = times(*(f"27.10.2024 {text}" for text in texts), time_format="day_first", time_zone="Europe/Berlin")
    assert read == [0, 0.5, 1, 1.5, 2, 2.5]
    assert "4 times in an hour that clocks of Europe/Berlin show twice" in caplog.text


def test_hourly_rows_have_the_doubled_hour_as_two_equal_texts(times):
    texts = [f"2024-11-03 0{hour}:00" for hour in (0, 1, 1, 2)]
    assert times(*texts, time_zone="America/New_York") == [0, 1, 2, 3]


def test_the_hour_that_spring_skips_is_passed_over(times):
    assert times("2024-03-31 01:45", "2024-03-31 03:00", time_zone="Europe/Berlin") == [0, 0.25]


def test_a_time_within_the_skipped_hour_is_refused_with_the_way_out(times):
    reason = r"line 3: column 'Zeit': '2024-03-31 02:15' clocks of Europe/Berlin skipped it; .*\+01:00"
    with pytest.raises(SourceError, match=reason):
        times("2024-03-31 01:45", "2024-03-31 02:15", time_zone="Europe/Berlin")


def test_a_clock_that_never_changes_has_an_offset_as_its_zone(times):
    assert times("2024-03-31 01:45", "2024-03-31 02:15", time_zone="+01:00") == [0, 0.5]


def test_texts_with_their_own_offset_are_no_wall_clock(times):
    assert times("2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00", time_zone="Europe/Berlin") == [0, 1]


def test_two_machines_pass_the_doubled_hour_each_by_its_own_order(tmp_path):
    hours = [("M-1", "02:00"), ("M-2", "02:00"), ("M-1", "02:00"), ("M-2", "02:00"), ("M-1", "03:00"), ("M-2", "03:00")]
    lines = "".join(f"{name},2024-10-27 {hour},1,1\n" for name, hour in hours)
    (tmp_path / "export.csv").write_text(HEADER + lines, encoding="utf-8")
    rows = adapted(contract("export.csv", time_zone="Europe/Berlin"), tmp_path, tmp_path / "raw")
    assert rows["time"].tolist() == [0, 1, 2, 0, 1, 2]


def test_a_date_and_a_time_of_day_are_one_time(tmp_path):
    frame = pd.DataFrame({"Maschine": "M-1", "Zeit": "31.05.2024", "Uhr": ["23:00", "23:30"], "Kraft": 1, "Öl °C": 2})
    frame.to_csv(tmp_path / "export.csv", index=False)
    source = {"time_of_day": "Uhr", "time_format": "day_first"}
    assert adapted(contract("export.csv", **source), tmp_path, tmp_path / "raw")["time"].tolist() == [0, 0.5]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("day_first", "31/13/2024"),
        ("day_first", "30/02/2024"),
        ("month_first", "05/31/2024 13:00 PM"),
        ("iso", "31/05/2024"),
        ("epoch_s", "1e30"),
        ("duration", "soon"),
        ("%Y", "24"),
    ],
)
def test_a_text_in_another_form_is_refused_with_its_line(times, form, text):
    good = {"duration": "PT2H", "epoch_s": "0", "iso": "2024-05-31", "%Y": "2024"}.get(form, "05/05/2024")
    with pytest.raises(SourceError, match=r"export\.csv: line 3: column 'Zeit': "):
        times(good, text, time_format=form)


def test_a_machine_named_like_the_letter_of_a_duration_is_no_duration():
    assert np.isnan(durations(pd.Series(["P-1", "P-02", "P"]))).all()
    assert durations(pd.Series(["PT2H", "-P1D"])).tolist() == [7200, -86400]
