"""Key figures of a fleet: the value of its cases, per period, by the counting rules below.

What is counted
    A run is one life of an asset, up to a failure or an exchange of its part. It has one outcome at most:

    foreseen   it ended in a failure (`run_ended`), and an alarm that stood had opened before, in the run's own time
    missed     it ended in a failure without one; `missed_after_alarm` of them had an alarm that did not stand
    avoided    it did not end in a failure, and a case of it was answered by `confirmed` or `part_replaced`
    replaced   its part was exchanged although no case was answered so

    How a run ended is the first in its own time of what verdicts and maintenance say; a failure at the same time comes
    first. A run that goes on after `confirmed` is avoided until it fails: then it is a failure, and no longer avoided.

    An alarm is a case of an asset, together with the cases that merged into it: it opened when the first of them did,
    and counts once. It stands unless the model withdrew it (`recovered`, without a verdict) or its verdict is
    `no_fault_found`, which is a false alarm. Cases without a verdict are `unanswered`, and no success. Cases of the
    whole fleet (digest, drift) are none; a failure of an asset that only waited in a digest was missed.

When it counts
    A failure and an exchange when they were told; an avoided failure when it was first confirmed; a false alarm, as
    each verdict, when it was given; an opening and a closing when they happened. Days are UTC. `open` is the number of
    alarms at the end of a period; every other count of periods adds up to that of the whole.

Lead time
    Of foreseen failures, from the opening of the first standing alarm to the failure, in the contract's clock unit.
    `in_time`: how many of them were no shorter than the lead time of the part that repairs the alarm's fault.

Availability
    operating / (operating + downtime). Operating is measured: from the first to the last reading of each run, by the
    machine's clock, spread evenly over the time in which they came in. Downtime is the contract's assumption for each
    failure and each planned repair. Where the next run's readings follow, and this run's came at the pace of the
    machine's clock, the downtime can be seen: `measured` takes it in place of the assumption, for as many stops as
    `stops_measured`.

Erased assets
    Everything about them is gone, so that they are in no figure, of no period. The audit keeps how many there were.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from foretwin.contract.twin import Twin
from foretwin.twin.kpis.counting import Tally, count
from foretwin.twin.kpis.counts import counted_facts
from foretwin.twin.kpis.figures import Precision, kpi_assumptions, tally_figures
from foretwin.twin.kpis.periods import PeriodRequest, day_of, split
from foretwin.twin.store import Connection
from foretwin.twin.store.scoring import kpis as stored


def kpis(connection: Connection, contract: Twin, asked: PeriodRequest, now: datetime) -> dict[str, Any]:
    """Return the report of one twin as JSON values; undefined figures are None.

    BadInput where the periods end before they begin, or are too many.
    """
    today = day_of(now)
    registered = stored.first_registered(connection, contract.name)
    first = today if registered is None else day_of(registered)
    periods = split(asked, first, today)
    facts = counted_facts(connection, contract.name, periods.all[-1].until)
    tallies = count(facts, stored.operation_of_newest(connection, contract.name), contract, periods)
    whole = Tally.sum_of(tallies)
    precision = Precision.of(whole)
    erased = stored.count_erased(connection)
    lost = [f"{erased} assets of this project were erased: nothing of them is in these figures."] if erased else []
    return {
        "twin": contract.name,
        "title": contract.title,
        "at": now.astimezone(UTC).isoformat(timespec="seconds"),
        "unit": contract.clock.unit,
        "period": asked.length,
        "since": periods.all[0].since.isoformat(),
        "until": periods.all[-1].until.isoformat(),
        "costs": None if contract.costs is None else contract.costs.model_dump(),
        "total": tally_figures(whole, contract, precision),
        "periods": [
            {
                "name": period.name,
                "since": period.since.isoformat(),
                "until": period.until.isoformat(),
                "is_over": period.until < today,
                **tally_figures(tally, contract, precision),
            }
            for period, tally in zip(periods.all, tallies, strict=True)
        ],
        "assumptions": [*kpi_assumptions(contract, precision), *lost],
        "erased_assets": erased,
    }


def reported(connection: Connection, contracts: Mapping[str, Twin], twin: str | None) -> list[Twin]:
    """Return the contracts to report on: the given twin's, or those of all twins with assets."""
    if twin is not None:
        return [contracts[twin]]
    known = stored.twins_with_assets(connection)
    return [contract for name, contract in contracts.items() if name in known]
