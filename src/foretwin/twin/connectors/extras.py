"""Optional extras: what a connector needs and is not installed is told with the command that installs it."""

from collections.abc import Iterator
from contextlib import contextmanager

from foretwin.errors import ConnectionsError


@contextmanager
def needing_extra(what: str, extra: str) -> Iterator[None]:
    """Import within it what the extra brings; ConnectionsError where it is not installed, for whom `what` tells."""
    try:
        yield
    except ModuleNotFoundError as error:
        advice = f"{error.name} is not installed; `pip install 'foretwin[{extra}]'`"
        raise ConnectionsError(f"{what}: {advice}") from None
