"""What commands share: the project's contracts and store, the actor, signals, threads."""

import getpass
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foretwin.contract.twin import Twin
    from foretwin.twin.store import Store

PROJECT = Path()
LIVE = "http://127.0.0.1:3100"  # where `foretwin live` answers, unless it is told otherwise


def load_project() -> "dict[str, Twin]":
    """Load the contracts of the project; ContractError in a folder that has none."""
    from foretwin.errors import ContractError
    from foretwin.project.contracts import load_contracts

    contracts = load_contracts(PROJECT)
    if not contracts:
        raise ContractError("data/*/twin.yaml: there is none; run this from the project's folder")
    return contracts


def contract_named(contracts: "Mapping[str, Twin]", twin: str) -> "Twin":
    """Return the contract of a twin; BadInput lists the existing ones."""
    from foretwin.errors import BadInput

    if twin not in contracts:
        raise BadInput("twin", f"{twin} has no contract here; there is {', '.join(contracts)}")
    return contracts[twin]


def only_twin(contracts: "Mapping[str, Twin]") -> str:
    """Return the project's only twin; BadInput where there are several."""
    from foretwin.errors import BadInput

    if len(contracts) > 1:
        raise BadInput("--twin", f"is missing; there is {', '.join(contracts)}")
    return next(iter(contracts))


@contextmanager
def opened_store(stop: threading.Event | None = None) -> "Iterator[Store]":
    """Open the store that FORETWIN_STORE names, or twins.db in the project's folder.

    With `stop`, an unavailable store is waited for until that is set: at boot a database may start after its clients.
    """
    from foretwin.twin.store import store_url

    store = _reached(store_url(PROJECT, os.environ), stop)
    try:
        yield store
    finally:
        store.close()


def _reached(url: str, stop: threading.Event | None) -> "Store":
    """Open a store, with growing pauses between attempts while it is unavailable; StoreAway where `stop` ends them."""
    import logging

    from foretwin.errors import StoreAway
    from foretwin.project.loops import Backoff
    from foretwin.twin.store import open_store

    backoff, failures = Backoff(0.5, 30.0), 0
    while True:
        try:
            return open_store(url)
        except StoreAway as error:
            if stop is None or stop.is_set():
                raise
            failures += 1
            logging.getLogger("foretwin.store").warning("%s; waiting for the store", error)
            stop.wait(backoff.wait(failures))


def command_prefix() -> str:
    """Return what stands before a command in the project's folder: `.venv/bin/` where that is its environment."""
    return ".venv/bin/" if (PROJECT / ".venv" / "bin" / "foretwin").exists() else ""


def record_champion(twin: str, *stages: str) -> None:
    """Update DVC's records of a champion that was changed by hand; a failure is reported, since the change stays."""
    import click

    from foretwin.twin.retraining import record_stages

    trouble = record_stages(PROJECT, twin, *stages)
    if trouble:
        click.echo(f"DVC's records still name the champion before: {trouble}; then `dvc repro`", err=True)


def share_champion(twin: str) -> None:
    """Publish a champion where FORETWIN_MODELS says; a failure is reported, since the champion is one all the same."""
    import click

    from foretwin.errors import ForetwinError
    from foretwin.registry.shared_champions import share_kept

    try:
        told = share_kept(PROJECT, twin)
    except ForetwinError as error:
        told = f"{error}; `foretwin follow` publishes it then"
    if told:
        click.echo(told, err=True)


def person() -> str:
    """Return the user who runs the command, for the audit."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "command line"


def moment_option(text: str | None) -> datetime | None:
    """Parse an ISO 8601 moment, UTC where it has no zone. BadInput where it is invalid."""
    from foretwin.errors import BadInput

    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput("--at", f"is {text}; a moment such as 2026-11-21T12:00 is needed") from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)


def log_to_terminal() -> None:
    """Log to stderr, each line with its time, or as JSON by FORETWIN_LOG_FORMAT; of libraries only warnings."""
    import logging

    from foretwin.project.redaction import hide_secrets
    from foretwin.project.settings import read_choice

    if read_choice("FORETWIN_LOG_FORMAT") == "json":
        from foretwin.serving.http.logs import log_json

        log_json(logging.WARNING)
    else:
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
        hide_secrets(os.environ)
    logging.getLogger("foretwin").setLevel(logging.INFO)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Return an event that Ctrl-C and SIGTERM set; a second signal ends the process at once."""
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


def start_thread(work: Callable[[], object], stop: threading.Event, failures: list[BaseException]) -> threading.Thread:
    """Start a thread; its exception is added to `failures`, and `stop` is set at its end."""

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
