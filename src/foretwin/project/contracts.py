"""Contracts of a project, one per twin."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from foretwin.contract.questions import asking, questions_of
from foretwin.contract.twin import Twin, load_twin
from foretwin.errors import ContractError
from foretwin.project.paths import Paths

LOOK_EVERY = 1.0  # s between two looks for twins that were added

logger = logging.getLogger("foretwin.contracts")


def load_contracts(root: Path) -> dict[str, Twin]:
    """Load every data/*/twin.yaml, by the twin's name in order; ContractError at the first invalid one."""
    contracts = [load_twin(path) for path in sorted(root.glob("data/*/twin.yaml"))]
    return {contract.name: contract for contract in contracts}


class RunningContracts(Mapping[str, Twin]):
    """The contracts of a project for a process that goes on while twins are added to it. Safe for threads.

    A twin that comes later counts once `foretwin add` has put it on the list, or it has a champion: a draft is not yet
    anybody's. A contract that counts stays as it is until the process ends.
    """

    def __init__(self, root: Path, held: Mapping[str, Twin] | None = None) -> None:
        """Begin with those that were loaded, or load them; ContractError at the first invalid one."""
        self.root = root
        self._held = load_contracts(root) if held is None else dict(held)
        self._told: dict[Path, str] = {}  # file -> what was wrong with it when that was logged
        self._looked = time.monotonic()
        self._turn = threading.Lock()

    def __getitem__(self, name: str) -> Twin:
        return self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def renew(self) -> None:
        """Take up twins that were added since; looks once a second. An invalid contract is logged, and waited for."""
        if time.monotonic() - self._looked < LOOK_EVERY or not self._turn.acquire(blocking=False):
            return
        try:
            for path in sorted(self.root.glob("data/*/twin.yaml")):
                if path.parent.name not in self._held and _is_added(self.root, path.parent.name):
                    self._take_up(path)
            self._looked = time.monotonic()
        finally:
            self._turn.release()

    def _take_up(self, path: Path) -> None:
        try:
            contract = load_twin(path)
        except (ContractError, OSError) as error:
            if self._told.get(path) != str(error):
                logger.error("%s; this machine type is taken up once it is corrected", error)
            self._told[path] = str(error)
            return
        self._told.pop(path, None)
        self._held = {**self._held, contract.name: contract}  # whoever goes through the others is not disturbed
        logger.info("%s: taken up", contract.name)


def _is_added(root: Path, twin: str) -> bool:
    paths = Paths(root, twin)
    return (paths.data / "dvc.yaml").exists() or (paths.models / "champion" / "identity.json").exists()


def policy_of(root: Path, trained: Twin) -> Twin:
    """Return the project's current contract where it is compatible with a model trained under `trained`; else that.

    So a changed case policy, lead time or instruction takes effect at once, without training. Questions that it asks
    and the model does not answer, as before there are labels, are left out. ContractError where the file is invalid.
    """
    path = Paths(root, trained.name).contract
    now, answered = load_twin(path) if path.exists() else trained, questions_of(trained)
    if not set(answered) <= set(questions_of(now)):
        return trained
    now = asking(now, answered)
    return now if _asked(now) == _asked(trained) else trained


def _asked(contract: Twin) -> tuple[object, ...]:
    """Return the parts of a contract that a model's inputs and outputs depend on."""
    classes = {axis: contract.classes(axis) for axis in contract.axes}
    return contract.channel_names, classes, contract.clock.unit, contract.rul and contract.rul.cap
