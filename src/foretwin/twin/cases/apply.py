"""Apply case decisions to the store for many assets at once, bounded by the hourly limit of new cases.

The hour is over by whichever clock is ahead: the wall's, or that of the machines whose cases opened in it. In operation
they agree; in a replay, or where an archive is read in, the machines live days in a second. What exceeds the limit
waits in the fleet's one open digest: a sensor that drifts everywhere gives one case to look at, not one for every
asset. An asset that waits gets a case of its own at a later score, once there is room.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf
from typing import Any

from foretwin.contract.twin import Twin
from foretwin.errors import Conflict
from foretwin.twin.cases import digest as digests
from foretwin.twin.cases.dating import safe_dates
from foretwin.twin.cases.rules import (
    DIGEST,
    PLANNED,
    URGENT,
    Close,
    Escalate,
    Merge,
    Open,
    OpenCase,
    Refresh,
    decide_cases,
    limit,
    probability_of,
    remedy_of,
    severity,
)
from foretwin.twin.cases.service_request import service_request
from foretwin.twin.store import Connection
from foretwin.twin.store import assets as registered
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.casework import cases as stored
from foretwin.twin.store.casework.cases import Case, NewCase, Numbers
from foretwin.twin.store.casework.outbox import emit
from foretwin.twin.store.casework.waiting import WaitingFault, does_wait, replace_waiting, waiting_of
from foretwin.twin.store.scoring.scores import Score
from foretwin.twin.store.scoring.urgency import note_urgency

ACTOR = "watch"
NEW_PER_HOUR = 25  # where the contract names no number
HOUR = timedelta(hours=1)


def review(
    connection: Connection, contract: Twin, scores: Sequence[Score], assets: Mapping[int, Asset], now: datetime
) -> list[int]:
    """Apply new scores to the cases of their assets; return the ids of the cases whose state changed.

    Of several scores of an asset the newest speaks, and none of an earlier run than the asset's present one. A case
    that stays is given the newer numbers.
    """
    newest = _newest(scores, assets)
    open_cases = stored.open_of(connection, newest)
    digest = stored.open_of_fleet(connection, contract.name, DIGEST)
    waiting = {one.asset for one in waiting_of(connection, newest)}
    with_cases = [score for asset_id, score in newest.items() if asset_id in open_cases]
    doubtful = {case.asset for found in open_cases.values() for case in found if case.undated and case.asset}
    dates = safe_dates(connection, contract, with_cases, doubtful)
    numbers: dict[int, Numbers] = {}
    due: dict[int, Score] = {}
    for asset_id, score in newest.items():
        changes = decide_cases(_as_open(open_cases.get(asset_id, [])), score, contract)
        refreshed = [change.case for change in changes if isinstance(change, Refresh)]
        numbers |= {case.id: _numbers(score, case.fault, dates) for case in refreshed}
        if len(refreshed) < len(changes) or asset_id in waiting:
            due[asset_id] = score
    is_empty = digest is not None and not waiting and not does_wait(connection, contract.name)
    changed = _change(connection, contract, due, now) if due or is_empty else []
    stored.refresh(connection, numbers, now)
    note_urgency(connection, newest)  # safe dates
    return changed


@dataclass(frozen=True)
class _Review:
    """A review in progress: open cases by asset and fault, and the ids changed so far."""

    connection: Connection
    contract: Twin
    assets: Mapping[int, Asset]
    open_cases: dict[int, dict[str, Case]]
    now: datetime
    changed: list[int] = field(default_factory=list)

    def numbers(self, score: Score, fault: str) -> Numbers:
        return _numbers(score, fault, safe_dates(self.connection, self.contract, [score], [score.asset]))

    def close(self, case: Case, because: str, into: int | None = None) -> None:
        if case.asset is not None:
            del self.open_cases[case.asset][case.fault]
        with suppress(Conflict):  # somebody closed it a moment ago: so be it
            stored.close(self.connection, case, because, ACTOR, self.now, into)
            self.changed.append(case.id)

    def escalate(self, case: Case, score: Score) -> None:
        with suppress(Conflict):
            urgent = stored.escalate(self.connection, case, self.numbers(score, case.fault), ACTOR, self.now)
            self.changed.append(case.id)
            self.request_service(urgent, score)

    def open(self, opening: Open, score: Score) -> None:
        numbers, evidence = self.numbers(score, opening.fault), _evidence(score, opening.fault, self.contract)
        twin = self.contract.name
        new = NewCase(twin, score.asset, score.run, opening.fault, opening.severity, numbers, evidence)
        case = stored.insert(self.connection, new, ACTOR, self.now)
        if case is not None:
            self.open_cases.setdefault(score.asset, {})[case.fault] = case
            self.changed.append(case.id)
            self.request_service(case, score)

    def open_some(self, wanted: Sequence[tuple[Score, Open]]) -> list[WaitingFault]:
        """Open as many cases as the hour's limit allows, the most pressing first; the others wait in the digest."""
        if not wanted:
            return []
        most, seconds = self.contract.cases.new_per_hour or NEW_PER_HOUR, self.contract.clock.seconds
        length = HOUR.total_seconds() / seconds if seconds else None
        opened = stored.count_opened(self.connection, self.contract.name, self.now - HOUR, length)
        room = max(most - opened, 0)
        pressing = sorted(wanted, key=_pressure)
        for score, opening in pressing[:room]:
            self.open(opening, score)
        return [self.wait(score, opening) for score, opening in pressing[room:]]

    def wait(self, score: Score, opening: Open) -> WaitingFault:
        return WaitingFault(score.asset, score.run, opening.fault, opening.severity, self.now)

    def merge(self, score: Score, change: Merge) -> None:
        case = self.open_cases[score.asset][change.case.fault]
        into = self.open_cases[score.asset].get(change.into)
        if into is not None:
            self.close(case, "merged", into.id)
        elif case.severity == PLANNED and severity(case.fault, score, self.contract) == URGENT:
            self.escalate(case, score)  # a verdict keeps the fault's case closed: so the end of life speaks
        else:
            stored.refresh(self.connection, {case.id: self.numbers(score, case.fault)}, self.now)

    def request_service(self, case: Case, score: Score) -> None:
        document = service_request(self.connection, self.contract, case, self.now)
        kind, subject, asset = "service_request.issued", f"cases/{case.id}", self.assets[score.asset]
        emit(self.connection, kind, self.contract.name, asset, subject, document, self.now)


