"""The fleet's digest: one case for the faults for which the hourly limit left no room, each a row of the store.

Its cost is that of the assets that are reviewed, however many others wait.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from foretwin.contract.twin import Twin
from foretwin.twin.cases.rules import DIGEST, END_OF_LIFE, PLANNED, URGENT, recovers
from foretwin.twin.store import Connection
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.casework import cases
from foretwin.twin.store.casework.cases import Case, NewCase
from foretwin.twin.store.casework.waiting import WaitingFault, count_waiting, does_wait
from foretwin.twin.store.scoring.scores import Score


def still_waiting(
    listed: Iterable[WaitingFault], assets: Mapping[int, Asset], scores: Mapping[int, Score], contract: Twin
) -> list[WaitingFault]:
    """Drop entries that have recovered, or whose run or asset is gone.

    As with a case, an estimate between the two limits changes nothing.
    """

    def waits(one: WaitingFault) -> bool:
        if one.asset not in assets or one.run < assets[one.asset].run:
            return False
        score = scores.get(one.asset)
        return score is None or (one.run >= score.run and not recovers(one.fault, score, contract))

    return [one for one in listed if waits(one)]


def add_to(waiting: Sequence[WaitingFault], more: Iterable[WaitingFault]) -> list[WaitingFault]:
    """Merge two lists of entries: an entry keeps its moment, and never becomes less urgent."""
    together = {(one.asset, one.fault): one for one in waiting}
    for one in more:
        listed = together.setdefault((one.asset, one.fault), one)
        if one.severity == URGENT:
            together[one.asset, one.fault] = replace(listed, severity=URGENT)
    return list(together.values())


def without_cases(waiting: Sequence[WaitingFault], open_faults: Iterable[tuple[int, str]]) -> list[WaitingFault]:
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
    connection: Connection, twin: str, digest: Case | None, is_changed: bool, actor: str, now: datetime
) -> list[int]:
    """Open, update or close the twin's digest by what waits; return its id if its state changed.

    `is_changed` says whether what waits has changed. The case's evidence counts what waited when it opened.
    """
    waits, urgent = does_wait(connection, twin), does_wait(connection, twin, URGENT)
    if digest is None:
        if not waits:
            return []
        evidence = {"count": count_waiting(connection, twin)}
        new = NewCase(twin, None, None, DIGEST, URGENT if urgent else PLANNED, None, evidence)
        opened = cases.insert(connection, new, actor, now)
        return [opened.id] if opened else []
    if not waits:
        cases.close(connection, digest, "dissolved", actor, now)
        return [digest.id]
    if is_changed:
        cases.touch(connection, digest, now)
    if urgent and digest.severity == PLANNED:
        cases.escalate(connection, digest, None, actor, now)
        return [digest.id]
    return []
