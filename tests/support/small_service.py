"""The scoring service over tiny bundles, on loopback."""

from contextlib import contextmanager
from pathlib import Path

from foretwin.champion.champion import Champion, read_champion
from foretwin.contract.twin import Twin
from foretwin.serving.access.authentication import Guard
from foretwin.serving.http.limits import Limits
from foretwin.serving.scoring.app import create_scoring_app
from foretwin.serving.scoring.champions import Champions
from foretwin.serving.scoring.metrics import Metrics
from foretwin.serving.scoring.state import Service
from support.loopback_server import served
from support.tiny_bundle import keep_tiny_champion, tiny_twin

PUMP = tiny_twin("pump", channels=4)
FAN = tiny_twin("fan", rul=False)
ENGINE = tiny_twin("engine", faults=False)


def tiny_champion(root: Path, twin: Twin) -> Champion:
    """A champion of a tiny bundle, kept in the project's folder."""
    return read_champion(keep_tiny_champion(root, twin).parent)


def service_over(*champions: Champion, keys: Path | None = None, limits: Limits | None = None) -> Service:
    """The service with these champions; open to everybody without `keys`."""
    served_ones = Champions()
    for champion in champions:
        served_ones.put(champion)
    metrics = Metrics()
    metrics.serving(served_ones.all())
    return Service(served_ones, limits or Limits(), Guard(keys), metrics)


@contextmanager
def running(service: Service):
    """The URL of the service while the body runs."""
    with served(create_scoring_app(service)) as url:
        yield url
