"""Optional extras: what is needed and not installed is told with the command that installs it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from foretwin.errors import ConnectionsError, ForetwinError


def _of_connection(what: str, advice: str) -> ForetwinError:
    return ConnectionsError(f"{what}: {advice}")


@contextmanager
def needing_extra(
    what: str, extra: str, refusal: Callable[[str, str], ForetwinError] = _of_connection
) -> Iterator[None]:
    """Import within it what the extra brings; where it is not installed, `refusal` of `what` and the advice is raised.

    That is ConnectionsError, or such as BadInput.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise refusal(what, f"{error.name} is not installed; `pip install 'foretwin[{extra}]'`") from None
