"""Tell whether a reading was taken when it came: only then can a date be counted from it.

A reading says how old its run is, not on which day it was taken. In operation it comes soon after, so that the clock of
the readings and that of their receipt run alike. In an archive that is read in, or a replay, the first runs ahead.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from foretwin.contract.twin import Twin
from foretwin.twin.store import Connection, timeline
from foretwin.twin.store.scoring.scores import Score
from foretwin.twin.store.telemetry.run_clocks import began_at, clocks_of

PACE = 0.5  # receipts that span less of the time between readings do not keep up with it
FROM_FILE = "the reading came in a file, and its time is the age of the run"
AHEAD = "the readings came faster than they were taken"


def safe_dates(
    connection: Connection, contract: Twin, scores: Iterable[Score], doubtful: Collection[int]
) -> dict[int, tuple[datetime | None, str | None]]:
    """Return asset -> (the moment at which the lower end of its RUL is over, why that is not known).

    Both are None without a RUL, and where the clock of the contract is no calendar. The readings of the assets that are
    `doubtful` are looked at for whether they were taken when they came; those of the others were.
    """
    seconds, scores = contract.clock.seconds, [one for one in scores if one.rul_low is not None]
    if seconds is None or not scores:
        return {}
    clocks = clocks_of(connection, [one.asset for one in scores])
    found: dict[int, tuple[datetime | None, str | None]] = {}
    for one in scores:
        own = [clock for clock in clocks.get(one.asset, []) if clock.run == one.run and clock.is_calendar]
        at = datetime.fromtimestamp(own[0].zero / 1e6 + one.time * seconds, UTC) if own else None
        if at is None and one.asset in doubtful:
            undated = undated_because(connection, contract, one.asset, one.run, one.time)
            if undated:
                found[one.asset] = None, undated
                continue
        at = at or one.scored_at - timedelta(seconds=one.age)
        found[one.asset] = at + timedelta(seconds=(one.rul_low or 0.0) * seconds), None
    return found


def taken_at(connection: Connection, contract: Twin, asset: int, run: int, time: float) -> datetime | None:
    """Return when a reading was taken, where the clock of its run is a calendar; None where nobody has said so."""
    seconds = contract.clock.seconds
    began = None if seconds is None else began_at(connection, asset, run)
    return None if began is None or seconds is None else datetime.fromtimestamp(began + time * seconds, UTC)


def undated_because(connection: Connection, contract: Twin, asset: int, run: int, time: float) -> str | None:
    """Return why nobody knows when a reading was taken; None where its receipt says so, or its clock is no calendar."""
    seconds = contract.clock.seconds
    if seconds is None:
        return None
    return _find_reason(timeline.receipts(connection, asset, run, time, contract.window.length), seconds)


def _find_reason(receipts: Sequence[dict[str, Any]], seconds: float) -> str | None:
    """Judge a reading, the first, by those of earlier batches; the last of those and the first of the window.

    The last is what tells of a machine that has just begun to send, the first of one whose messages come in bursts.
    """
    if not receipts:  # it is no longer kept, as after its term
        return None
    own, *earlier = receipts
    if not earlier:
        return FROM_FILE if own["via"] == "file" else None

    def keeps_pace(one: dict[str, Any]) -> bool:
        taken = (own["time"] - one["time"]) * seconds
        return bool((own["received_at"] - one["received_at"]).total_seconds() >= PACE * taken)

    return None if keeps_pace(earlier[0]) or keeps_pace(earlier[-1]) else AHEAD
