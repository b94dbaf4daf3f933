"""Make `time.sleep` work under libfaketime: on PYTHONPATH of the runs of `.ci/clock`, and of nothing else.

From Python 3.11 on it sleeps by clock_nanosleep until a moment of the monotonic clock. libfaketime 0.9.10 takes that
for a moment of the faked calendar clock, and the call fails with EINVAL. Faking the monotonic clock too is no way out:
a wait with a timeout for a lock or an event then never ends, for libfaketime does not know sem_clockwait.
"""

import select
import time


def sleep(seconds: float, /) -> None:
    """As `time.sleep`: at least so many seconds, also where a signal comes in between."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select((), (), (), seconds)


time.sleep = sleep
