"""When readings were taken, where the clocks of their runs are calendars."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from foretwin.twin.store import Connection, assets
from foretwin.twin.store.assets import Asset
from foretwin.twin.store.telemetry.arrivals import date_arrivals
from foretwin.twin.store.telemetry.spans import RunArrivals


@dataclass(frozen=True)
class Dates:
    """The moments at which runs show time 0, by asset's name and run; `unit` is that of their times in seconds."""

    began: Mapping[tuple[str, int], datetime]
    unit: float | None
    now: datetime

    def of_reading(self, name: str, run: int, time: float) -> datetime:
        """Return when a reading was taken; now, at its receipt, where no calendar says so."""
        began = self.began.get((name, run))
        if began is None or self.unit is None:
            return self.now
        return min(self.now, began + timedelta(seconds=time * self.unit))

    def of_ends(
        self, arrivals: Sequence[RunArrivals], of: Mapping[int, Asset]
    ) -> dict[tuple[int, int], tuple[datetime, datetime]]:
        """Return by asset and run when the first and last of these arrivals were taken, where a calendar says so."""
        found = {}
        for one in arrivals if self.began else ():
            key = of[one.asset].name, one.run
            found[one.asset, one.run] = self.of_reading(*key, one.first_time), self.of_reading(*key, one.last_time)
        return found


def date_machines(connection: Connection, began: Collection[tuple[str, int]]) -> None:
    """Note when machines were heard whose newest readings are of one of these runs, with a calendar for clock."""
    if not began:
        return
    found = assets.find_all(connection, [name for name, _ in began]).values()
    dated = (asset for asset in found if (asset.name, asset.run) in began)
    date_arrivals(connection, {asset.id: asset.received_at for asset in dated if asset.received_at is not None})
