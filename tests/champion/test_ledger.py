"""The ledger of decisions: appended to, read back, and a changed line noticed."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from foretwin.champion.ledger import LedgerEntry, append, read
from foretwin.errors import RegistryError

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def entry(number: int) -> LedgerEntry:
    reasons = (f"RUL RMSE {number} h", "größer")
    before = str(number - 1) if number > 1 else None
    at = NOON + timedelta(hours=number)
    return LedgerEntry(at, "promoted", str(number), f"{number:064d}", "run", before, str(number), reasons, "ann", None)


@pytest.fixture
def ledger(tmp_path):
    path = tmp_path / "models" / "pump" / "ledger.jsonl"
    for number in (1, 2, 3):
        append(path, entry(number))
    return path


def test_what_was_appended_is_read_back_in_order(ledger):
    assert read(ledger) == [entry(1), entry(2), entry(3)]
    assert len(ledger.read_text().splitlines()) == 3


def test_no_ledger_holds_no_decisions(tmp_path):
    assert read(tmp_path / "ledger.jsonl") == []


def change(line: str, **values: object) -> str:
    return json.dumps({**json.loads(line), **values})


@pytest.mark.parametrize(
    ("spoil", "where"),
    [
        (lambda lines: [lines[0], change(lines[1], action="refused"), lines[2]], ":3:"),
        (lambda lines: [lines[0], lines[2]], ":2:"),
        (lambda lines: lines[1:], ":1:"),
        (lambda lines: [lines[0], "{", lines[2]], ":2:"),
        (lambda lines: [lines[0], change(lines[1], reasons="none"), lines[2]], ":2:"),
    ],
    ids=["changed", "taken out", "first taken out", "no JSON", "another type"],
)
def test_an_altered_line_is_named_and_nothing_is_appended_to_it(ledger, spoil, where):
    ledger.write_text("\n".join(spoil(ledger.read_text().splitlines())) + "\n")
    before = ledger.read_bytes()
    with pytest.raises(RegistryError, match=f"ledger.jsonl{where}"):
        append(ledger, entry(4))
    assert ledger.read_bytes() == before
