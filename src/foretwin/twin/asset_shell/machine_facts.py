"""What the store knows of one machine, read once: what all submodels are made of."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from foretwin.contract.twin import Remedy, Twin
from foretwin.twin.cases.dating import taken_at, undated_because
from foretwin.twin.cases.rules import remedy_of
from foretwin.twin.store import Connection, assets
from foretwin.twin.store.assets import Asset, FittedPart
from foretwin.twin.store.casework import cases
from foretwin.twin.store.casework.cases import Case
from foretwin.twin.store.ownership.partitioning import last_batch
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.scores import Score, ScoringModel
from foretwin.twin.store.telemetry import windows
from foretwin.twin.store.telemetry.machine_runs import RunSpan, runs_of_asset
from foretwin.twin.store.telemetry.windows import ReadingQuery
from foretwin.wire.readings import Readings

PRODUCT_URI = "uri_of_the_product"  # the tag that names the machine to the world


@dataclass(frozen=True)
class MachineFacts:
    """One machine at one moment; `origin` is where `foretwin live` answers, such as http://127.0.0.1:3100."""

    asset: Asset
    contract: Twin
    parts: list[FittedPart]
    runs: list[RunSpan]
    score: Score | None  # the newest of its present run
    model: ScoringModel | None
    read_at: datetime | None  # when the reading behind the score was taken; None where nobody can say
    undated: str | None  # why
    open_cases: list[Case]
    newest: Readings  # of the present run, as many as a window has at most
    origin: str
    now: datetime

    @property
    def global_id(self) -> str:
        """Return what the machine is called in the world: the URI of the product, where its tags have one."""
        own = f"urn:foretwin:{self.asset.twin}:{quote(self.asset.name, safe='')}"
        return self.asset.tags.get(PRODUCT_URI, own)

    @property
    def place(self) -> str:
        """Return the URL of the machine in the service."""
        return f"{self.origin}/v1/twins/{quote(self.asset.name, safe='')}"

    def remedy(self, case: Case) -> Remedy | None:
        """Return what the contract has against a case's fault."""
        return remedy_of(self.contract, case.fault)

    def after_reading(self, time: float) -> datetime | None:
        """Return the moment so long after the reading behind the score; None where no clock says."""
        seconds = self.contract.clock.seconds
        return None if self.read_at is None or seconds is None else self.read_at + timedelta(seconds=time * seconds)


def read_machine(connection: Connection, contract: Twin, asset: Asset, origin: str, now: datetime) -> MachineFacts:
    """Read all of it in the caller's transaction."""
    score = scores.last(connection, asset.id)
    score = score if score is not None and score.run == asset.run else None
    read_at = undated = model = None
    if score is not None:
        model = scores.models(connection, [score.model])[score.model]
        of = (asset.id, score.run, score.time)
        read_at = taken_at(connection, contract, *of)
        undated = None if read_at else undated_because(connection, contract, *of)
        if read_at is None and undated is None and contract.clock.seconds is not None:
            read_at = score.scored_at - timedelta(seconds=score.age)
    query = ReadingQuery(asset.twin, contract.channel_names, last_batch(connection))
    return MachineFacts(
        asset=asset,
        contract=contract,
        parts=assets.fitted_parts(connection, asset.id),
        runs=runs_of_asset(connection, asset),
        score=score,
        model=model,
        read_at=read_at,
        undated=undated,
        open_cases=cases.open_of(connection, [asset.id]).get(asset.id, []),
        newest=windows.newest_windows(connection, query, [asset.id], contract.window.length),
        origin=origin,
        now=now,
    )
