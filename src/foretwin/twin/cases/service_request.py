"""Service request of a case: part, instruction, skills and time window, in one document."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from foretwin.contract.twin import Remedy, Twin
from foretwin.errors import BadInput
from foretwin.predictor.health.warning_kinds import lone_channel
from foretwin.twin.cases.dating import taken_at, undated_because
from foretwin.twin.cases.markdown import escape_markdown
from foretwin.twin.cases.rules import DEPARTURE, END_OF_LIFE, URGENT, remedy_of
from foretwin.twin.store import Connection, assets
from foretwin.twin.store.casework.cases import Case
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.scores import Score, ScoringModel

Document = dict[str, Any]
CLOSED = "closed"
CHECK_BOTH = (
    "{channel} alone departs from normal, against what the other channels tell, and without the signs of a failing"
    " sensor. Look at its sensor first; where that reads right, at the part that it watches. The verdict on a sensor is"
    " sensor_fault. "
)
NO_WINDOW = {"earliest": None, "latest": None, "late": False}


def service_request(connection: Connection, contract: Twin, case: Case, now: datetime) -> Document:
    """Build the request as JSON; moments in RFC 3339 UTC, other times in the contract's clock unit.

    It keeps its number as long as the case keeps its severity. `latest_safe_date` is the moment of the reading behind
    the case's last score plus the lower end of the RUL; null where the twin has no RUL, where its clock counts
    something else than time, or where `undated` says why that moment is not known: `remaining` is then all there is. A
    closed case has neither. BadInput for a fleet's digest, and for a fault that the contract no longer has.
    """
    remedy = remedy_of(contract, case.fault)
    if case.asset is None or case.time is None or case.scored_at is None:
        raise BadInput("case", f"{case.id} is a case of the whole fleet: a service request is about one asset")
    if remedy is None:
        raise BadInput("case", f"{case.id} is about {case.fault}, which the contract of {case.twin} no longer has")
    asset = assets.by_id(connection, [case.asset])[case.asset]
    of = (case.asset, case.run or 0, case.time)
    score = None if case.model is None else scores.find_score(connection, *of, case.model)
    model = scores.models(connection, [case.model]).get(case.model) if case.model is not None else None
    left = None if case.state == CLOSED else case.rul_low
    taken = taken_at(connection, contract, *of)
    undated = None if left is None or taken else undated_because(connection, contract, *of)
    read_at = taken or case.scored_at - timedelta(seconds=score.age if score is not None else 0)
    safe_until = None if undated else _later(read_at, left, contract)
    alone = _alone(case, score)
    return {
        "number": f"SR-{case.id}-{case.severity}",
        "issued_at": _moment(now),
        "severity": case.severity,
        "state": case.state,
        "asset": {
            "twin": asset.twin,
            "name": asset.name,
            "serial_number": asset.serial_number,
            "location": asset.location,
            "tags": asset.tags,
        },
        "fault": {**_fault(contract, case, alone), "evidence": _evidence(case, score)},
        "rul": _rul(contract, case, model),
        "latest_safe_date": _moment(safe_until),
        "undated": undated,
        "remaining": None if left is None else {"value": left, "unit": contract.clock.unit},
        "part": _part(connection, case.asset, remedy),
        "instruction": (CHECK_BOTH.format(channel=alone) if alone else "") + remedy.instruction,
        "skills": list(remedy.skills),
        "lead_time": {"value": remedy.lead_time, "unit": contract.clock.unit},
        "window": NO_WINDOW if case.state == CLOSED else _window(contract, remedy, now, safe_until, left),
        "model": None if model is None else {"name": model.name, "version": model.version, "run": model.run},
        "links": {"case": f"/v1/cases/{case.id}"},
    }


def as_text(document: Document) -> str:
    """Render the request as Markdown; the instruction is that of the contract, as it is written there."""
    asset, fault = document["asset"], document["fault"]
    likely = None if fault["probability"] is None else f"probability {fault['probability']:.0%}"
    tags = [f"{name} = {value}" for name, value in sorted(asset["tags"].items())]
    rows = {
        "Asset": _joined(asset["name"], _named("serial number", asset["serial_number"])),
        "Location": asset["location"],
        "Tags": _joined(*tags),
        "Fault": _joined(fault["title"], likely),
        "Severity": document["severity"],
        "State": document["state"],
        "Remaining life": _interval(document["rul"]),
        "Latest safe date": document["latest_safe_date"] or (document["undated"] and f"unknown: {document['undated']}"),
        "Proposed window": _period(document["window"], document["severity"]),
        "Part": document["part"]["name"],
        "Fitted now": _fitted(document["part"]["fitted"]),
        "Lead time": "{value:g} {unit}".format(**document["lead_time"]),
        "Skills": _joined(*document["skills"]),
        "Model": document["model"] and "{name}, version {version}, run {run}".format(**document["model"]),
        "Case": document["links"]["case"],
    }
    table = [f"| {name} | {escape_markdown(value)} |" for name, value in rows.items() if value]
    last = fault["evidence"]["last_score"]
    warnings = [f"- {escape_markdown(warning)}" for warning in last["warnings"]] if last else []
    lines = [f"# Service request {document['number']}", "", "| | |", "| --- | --- |", *table, ""]
    lines += [document["instruction"], *(["", "Warnings of the last score:", "", *warnings] if warnings else [])]
    return "\n".join(lines) + "\n"


def _alone(case: Case, score: Score | None) -> str | None:
    """Return the channel that alone shows a departure, of the last score, else of the one that opened the case."""
    warnings = case.evidence.get("warnings", []) if score is None else score.warnings
    return lone_channel(warnings) if case.fault == DEPARTURE else None


def _fault(contract: Twin, case: Case, alone: str | None) -> dict[str, Any]:
    """Return name, title and probability; `alone` is the one channel that shows a departure, if it is one."""
    axis, _, name = case.fault.partition(".")
    title = "Near the end of its life" if case.fault == END_OF_LIFE else f"{contract.faults[axis].title}: {name}"
    title = f"Check the sensor or the part: {alone}" if alone else title
    return {
        "name": case.fault,
        "axis": None if case.fault == END_OF_LIFE else contract.faults[axis].title,
        "title": title.replace("_", " "),
        "probability": case.probability,
    }


def _evidence(case: Case, score: Score | None) -> dict[str, Any]:
    """Return the evidence at opening and the last score."""
    if score is None:
        return {"when_opened": case.evidence, "last_score": None}
    names = ("run", "time", "rows", "faults", "diagnosis", "warnings")
    last = {"scored_at": _moment(score.scored_at), **{name: getattr(score, name) for name in names}}
    return {"when_opened": case.evidence, "last_score": last}


def _rul(contract: Twin, case: Case, model: ScoringModel | None) -> dict[str, Any] | None:
    if case.rul is None:
        return None
    interval = {"value": case.rul, "low": case.rul_low, "high": case.rul_high}
    return {**interval, "level": model and model.level, "unit": contract.clock.unit}


def _part(connection: Connection, asset_id: int, remedy: Remedy) -> dict[str, Any]:
    """Return the part to order, and the fitted part that it replaces where known."""
    fitted = [part for part in assets.fitted_parts(connection, asset_id) if part.part == remedy.part]
    shown = [
        {"serial_number": one.serial_number, "provenance": one.provenance, "fitted_at": _moment(one.fitted_at)}
        for one in fitted
    ]
    return {"name": remedy.part, "fitted": shown[0] if shown else None}


def _window(
    contract: Twin, remedy: Remedy, now: datetime, safe_until: datetime | None, left: float | None
) -> dict[str, Any]:
    """Return from when the part is available until when the repair is safe; late if the second comes first."""
    earliest = _later(now, remedy.lead_time, contract)
    if earliest is not None and safe_until is not None:
        late = earliest > safe_until
    else:
        late = left is not None and remedy.lead_time > left
    return {"earliest": _moment(earliest), "latest": None if late else _moment(safe_until), "late": late}


def _later(moment: datetime, time: float | None, contract: Twin) -> datetime | None:
    """Return the moment after a time of the contract's clock; None where the clock is no calendar."""
    seconds = contract.clock.seconds
    return None if time is None or seconds is None else moment + timedelta(seconds=time * seconds)


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _interval(rul: Mapping[str, Any] | None) -> str | None:
    if rul is None:
        return None
    level = "" if rul["level"] is None else f" ({rul['level']:.0%} interval)"
    return f"{rul['value']:.4g} {rul['unit']}, from {rul['low']:.4g} to {rul['high']:.4g}{level}"


def _period(window: Mapping[str, Any], severity: str) -> str | None:
    """Format the window; None where the clock gives no dates and nothing is late."""
    if window["late"]:
        late = "the part comes too late" if severity == URGENT else "the part may come too late"
        return _joined(late, window["earliest"] and f"at the earliest {window['earliest']}")
    begin, end = window["earliest"], window["latest"]
    return begin and f"from {begin}" + (f" to {end}" if end else "")


def _fitted(part: Mapping[str, Any] | None) -> str | None:
    if part is None:
        return None
    return _joined(_named("serial number", part["serial_number"]), part["provenance"], f"since {part['fitted_at']}")


def _named(name: str, value: str | None) -> str | None:
    return None if value is None else f"{name} {value}"


def _joined(*texts: str | None) -> str:
    return ", ".join(text for text in texts if text)
