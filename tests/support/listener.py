"""A listener in a process of its own, to be killed: `python listener.py CONTRACT STORE BROKER [hang]`.

It says on standard output when it begins to store a batch and when that is committed; with `hang` it then sleeps, so
that it can be killed before it acknowledges anything.
"""

import signal
import sys
import threading
import time
from pathlib import Path

from foretwin.contract.twin import Twin
from foretwin.project.loops import Backoff
from foretwin.twin.connectors import sink
from foretwin.twin.connectors.connections.connections_file import plain_peer
from foretwin.twin.connectors.listening import listen
from foretwin.twin.ingest.ingest import ingest_as
from foretwin.twin.store import open_store


def say(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def loud(*arguments):
    say("storing")
    receipt = ingest_as(*arguments)
    say(f"committed {receipt.stored}")
    if sys.argv[4:] == ["hang"]:
        time.sleep(1000)
    return receipt


if __name__ == "__main__":
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    contract = Twin.model_validate_json(Path(sys.argv[1]).read_text())
    sink.ingest_as = loud
    store, peers = open_store(sys.argv[2]), [plain_peer(sys.argv[3])]
    listen(store, {contract.name: contract}, peers, stop, None, Backoff(0.05, 0.5))