def _change(connection: Connection, contract: Twin, due: Mapping[int, Score], now: datetime) -> list[int]:
    """Decide again under the twin's lock and apply the decisions; return the ids of the changed cases."""
    stored.lock(connection, contract.name)
    digest = stored.open_of_fleet(connection, contract.name, DIGEST)
    listed = waiting_of(connection, due)
    assets = registered.by_id(connection, due)
    scores = _newest(due.values(), assets)
    found = stored.open_of(connection, scores)
    open_cases = {asset_id: {case.fault: case for case in found.get(asset_id, [])} for asset_id in scores}
    decisions = [
        (score, change)
        for i, score in scores.items()
        for change in decide_cases(_as_open(found.get(i, [])), score, contract)
    ]
    review = _Review(connection, contract, assets, open_cases, now)
    for score, change in decisions:
        if isinstance(change, Close):
            review.close(open_cases[score.asset][change.case.fault], change.because)
        elif isinstance(change, Escalate):
            review.escalate(open_cases[score.asset][change.case.fault], score)
    openings = [(score, change) for score, change in decisions if isinstance(change, Open)]
    answered = stored.answered(connection, {score.asset for score, _ in openings})
    unanswered = [one for one in openings if not _is_answered(answered, *one, contract)]
    renamed = {(score.asset, change.into) for score, change in decisions if isinstance(change, Merge)}
    for score, opening in unanswered:
        if (score.asset, opening.fault) in renamed:  # an open case goes on in it: there is no more to do than before
            review.open(opening, score)
    put_off = review.open_some([one for one in unanswered if (one[0].asset, one[1].fault) not in renamed])
    for score, change in decisions:
        if isinstance(change, Merge):
            review.merge(score, change)
    waiting = digests.add_to(digests.still_waiting(listed, assets, scores, contract), put_off)
    waiting = digests.without_cases(waiting, ((asset, fault) for asset, one in open_cases.items() for fault in one))
    is_changed = replace_waiting(connection, contract.name, listed, waiting)
    return review.changed + digests.keep(connection, contract.name, digest, is_changed, ACTOR, now)


def _is_answered(answered: Mapping[tuple[int, int, str], float], score: Score, opening: Open, contract: Twin) -> bool:
    """Whether a verdict on this fault of this run is recent enough to override the model.

    A verdict holds for the lead time of the part, on the machine's own clock: what is wrong then is a new case.
    """
    given, remedy = answered.get((score.asset, score.run, opening.fault)), remedy_of(contract, opening.fault)
    return given is not None and remedy is not None and score.time < given + remedy.lead_time


def _newest(scores: Iterable[Score], assets: Mapping[int, Asset]) -> dict[int, Score]:
    """Return the newest score of each asset, without runs that have ended."""
    newest: dict[int, Score] = {}
    for score in sorted(scores, key=lambda one: (one.run, one.time, one.scored_at)):
        if score.asset in assets and score.run >= assets[score.asset].run:
            newest[score.asset] = score
    return newest


def _as_open(cases: Iterable[Case]) -> list[OpenCase]:
    return [OpenCase(case.id, case.fault, case.state, case.severity, case.run or 0) for case in cases]


def _numbers(score: Score, fault: str, dates: Mapping[int, tuple[datetime | None, str | None]]) -> Numbers:
    said = (score.rul, score.rul_low, score.rul_high, probability_of(score, fault))
    return Numbers(score.time, score.scored_at, score.model, *said, *dates.get(score.asset, (None, None)))


def _evidence(score: Score, fault: str, contract: Twin) -> dict[str, Any]:
    """Return the evidence kept with a new case; its other numbers follow newer scores."""
    said = {name: getattr(score, name) for name in ("time", "rul", "rul_low", "rul_high", "faults", "diagnosis")}
    limits = {"rul_low": limit(contract, fault), "probability": contract.cases.open_probability}
    return {**said, "warnings": score.warnings, "limits": limits}


def _pressure(wanted: tuple[Score, Open]) -> tuple[bool, float, int]:
    """Sort key: urgent before planned, then by RUL."""
    score, opening = wanted
    return opening.severity != URGENT, inf if score.rul_low is None else score.rul_low, score.asset
