"""Timeline of an asset: readings, scores, cases, maintenance, and its state at a past moment."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput
from foretwin.twin.cases.dating import taken_at
from foretwin.twin.scoring.staleness import is_stale
from foretwin.twin.store import Connection, timeline
from foretwin.twin.store.assets import Asset, fitted_parts
from foretwin.twin.store.casework import audit
from foretwin.twin.store.scoring import scores as score_store
from foretwin.twin.store.timeline import Period

Entry = dict[str, Any]
# Actions that have entries of their own.
SHOWN_ITSELF = {"verdict.given", "maintenance.recorded", "part.fitted", "case.commented"}
MOST_SCORES = 1000  # newest ones of the period among which those that differ are looked for
TELLING = 0.1  # share of the RUL's cap by which a score must differ from the one shown before it


def thread(
    connection: Connection, contract: Twin, asset: Asset, since: datetime | None, until: datetime | None, limit: int
) -> list[Entry]:
    """Return the newest `limit` entries from `since` up to `until`, the newest last; each has `at` and `kind`.

    `readings` are summed up per hour of receipt. Of the newest MOST_SCORES scores, `score` shows the first, the last,
    and each that differs in model, run, diagnosis, or by more than a tenth of the cap in the RUL. The others are
    `case`, `comment`, `verdict`, `maintenance`, `part` and `audit`.
    """
    period = since, until
    entries = [
        *_readings(timeline.received_hours(connection, asset.id, period, limit)),
        *_telling(timeline.newest_scores(connection, asset.id, period, MOST_SCORES), contract),
        *_audited(connection, asset, period, limit),
        *(_verdict(row) for row in timeline.verdicts_of(connection, asset.id, period)),
        *(_comment(row) for row in timeline.comments_of(connection, asset.id, period)),
        *(_maintenance(row) for row in timeline.maintenance_of(connection, asset.id, period)),
        *_parts(timeline.parts_of(connection, asset.id, period), period),
    ]
    return sorted(entries, key=lambda entry: entry["at"])[-limit:]


def state(connection: Connection, contract: Twin, asset: Asset, at: datetime, now: datetime) -> dict[str, Any]:
    """Return the state of the asset at a past moment: last reading, score, parts fitted, open cases.

    BadInput for a moment after `now`. `age_seconds` is how old the reading was at that moment.
    """
    if at > now:
        raise BadInput("at", f"{at.isoformat()} lies in the future")
    reading = timeline.last_reading(connection, asset.id, at)
    received_at = reading["received_at"] if reading else None
    if reading and received_at:
        taken = taken_at(connection, contract, asset.id, reading["run"], reading["time"])
        received_at = min(taken, received_at) if taken else received_at
    score = score_store.last(connection, asset.id, at)
    return {
        "at": at,
        "stale": is_stale(contract, received_at, at),
        "age_seconds": (at - received_at).total_seconds() if received_at else None,
        "reading": reading,
        "score": score,
        "parts": fitted_parts(connection, asset.id, at),
        "open_cases": [_open_case(row, at) for row in timeline.cases_open_at(connection, asset.id, at)],
    }


def _readings(hours: Iterable[dict[str, Any]]) -> Iterator[Entry]:
    for hour in hours:
        yield {"at": hour.pop("last_at"), "kind": "readings", "since": hour.pop("first_at"), **hour}


def _telling(rows: Iterable[dict[str, Any]], contract: Twin) -> Iterator[Entry]:
    """Return the scores that differ from the one before, and the last one."""
    shown: dict[str, Any] | None = None
    last: dict[str, Any] | None = None
    for row in rows:
        because = "first" if shown is None else _what_changed(shown, row, contract)
        if because:
            shown = row
            yield _score(row, because)
        last = row
    if last is not None and last is not shown:
        yield _score(last, "last")


def _what_changed(before: dict[str, Any], after: dict[str, Any], contract: Twin) -> str | None:
    for field in ("run", "model", "version", "diagnosis"):
        if before[field] != after[field]:
            return "model" if field == "version" else field
    if contract.rul is None or before["rul"] is None or after["rul"] is None:
        return None
    return "rul" if abs(after["rul"] - before["rul"]) > TELLING * contract.rul.cap else None


def _score(row: dict[str, Any], because: str) -> Entry:
    model = {"name": row["model"], "version": row["version"]}
    shown = {name: row[name] for name in ("run", "time", "rul", "rul_low", "rul_high", "diagnosis")}
    return {"at": row["scored_at"], "kind": "score", "because": because, **shown, "model": model}


def _audited(connection: Connection, asset: Asset, period: Period, limit: int) -> Iterator[Entry]:
    """Return the audit's entries; what was done to a case is an entry of that kind."""
    for entry in audit.of_asset(connection, asset.id, *period, limit):
        if entry.action in SHOWN_ITSELF:
            continue
        kind, _, action = entry.action.partition(".")
        done = {"actor": entry.actor, "case": entry.case, "detail": entry.detail}
        if kind == "case":
            yield {"at": entry.at, "kind": "case", "action": action, "fault": entry.detail.get("fault"), **done}
        else:
            yield {"at": entry.at, "kind": "audit", "action": entry.action, **done}


def _verdict(row: dict[str, Any]) -> Entry:
    shown = {name: row[name] for name in ("case", "verdict", "fault", "run", "time", "note", "actor")}
    return {"at": row["at"], "kind": "verdict", **shown}


def _comment(row: dict[str, Any]) -> Entry:
    return {"kind": "comment", **{name: row[name] for name in ("at", "case", "text", "actor")}}


def _maintenance(row: dict[str, Any]) -> Entry:
    shown = {name: row[name] for name in ("part", "channel", "serial_number", "note", "case", "run", "time", "actor")}
    return {"at": row["at"], "kind": "maintenance", "action": row["kind"], **shown}


def _parts(rows: Iterable[dict[str, Any]], period: Period) -> Iterator[Entry]:
    since, until = period
    for row in rows:
        shown = {name: row[name] for name in ("part", "serial_number", "provenance")}
        for action in ("fitted", "removed"):
            at = row[f"{action}_at"]
            if at is not None and (since is None or at >= since) and (until is None or at <= until):
                yield {"at": at, "kind": "part", "action": action, **shown}


def _open_case(row: dict[str, Any], at: datetime) -> dict[str, Any]:
    acknowledged = row["acknowledged_at"] is not None and row["acknowledged_at"] <= at
    return {
        "case": row["id"],
        "fault": row["fault"],
        "state": "acknowledged" if acknowledged else "open",
        "severity": "planned" if row["escalated"] else row["severity"],
        "run": row["run"],
        "opened_at": row["opened_at"],
    }
