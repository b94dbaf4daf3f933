"""Work orders: a service request becomes one order in a maintenance system, whatever happens on the way.

The system is asked first whether it has the order: so nothing is made twice when a process is killed between the
order and the note that it was made.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

from foretwin.errors import BadInput
from foretwin.twin.outbox.delivery_targets import TIMEOUT, DeliveryOutcome, Send
from foretwin.twin.outbox.routes.messages import as_plain_text, headline
from foretwin.twin.outbox.routes.routes_file import NamedRoute
from foretwin.twin.outbox.routes.work_order_template import (
    SystemCall,
    Words,
    WorkOrderTemplate,
    at_pointer,
    fill_body,
    filled_text,
)
from foretwin.twin.outbox.signatures import webhook_signature
from foretwin.twin.store import Store
from foretwin.twin.store.casework import audit, cases
from foretwin.twin.store.casework.comments import comments_on, insert_comment
from foretwin.twin.store.casework.events import Event

SHORT, SHORT_TEXT = 40, 1333  # characters of the shortest title and text that a system takes: SAP's

LONGEST_ANSWER = 1 << 20  # bytes: an order or two

logger = logging.getLogger("foretwin.routes")


def reference_of(twin: str, case: int) -> str:
    """Return by what a system knows the order of a case."""
    return f"foretwin-{twin}-{case}"


def case_of(reference: str) -> int | None:
    """Return the case of a reference, or of a title that begins with one; None of any other text."""
    first = reference.split(" ", 1)[0]
    number = first.rpartition("-")[2]
    return int(number) if first.startswith("foretwin-") and number.isdecimal() and number.isascii() else None


@dataclass(frozen=True)
class WorkOrders:
    """A route to a maintenance system. `secret` signs each call as a webhook's, where there is one."""

    store: Store
    route: NamedRoute
    template: WorkOrderTemplate
    secret: bytes = b""

    @contextmanager
    def connected(self) -> Iterator[Send]:
        """Yield what sends an event; the connection ends with the block."""
        own = self.route.settings
        headers = {name: self.route.secret(variable) for name, variable in own.headers_from.items()}
        with httpx.Client(base_url=own.url or "", headers=headers, timeout=TIMEOUT) as client:
            yield lambda event: self._send(client, event)

    def _send(self, client: httpx.Client, event: Event) -> DeliveryOutcome:
        try:
            return self._order(client, event)
        except httpx.TimeoutException:
            return DeliveryOutcome(f"no answer within {TIMEOUT} s", away=True)
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            return DeliveryOutcome(f"{error.request.method} {error.request.url.path}: answered {status}")
        except httpx.HTTPError as error:
            return DeliveryOutcome(f"{type(error).__name__}: {error}", away=True)
        except BadInput as error:
            return DeliveryOutcome(str(error))

    def _order(self, client: httpx.Client, event: Event) -> DeliveryOutcome:
        words = self._words(event)
        ask = self._asking(client, event, words)
        found = ask(self.template.find, words)
        if found is None:
            found = ask(self.template.create, words)
        elif event.data["severity"] == "urgent" and self.template.update is not None:
            ask(self.template.update, {**words, "order": found})
        self._note(event, found)
        return DeliveryOutcome()

    def _words(self, event: Event) -> Words:
        """Return what a template may name: the service request, and what is made of it."""
        own = self.route.settings
        case = int(event.subject.removeprefix("cases/"))
        reference, document = reference_of(event.twin, case), event.data
        values = {**own.values, **{name: self.route.secret(one) for name, one in own.values_from.items()}}
        return {
            **document,
            "case": case,
            "reference": reference,
            "title": headline(document),
            "short_title": f"{reference} {headline(document)}"[:SHORT],
            "text": as_plain_text(document),
            "short_text": as_plain_text(document)[:SHORT_TEXT],
            "values": values,
            "words": {name: one.get(document["severity"]) for name, one in self.template.words.items()},
        }

    def _asking(self, client: httpx.Client, event: Event, words: Words) -> Callable[[SystemCall, Words], Any]:
        """Return what makes a call and returns what lies at its `answer`, within a session where there is one."""
        kept: dict[str, str] = {}

        def ask(call: SystemCall, with_words: Words) -> Any:
            _, content = self._call(client, event, call, with_words, kept)
            return None if call.answer is None else at_pointer(_parsed(call, content), call.answer)

        session = self.template.session
        if session is not None:
            headers, content = self._call(client, event, session, words, {})
            for name, place in session.take.items():
                kind, _, where = place.partition(":")
                taken = headers.get(where) if kind == "header" else at_pointer(_parsed(session, content), where)
                kept[name] = str(taken or "")
        return ask

    def _call(
        self, client: httpx.Client, event: Event, call: SystemCall, words: Words, kept: Mapping[str, str]
    ) -> tuple[httpx.Headers, bytes]:
        """Make a call and return the headers and the body of its answer, of which only so much is read."""
        body = b"" if call.body is None else orjson.dumps(fill_body(call.body, words))
        headers = {name: filled_text(text, words) for name, text in call.headers.items()} | dict(kept)
        if call is self.template.create:
            headers["idempotency-key"] = event.id  # the same where it is sent again
        if body:
            headers["content-type"] = "application/json"
        if self.secret and body:
            headers |= webhook_signature(self.secret, event.id, body, datetime.now(UTC))
        query = {name: filled_text(text, words) for name, text in call.query.items()}
        path = filled_text(call.path, words, quoted=True)
        asked: dict[str, Any] = {"params": query or None, "content": body or None, "headers": headers}
        with client.stream(call.method, path, **asked) as response:
            response.raise_for_status()
            content = b""
            for piece in response.iter_bytes():
                content += piece
                if len(content) > LONGEST_ANSWER:
                    raise BadInput("answer", f"of {call.method} {call.path} is longer than {LONGEST_ANSWER} bytes")
            return response.headers, content

    def _note(self, event: Event, order: Any) -> None:
        """Say in the case which order it has, once."""
        actor, case_id = f"route:{self.route.name}", int(event.subject.removeprefix("cases/"))
        text = (
            f"Work order {order} in {self.template.system}" if order is not None else f"Told to {self.template.system}"
        )
        now = datetime.now(UTC)
        with self.store.write() as connection:
            if any(one["actor"] == actor for one in comments_on(connection, case_id)):
                return
            case = cases.find_case(connection, case_id)
            kept = insert_comment(connection, case, text, actor, now)
            entry = {"fault": case.fault, "comment": kept["id"]}
            audit.record(connection, actor, "case.commented", entry, now, asset=case.asset, case=case.id)
        logger.info("%s: case %d is %s", self.route.name, case_id, text)


def _parsed(call: SystemCall, content: bytes) -> Any:
    """Return the JSON of an answer; BadInput for none, as of a page that asks to sign in: it tells of no order."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        raise BadInput("answer", f"of {call.method} {call.path} is no JSON; is that the right address?") from None
