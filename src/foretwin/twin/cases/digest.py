"""The fleet's digest: one case that lists the faults for which the hourly limit left no room."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from foretwin.contract.twin import Twin
from foretwin.twin.cases.rules import DIGEST, END_OF_LIFE, PLANNED, URGENT, recovers
from foretwin.twin.store import Connection
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.casework import cases
from foretwin.twin.store.casework.cases import Case, NewCase
from foretwin.twin.store.scoring.scores import Score


@dataclass(frozen=True)
class DeferredFault:
    """A fault of an asset that waits for its own case, since a moment in ISO 8601."""

    asset: int
    name: str
    run: int
    fault: str
    severity: str
    since: str


def waiting_in(digest: Case | None) -> list[DeferredFault]:
    """Return the entries of a digest, the longest waiting first."""
    return [] if digest is None else [DeferredFault(**entry) for entry in digest.evidence["waiting"]]


def still_waiting(
    listed: Iterable[DeferredFault], assets: Mapping[int, Asset], scores: Mapping[int, Score], contract: Twin
) -> list[DeferredFault]:
    """Drop entries that have recovered, or whose run or asset is gone.

    As with a case, an estimate between the two limits changes nothing.
    """

    def waits(one: DeferredFault) -> bool:
        if one.asset not in assets or one.run < assets[one.asset].run:
            return False
        score = scores.get(one.asset)
        return score is None or (one.run >= score.run and not recovers(one.fault, score, contract))

    return [one for one in listed if waits(one)]


def add_to(waiting: Sequence[DeferredFault], more: Iterable[DeferredFault]) -> list[DeferredFault]:
    """Merge two lists of entries: an entry keeps its place and moment, and never becomes less urgent."""
    together = {(one.asset, one.fault): one for one in waiting}
    for one in more:
        listed = together.setdefault((one.asset, one.fault), one)
        if one.severity == URGENT:
            together[one.asset, one.fault] = replace(listed, severity=URGENT)
    return list(together.values())


def without_cases(waiting: Sequence[DeferredFault], open_faults: Iterable[tuple[int, str]]) -> list[DeferredFault]:
    """Drop entries that have a case of their own; an end of life gives way to a named fault of the same asset."""
    taken = set(open_faults)
    named = {asset for asset, fault in taken if fault != END_OF_LIFE}
    named |= {one.asset for one in waiting if one.fault != END_OF_LIFE}
    return [
        one
        for one in waiting
        if (one.asset, one.fault) not in taken and not (one.fault == END_OF_LIFE and one.asset in named)
    ]


def keep(
    connection: Connection, twin: str, digest: Case | None, waiting: Sequence[DeferredFault], actor: str, now: datetime
) -> list[int]:
    """Open, update or close the twin's digest so that it lists these entries; return its id if its state changed."""
    urgent = any(one.severity == URGENT for one in waiting)
    evidence = {"waiting": [asdict(one) for one in waiting]}
    if digest is None:
        new = NewCase(twin, None, None, DIGEST, URGENT if urgent else PLANNED, None, evidence)
        opened = cases.insert(connection, new, actor, now) if waiting else None
        return [opened.id] if opened else []
    if not waiting:
        cases.close(connection, digest, "dissolved", actor, now)
        return [digest.id]
    if evidence != digest.evidence:
        cases.keep_evidence(connection, digest, evidence, now)
    if urgent and digest.severity == PLANNED:
        cases.escalate(connection, digest, None, actor, now)
        return [digest.id]
    return []
