"""The outbox delivered to targets on a thread, as `foretwin watch` does, with short waits."""

import threading
from contextlib import contextmanager

from foretwin.project.loops import Backoff
from foretwin.twin.outbox.delivery_targets import Target
from foretwin.twin.outbox.dispatcher import ATTEMPTS, deliver

QUICK = Backoff(shortest=0.06, longest=0.1, factor=3)


@contextmanager
def delivering(store, *targets: Target, attempts: int = ATTEMPTS):
    stop = threading.Event()
    thread = threading.Thread(target=deliver, args=(store, targets, stop, QUICK, attempts))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()
