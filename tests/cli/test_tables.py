"""Lists on a terminal of 80 columns: no line is longer, no word is broken."""

from datetime import UTC, datetime

import pytest

from foretwin.cli.pipeline.figures import NEXT
from foretwin.cli.tables import cell, show_table

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
CASES = ("case", "asset", "fault", "severity", "state", "opened (UTC)", "remaining life")
TWINS = ("asset", "twin", "run", "time", "remaining life", "diagnosis", "cases", "last heard")
LISTS = {
    "short": (CASES, [(12, "P-017", "rul", "warning", "open", NOON, "31 (12 to 55)")]),
    "cases": (
        CASES,
        [
            (12, "P-017", "thrust_bearing", "critical", "acknowledged", NOON, "31 (12 to 55)"),
            (9, "fleet of pump", "drift", "warning", "waiting_for_part", NOON, ""),
        ],
    ),
    "twins": (
        TWINS,
        [
            ("P-017", "pump", 1, 412.0, "31 (12 to 55)", "thrust_bearing", 2, "3 min"),
            (
                "press-12",
                "cmapss-fd001",
                3,
                10412.0,
                "101 (55 to 125)",
                "cooler: reduced_efficiency",
                1,
                "31 h (stale)",
            ),
        ],
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_fits_80_columns_and_breaks_no_word(name, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    columns, rows = LISTS[name]
    show_table(columns, rows)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert ("│" in shown) == (name == "short"), "the frame goes where it would cost a word"
    words = {word for row in (columns, *rows) for value in row for word in cell(value).split()}
    assert words <= set(shown.replace("│", " ").replace("┃", " ").split())


def test_a_number_has_four_digits_and_no_exponent():
    assert [cell(value) for value in (3.14159, 412.0, 10412.4, 0.25)] == ["3.142", "412", "10412", "0.25"]


def test_what_to_try_next_fits_80_columns():
    assert max(len(f"  {command:<24} # {purpose}") for command, purpose in NEXT.items()) <= 80
