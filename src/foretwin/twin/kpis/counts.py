"""Keep the sums that key figures are made of in step with the store, a piece at a time."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import pairwise

from foretwin.twin.kpis.counting import FAILURES, OUTCOME, facts_of
from foretwin.twin.kpis.lives import lives
from foretwin.twin.store import Connection, Store
from foretwin.twin.store.scoring import kpis as stored
from foretwin.twin.store.scoring.kpis import Fact, Run

PIECE = 200  # assets that are counted in one transaction: others write between two of them


def keep_counts(store: Store, twin: str) -> None:
    """Count anew the assets of a twin about which something has changed since."""
    while not keep_some_counts(store, twin):
        pass


def keep_some_counts(store: Store, twin: str, most: int = PIECE) -> bool:
    """Count anew at most so many of those assets, whatever the fleet's size; return whether none is left."""
    with store.read() as connection:
        if not stored.changed_assets(connection, twin, 1):
            return True
    with store.write() as connection:
        stored.lock_counts(connection, twin)
        chosen = stored.changed_assets(connection, twin, most)
        if chosen:
            found, change = _count_anew(connection, chosen, for_update=True)
            stored.store_counts(connection, twin, found, change)
    return len(chosen) < most


def failures_since(connection: Connection, twin: str, since: date) -> dict[str, int]:
    """Return how many failures were foreseen and missed since a day, by the sums that are kept."""
    found = stored.sums_of(connection, twin, since.toordinal(), [OUTCOME + kind for kind in FAILURES])
    return {kind: found.get(OUTCOME + kind, 0) for kind in FAILURES}


def counted_facts(connection: Connection, twin: str, until: date) -> Iterator[Fact]:
    """Yield the sums of a twin's facts up to a day, as of now, whether or not the last changes have been kept."""
    changed = stored.changed_assets(connection, twin, None)
    yield from stored.counts(connection, twin, until.toordinal())
    for begin in range(0, len(changed), PIECE):
        _, change = _count_anew(connection, changed[begin : begin + PIECE])
        yield from (fact for fact in change if fact[0] <= until.toordinal())


def _count_anew(
    connection: Connection, asset_ids: Sequence[int], for_update: bool = False
) -> tuple[list[tuple[Run, list[Fact]]], list[Fact]]:
    """Return the facts of each run of these assets, and how their sums differ from what was counted of them."""
    rows = stored.counted_runs(connection, asset_ids, for_update)
    runs = [run for run, _, _ in rows]
    told = lives(runs, stored.ends(connection, asset_ids), stored.answered_cases(connection, asset_ids))
    following = [after if after.asset == run.asset else None for run, after in pairwise(runs)]
    found = [
        (life.run, facts_of(life, after)) for life, after in zip(told, [*following, None][: len(runs)], strict=True)
    ]
    before = (fact for _, _, facts in rows for fact in facts)
    return found, _difference((fact for _, facts in found for fact in facts), before)


def _difference(after: Iterable[Fact], before: Iterable[Fact]) -> list[Fact]:
    numbers: Counter[tuple[int, str, str]] = Counter()
    amounts: dict[tuple[int, str, str], float] = {}
    for facts, sign in ((after, 1), (before, -1)):
        for day, what, detail, number, amount in facts:
            key = (day, what, detail)
            numbers[key] += sign * number
            amounts[key] = amounts.get(key, 0.0) + sign * amount
    return [(*key, numbers[key], amount) for key, amount in amounts.items() if numbers[key] or amount]
