from foretwin import errors as errors
from foretwin.api.bundles import load_bundle as load_bundle
from foretwin.api.contract_files import load_contract as load_contract
from foretwin.api.datasets import hold_out as hold_out
from foretwin.api.datasets import load_dataset as load_dataset
from foretwin.api.evaluation import evaluate as evaluate
from foretwin.api.evaluation import score_run as score_run
from foretwin.api.training import train as train
from foretwin.champion.champion import Champion as Champion
from foretwin.champion.champion import load_champion as load_champion
from foretwin.client.clients import AsyncClient as AsyncClient
from foretwin.client.clients import Client as Client
from foretwin.contract.twin import Twin as Twin
from foretwin.predictor.bundle import Bundle as Bundle
from foretwin.twin.store import Store as Store
from foretwin.twin.store import open_store as open_store

__version__: str
__all__ = [
    "AsyncClient",
    "Bundle",
    "Champion",
    "Client",
    "Store",
    "Twin",
    "__version__",
    "errors",
    "evaluate",
    "hold_out",
    "load_bundle",
    "load_champion",
    "load_contract",
    "load_dataset",
    "open_store",
    "score_run",
    "train",
]
