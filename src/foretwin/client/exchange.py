"""One call to a service as data: what is asked, what came back, and which error a refusal is."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from foretwin.errors import (
    BadInput,
    Conflict,
    Forbidden,
    NotAcceptable,
    NotFound,
    ServiceError,
    TooLarge,
    TooMany,
    Unauthorized,
)
from foretwin.project.loops import Backoff

JSON = "application/json"
REFUSED: dict[int, type[BadInput]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    406: NotAcceptable,
    409: Conflict,
    413: TooLarge,
    415: NotAcceptable,
}
TRIES = 4  # of a call that may be repeated, or that the service had no time for
PAUSES = Backoff(shortest=0.2, longest=5.0, jitter=0.5)  # s
LONGEST_WAIT = 60.0  # s, of a Retry-After that is waited for


@dataclass(frozen=True)
class Ask:
    """A call: `repeatable` where asking twice does no more than asking once."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: bytes | None = None
    kind: str = JSON
    accept: str = JSON
    repeatable: bool = True

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of httpx's `request`; query parameters that are None are left out."""
        sent = {} if self.body is None else {"Content-Type": self.kind}
        return {
            "method": self.method,
            "url": self.path,
            "params": {name: _written(value) for name, value in self.query.items() if value is not None} or None,
            "content": self.body,
            "headers": {"Accept": self.accept, **sent},
        }


Plan = Generator[Ask, httpx.Response, Any]  # yields calls, is sent their answers, returns what the caller gets


def content_of(answer: httpx.Response) -> Any:
    """Return the JSON of an answer."""
    return orjson.loads(answer.content)


def pause_before_retry(ask: Ask, failures: int, answer: httpx.Response | None) -> float | None:
    """Return the seconds to wait before asking again after `failures` failures; None where it is of no use.

    Without an `answer` the connection failed: then a call that may have been carried out is not repeated.
    """
    if failures >= TRIES:
        return None
    if answer is None:
        return PAUSES.wait(failures) if ask.repeatable else None
    if answer.status_code != 429 and not (answer.status_code == 503 and ask.repeatable):
        return None
    told = answer.headers.get("Retry-After", "")
    wanted = float(told) if told.isascii() and told.isdigit() else PAUSES.wait(failures)
    return wanted if wanted <= LONGEST_WAIT else None


def raise_refusal(ask: Ask, answer: httpx.Response) -> None:
    """Raise what a refusal says, as the class of `foretwin.errors` that the service raised."""
    status = answer.status_code
    if status < 300:
        return
    at, reason = _problem(answer)
    if status == 429:
        told = answer.headers.get("Retry-After", "")
        raise TooMany(at, reason, float(told) if told.isascii() and told.isdigit() else 0.0)
    if 400 <= status < 500:
        raise REFUSED.get(status, BadInput)(at, reason)
    raise ServiceError(f"{ask.method} {answer.url}: {status}, {at}: {reason}")


def unreachable(ask: Ask, error: httpx.TransportError) -> ServiceError:
    """Return the error for a service that cannot be reached."""
    reason = str(error) or type(error).__name__
    return ServiceError(f"{ask.method} {error.request.url}: no answer: {reason}; is the service running there?")


def _problem(answer: httpx.Response) -> tuple[str, str]:
    """Return field and reason of a problem (RFC 9457); of any other answer, what it is."""
    try:
        content = content_of(answer)
        at, detail = str(content["field"]), str(content["detail"])
    except (ValueError, KeyError, TypeError):
        return "url", f"the answer {answer.status_code} is no Foretwin service's; ask another address"
    return at, detail.removeprefix(f"{at}: ")


def _written(value: Any) -> str:
    """Return a query parameter as text: moments by ISO 8601, truth values in lower case."""
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
