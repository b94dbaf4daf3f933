"""Lists on a terminal of 80 columns."""

from datetime import UTC, datetime

from foretwin.cli.tables import show_table

CASES = ("case", "asset", "fault", "severity", "state", "opened (UTC)", "remaining life")


def test_no_word_of_a_row_is_broken(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    moment = datetime(2026, 11, 30, 12, 30, tzinfo=UTC)
    show_table(CASES, [(6, "M-06", "end_of_life", "planned", "open", moment, "131 (94 to 140)")])
    shown = capsys.readouterr().out
    assert max(len(line) for line in shown.splitlines()) <= 80
    words = {word for line in shown.splitlines() for word in line.split()}
    assert words >= {"M-06", "end_of_life", "planned", "open", "2026-11-30", "12:30", "131", "140)"}
