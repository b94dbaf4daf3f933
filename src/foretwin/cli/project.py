"""What every command of the living twin works with: the project's store and contracts, who asks, and when to end."""

import getpass
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foretwin.contract.twin import Twin
    from foretwin.twin.store import Store

PROJECT = Path()


def load_project() -> "dict[str, Twin]":
    """The contracts of the project; ContractError in a folder that has none."""
    from foretwin.errors import ContractError
    from foretwin.project.contracts import load_contracts

    contracts = load_contracts(PROJECT)
    if not contracts:
        raise ContractError("data/*/twin.yaml: there is none; run this from the project's folder")
    return contracts


def contract_named(contracts: "dict[str, Twin]", twin: str) -> "Twin":
    """The contract of a twin; BadInput names those that there are."""
    from foretwin.errors import BadInput

    if twin not in contracts:
        raise BadInput("twin", f"{twin} has no contract here; there is {', '.join(contracts)}")
    return contracts[twin]


def only_twin(contracts: "dict[str, Twin]") -> str:
    """The project's twin where it has one; BadInput where somebody has to say which."""
    from foretwin.errors import BadInput

    if len(contracts) > 1:
        raise BadInput("--twin", f"is missing; there is {', '.join(contracts)}")
    return next(iter(contracts))


@contextmanager
def opened_store() -> "Iterator[Store]":
    """The store that FORETWIN_STORE names, or twins.db in the project's folder."""
    from foretwin.twin.store import open_store, store_url

    store = open_store(store_url(PROJECT, os.environ))
    try:
        yield store
    finally:
        store.close()


def command_prefix() -> str:
    """Return what stands before a command in the project's folder: `.venv/bin/` where that is its environment."""
    return ".venv/bin/" if (PROJECT / ".venv" / "bin" / "foretwin").exists() else ""


def person() -> str:
    """Who runs the command, for the audit."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "command line"


def moment(text: str | None) -> datetime | None:
    """A moment by ISO 8601; one without a zone is UTC, as everything that is shown. BadInput where it is none."""
    from foretwin.errors import BadInput

    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput("--at", f"is {text}; a moment such as 2026-11-21T12:00 is needed") from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)


def log_to_terminal() -> None:
    """What a long-running command logs goes to stderr, each line with its moment; of libraries only warnings."""
    import logging

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("foretwin").setLevel(logging.INFO)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; a second one ends the process at once, as if nobody had listened."""
    stop = threading.Event()
    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def end(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, before[number])

    for number in before:
        signal.signal(number, end)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def start(work: Callable[[], object], stop: threading.Event, failures: list[BaseException]) -> threading.Thread:
    """A thread that does the work; what it raises is added to `failures`, and `stop` is set at its end."""

    def run() -> None:
        try:
            work()
        except BaseException as error:  # the main thread raises it
            failures.append(error)
        finally:
            stop.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread
