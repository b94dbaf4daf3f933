"""The fleet's drift case: opened when a limit breaks, refreshed while it lasts, closed when it is over.

It is over when two looks in a row find nothing where something was, when somebody gives it a verdict, or when another
champion has taken over: that one was trained on other machines, and what is broken for it is a case of its own. A shift
that was seen as a change against the same assets' earlier readings does not end because later looks are silent: they
compare shifted readings with shifted ones.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from foretwin.champion.identity import ModelIdentity
from foretwin.errors import Conflict
from foretwin.twin.cases.rules import DRIFT, PLANNED
from foretwin.twin.store import Connection
from foretwin.twin.store.casework import cases
from foretwin.twin.store.casework.cases import Case, NewCase

ACTOR = "monitor"
CLEAN_LOOKS = 2
Broken = Mapping[str, list[str]]  # kind of limit -> a sentence for each that is broken


def keep_case(  # noqa: PLR0913, PLR0917 - a case is made of these
    connection: Connection,
    twin: str,
    champion: ModelIdentity,
    broken: Broken,
    looked: Mapping[str, bool],
    details: Mapping[str, Any],
    now: datetime,
) -> dict[str, Any] | None:
    """Open, refresh or close the case; return its number, state and the action, None where there is none.

    `looked` says of each kind of limit whether there was enough to look at: what cannot be seen has not recovered.
    `details` become part of the evidence.
    """
    cases.lock(connection, twin)
    case = cases.open_of_fleet(connection, twin, DRIFT)
    done = None
    if case is not None and case.evidence["bundle"] != champion.digest:
        done, case = _closed(connection, case, "new_champion", now), None
    sentences = [sentence for kind in broken.values() for sentence in kind]
    evidence = {
        "bundle": champion.digest,
        "version": champion.version,
        "sentences": sentences,
        "kinds": sorted(kind for kind, found in broken.items() if found),
        "clean_looks": 0,
        "looked_at": now.isoformat(),
        "sudden": any(channel["change"] for channel in details.get("channels", ())),
        **details,
    }
    if case is not None and case.evidence.get("sudden"):
        evidence["sudden"] = True
    if sentences and case is None:
        opened = cases.insert(connection, NewCase(twin, None, None, DRIFT, PLANNED, None, evidence), ACTOR, now)
        return _told(opened, "opened") if opened else done
    if case is None:
        return done
    return _refreshed(connection, case, evidence, looked, now)


def _refreshed(
    connection: Connection, case: Case, evidence: dict[str, Any], looked: Mapping[str, bool], now: datetime
) -> dict[str, Any]:
    """Refresh a case, or close it where no limit is broken any more."""
    if not evidence["sentences"]:
        if case.evidence["sudden"] or not all(looked[kind] for kind in case.evidence["kinds"]):
            return _told(case, "kept")
        evidence = {
            **case.evidence,
            "clean_looks": case.evidence["clean_looks"] + 1,
            "looked_at": evidence["looked_at"],
        }
        if evidence["clean_looks"] >= CLEAN_LOOKS:
            return _closed(connection, case, "recovered", now)
    with suppress(Conflict):  # somebody closed it a moment ago: so be it
        cases.keep_evidence(connection, case, evidence, now)
    return _told(case, "refreshed")


def _closed(connection: Connection, case: Case, because: str, now: datetime) -> dict[str, Any]:
    with suppress(Conflict):
        cases.close(connection, case, because, ACTOR, now)
    return {"case": case.id, "state": "closed", "done": f"closed: {because}"}


def _told(case: Case, done: str) -> dict[str, Any]:
    return {"case": case.id, "state": case.state, "done": done}
