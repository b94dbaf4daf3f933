"""Give up readings that many later ones contradict: one wrong clock must not hold a machine's line of time.

A reading far ahead makes all that follow late. Where so many came after it, and none near it, it was wrong: it goes to
quarantine, from which an operator may release it, and the newest of the others counts again.
"""

from dataclasses import dataclass
from datetime import datetime

from foretwin.contract.twin import Twin
from foretwin.dataset.contradictions import FAR, TO_ONE, is_contradicted
from foretwin.twin.store import Connection
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.casework import audit
from foretwin.twin.store.telemetry import contradicted
from foretwin.wire.readings import Rejected
from foretwin.wire.values import to_json


@dataclass(frozen=True)
class Late:
    """The readings of one run that one call stored behind its newest: how many, the newest of them, and of that one."""

    asset: Asset
    run: int
    count: int
    time: float
    ahead: float


def give_up(connection: Connection, contract: Twin, late: Late, now: datetime) -> tuple[Rejected, ...]:
    """Take the run's newest readings out of the line where the others contradict them; return them."""
    if late.ahead - late.time <= FAR * contract.clock.step:
        return ()
    most = 1 + late.count // TO_ONE
    odd = contradicted.beyond(connection, late.asset.id, late.run, late.time, most + 1)
    if not odd or len(odd) > most or odd[0].time - late.time <= FAR * contract.clock.step:
        return ()
    against = late.count + contradicted.count_between(connection, late.asset.id, late.run, odd)
    if not is_contradicted(len(odd), against):
        return ()
    contradicted.take_out(connection, late.asset.id, late.run, odd, against)
    detail = f"{against} readings that came later contradict it: their time is {late.time:g} by now"
    told = {"run": late.run, "times": [one.time for one in odd], "contradicted_by": against}
    audit.record(connection, "ingest", "reading.given_up", told, now, asset=late.asset.id)
    return tuple(_rejected(contract, late, one, detail) for one in odd)


def _rejected(contract: Twin, late: Late, odd: contradicted.OddReading, detail: str) -> Rejected:
    content = {"twin": contract.name, "asset": late.asset.name, "run": late.run, "time": odd.time}
    channels = {name: contract.cell(name, value) for name, value in odd.channels.items()}
    said = f"is {odd.time:g}, but {detail}"
    return Rejected(contract.name, late.asset.name, "time", "clock", said, to_json(content | {"channels": channels}))
