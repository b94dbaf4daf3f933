"""What happened to a machine, a sentence for each entry of its thread."""

from collections.abc import Callable, Mapping
from typing import Any

from foretwin.twin.console.wording import Wording

Entry = Mapping[str, Any]
VERDICTS = {
    "confirmed": "The fault was there",
    "other_fault": "It was another fault",
    "no_fault_found": "Nothing was wrong",
    "sensor_fault": "The machine was sound, its sensor was not",
    "part_replaced": "The part was replaced",
    "run_ended": "The machine failed",
}
WORKS = {
    "inspection": "It was looked at",
    "part_replaced": "A part was replaced",
    "run_ended": "The machine failed",
    "sensor_replaced": "A sensor was replaced",
    "sensor_recalibrated": "A sensor was recalibrated",
}
CLOSINGS = {
    "verdict": "a verdict was given",
    "recovered": "the machine has recovered",
    "merged": "another case took it in",
    "new_run": "a new life began",
    "dissolved": "its machines have cases of their own",
    "new_champion": "another model answers now",
}
STATES = {  # columns of the board
    "open": "Open",
    "acknowledged": "Acknowledged",
    "planned": "Planned",
    "waiting_for_part": "Waiting for part",
    "closed": "Done",
}
ACTIONS = {
    "opened": "Case {case} opened",
    "acknowledged": "Case {case} was taken on",
    "escalated": "Case {case} became urgent",
    "moved": "Case {case} moved to: {state}",
    "assigned": "Case {case} was given to {assignee}",
    "snoozed": "Case {case} rests until {until}, {why}",
    "woken": "Case {case} rests no more",
    "closed": "Case {case} closed",
    "merged": "Case {case} was taken in by another",
    "photographed": "Case {case} got a photo",
}


def tell_entry(entry: Entry, words: Wording) -> str:
    """Return one entry of a thread in words."""
    tell = KINDS.get(entry["kind"], _audited)
    return tell(entry, words) + (f" · {entry['actor']}" if entry.get("actor") else "")


def _readings(entry: Entry, words: Wording) -> str:
    return words.text("{n} readings, up to {time}", n=entry["count"], time=words.number(entry["last_time"], 6))


def _score(entry: Entry, words: Wording) -> str:
    if entry["rul"] is None:
        said = words.text("Score: {diagnosis}", diagnosis=words.diagnosis(entry))
    else:
        said = words.text(
            "Score: {n} left ({low} – {high}), {diagnosis}",
            n=words.life(entry["rul"]),
            low=words.life(entry["rul_low"]),
            high=words.life(entry["rul_high"]),
            diagnosis=words.diagnosis(entry),
        )
    return said


def _case(entry: Entry, words: Wording) -> str:
    action = ACTIONS.get(entry["action"])
    detail = entry["detail"]
    told = {
        "case": entry["case"],
        "state": words.text(STATES.get(detail.get("state"), "")),
        "assignee": detail.get("assignee") or words.text("nobody"),
        "until": words.plain_moment(detail.get("snoozed_until")),
        "why": detail.get("snoozed_because"),
    }
    said = words.text(action, **told) if action else f"{entry['action']} {entry['case']}"
    if detail.get("planned_for"):
        said += ", " + words.plain_moment(detail["planned_for"])
    return f"{said}: {words.fault(entry['fault'])}" if entry["fault"] else said


def _comment(entry: Entry, words: Wording) -> str:
    return words.text("On case {case}", case=entry["case"]) + f": {entry['text']}"


def _verdict(entry: Entry, words: Wording) -> str:
    told = [
        words.text(VERDICTS[entry["verdict"]]),
        words.fault(entry["fault"]) if entry["fault"] else "",
        entry["note"],
    ]
    return words.text("Verdict on case {case}", case=entry["case"]) + ": " + ", ".join(filter(None, told))


def _maintenance(entry: Entry, words: Wording) -> str:
    told = [
        words.text(WORKS[entry["action"]]),
        entry["part"],
        entry["channel"],
        entry["serial_number"],
        entry["note"],
    ]
    return words.text("Work") + ": " + ", ".join(filter(None, told))


def _part(entry: Entry, words: Wording) -> str:
    said = words.text("Fitted" if entry["action"] == "fitted" else "Removed")
    return f"{said}: " + ", ".join(filter(None, (entry["part"], entry["serial_number"], entry["provenance"])))


def _audited(entry: Entry, words: Wording) -> str:  # noqa: ARG001 - as the others
    return str(entry["action"]).replace(".", " ").replace("_", " ").capitalize()


KINDS: dict[str, Callable[[Entry, Wording], str]] = {
    "readings": _readings,
    "score": _score,
    "case": _case,
    "comment": _comment,
    "verdict": _verdict,
    "maintenance": _maintenance,
    "part": _part,
}
