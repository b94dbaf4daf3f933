"""Service requests by e-mail and chat, against a real SMTP server and a receiver of Apprise's JSON service."""

import asyncio
import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from foretwin.errors import ConnectionsError
from foretwin.twin.outbox.routes.route_targets import route_targets
from foretwin.twin.outbox.routes.routes_file import QuietHours
from foretwin.twin.simulator.processes import free_port, wait_for
from foretwin.twin.store import listing
from foretwin.twin.store.casework import cases, events
from support.routed_requests import SECRETS, deliver_until_killed, issue, request_service, routed, write_routes

pytestmark = pytest.mark.dated


class Mailbox:
    """What came, and from whom."""

    def __init__(self) -> None:
        self.mails = []
        self.refuse_first = 0
        self.asked = 0
        self.answers = True

    async def handle_AUTH(self, *_):  # noqa: N802 - as the library calls it
        self.asked += 1
        return AuthResult(success=True)

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - as the library calls it
        if self.refuse_first:
            self.refuse_first -= 1
            return "451 try again"
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content)))
        while not self.answers:
            await asyncio.sleep(0.01)
        return "250 OK"


@pytest.fixture
def mailbox():
    box = Mailbox()
    box.port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=box.port)
    controller.start()
    yield box
    controller.stop()


def by_mail(mailbox: Mailbox, **more) -> dict:
    return {
        "mail": ["shift@plant.example"],
        "sender": "f@plant.example",
        "url": f"smtp://127.0.0.1:{mailbox.port}",
        **more,
    }


def quiet_now() -> dict:
    now = datetime.now(UTC)
    begin, end = ((now + timedelta(hours=hours)).strftime("%H:%M") for hours in (-1, 1))
    return {"begin": begin, "end": end}


def test_a_request_comes_as_a_mail_that_a_technician_can_work_with(one_store, mailbox, tmp_path):
    mailbox.refuse_first = 1
    root = write_routes(tmp_path, shift=by_mail(mailbox))
    case = request_service(one_store)
    with routed(one_store, root):
        wait_for(lambda: mailbox.mails, "the mail")
    ((to, mail),) = mailbox.mails
    assert to == ["shift@plant.example"]
    assert mail["Subject"] == "P-017: Mode: wear (planned)"
    assert mail["Message-ID"].endswith("@foretwin>")
    text = mail.get_payload()
    assert "Remaining life: 100 h (60 to 130)" in text
    assert "Part: P-1, lead time 2 h" in text
    assert f"/v1/cases/{case}" in text
    assert "replace it" in text


def test_in_quiet_hours_only_what_is_urgent_comes_with_what_waits_before_it(one_store, mailbox, tmp_path):
    root = write_routes(tmp_path, shift=by_mail(mailbox, quiet=quiet_now()))
    waits = request_service(one_store, name="P-017")
    request_service(one_store, name="P-018", severity="urgent")
    with routed(one_store, root):
        wait_for(lambda: mailbox.mails, "the urgent mail")
    assert [mail["Subject"].split(":")[0] for _, mail in mailbox.mails] == ["P-018"]
    assert mailbox.mails[0][1]["Importance"] == "high"
    with one_store.write() as connection:
        cases.escalate(connection, cases.find_case(connection, waits), None, "watch", datetime.now(UTC))
    issue(one_store, waits)
    with one_store.write() as connection:
        events.hasten(connection, "route:shift", datetime.now(UTC))  # it would be looked at within a minute
    with routed(one_store, root):
        wait_for(lambda: len(mailbox.mails) == 3, "both mails of the first machine")
    assert [mail["Subject"] for _, mail in mailbox.mails[1:]] == [
        "P-017: Mode: wear (planned)",
        "P-017: Mode: wear (urgent)",
    ]


@pytest.mark.parametrize(
    ("hour", "ends"),
    [(21, None), (22, (2, 6)), (23, (2, 6)), (3, (1, 6)), (6, None)],
)
def test_quiet_hours_go_over_midnight(hour, ends):
    quiet = QuietHours.model_validate({"begin": "22:00", "end": "06:00", "zone": "UTC"})
    end = quiet.end_after(datetime(2026, 12, 1, hour, tzinfo=UTC))
    assert (end and (end.day, end.hour)) == ends


def test_a_password_never_goes_over_the_wire_in_clear(one_store, mailbox, tmp_path):
    root = write_routes(tmp_path, shift=by_mail(mailbox, user="u", password_from="CMMS_PASSWORD"))  # noqa: S106
    request_service(one_store)
    with routed(one_store, root):
        wait_for(lambda: _errors(one_store), "the refusal")
    assert "in clear" in _errors(one_store)[0]
    assert (mailbox.asked, mailbox.mails) == (0, [])


def _errors(store) -> list[str]:
    return [row["error"] for row in _deliveries(store) if row["error"]]


def _states(store) -> list[str]:
    return [row["state"] for row in _deliveries(store)]


def _deliveries(store) -> list[dict]:
    with store.read() as connection:
        return list(listing.list_deliveries(connection, listing.Page(10, 0, "due_at", descending=False), {}))


@dataclass
class Chat:
    """A receiver of Apprise's JSON service, which may take a message and not say so."""

    told: list[dict] = field(default_factory=list)
    answers: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def chat(monkeypatch):
    room = Chat()
    room.answers.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            room.told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            room.answers.wait(30)
            with suppress(OSError):  # whoever asked was killed
                self.send_response(200)
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setitem(SECRETS, "CHAT_URL", f"json://127.0.0.1:{server.server_port}")
    yield room
    room.answers.set()
    server.shutdown()
    server.server_close()


def test_a_chat_is_told_through_apprise(one_store, chat, tmp_path):
    root = write_routes(tmp_path, chat={"chat_from": "CHAT_URL"})
    request_service(one_store, severity="urgent")
    with routed(one_store, root):
        wait_for(lambda: chat.told, "the message")
    (message,) = chat.told
    assert (message["title"], message["type"]) == ("P-017: Mode: wear (urgent)", "failure")
    assert "Latest safe date" in message["message"]


def test_after_a_kill_a_mail_comes_again_as_the_same_one(one_store, mailbox, tmp_path):
    root = write_routes(tmp_path, shift=by_mail(mailbox))
    request_service(one_store)
    mailbox.answers = False  # it has the mail, and whoever sent it dies before he hears of it
    deliver_until_killed(root, lambda: mailbox.mails)
    mailbox.answers = True
    with routed(one_store, root):
        wait_for(lambda: len(mailbox.mails) == 2, "the mail once more")
    first, again = (mail for _, mail in mailbox.mails)
    assert first["Message-ID"] == again["Message-ID"]
    assert first.as_bytes() == again.as_bytes()


def test_after_a_kill_a_chat_is_not_told_again_and_the_doubt_is_listed(one_store, chat, tmp_path):
    root = write_routes(tmp_path, chat={"chat_from": "CHAT_URL"})
    case = request_service(one_store)
    chat.answers.clear()
    deliver_until_killed(root, lambda: chat.told)
    chat.answers.set()
    with one_store.write() as connection:
        cases.escalate(connection, cases.find_case(connection, case), None, "watch", datetime.now(UTC))
    issue(one_store, case)
    with routed(one_store, root):
        wait_for(lambda: len(chat.told) == 2, "the second request")
        wait_for(lambda: "waiting" not in _states(one_store), "its note")
    assert [one["title"].split(": ")[-1] for one in chat.told] == ["wear (planned)", "wear (urgent)"]
    assert _states(one_store).count("unknown") == 1
    assert "look whether it came" in _errors(one_store)[0]
    with one_store.write() as connection:
        assert events.revive(connection, None, datetime.now(UTC)) == 0
        assert events.revive(connection, None, datetime.now(UTC), "unknown") == 1
    with routed(one_store, root):
        wait_for(lambda: len(chat.told) == 3, "the first request, which somebody wanted again")


def test_a_chat_that_refuses_is_tried_again(one_store, tmp_path, monkeypatch):
    monkeypatch.setitem(SECRETS, "CHAT_URL", f"json://127.0.0.1:{free_port()}")
    root = write_routes(tmp_path, chat={"chat_from": "CHAT_URL"})
    request_service(one_store)
    with routed(one_store, root):
        wait_for(lambda: _errors(one_store) == ["the chat did not take it"], "the refusal")
        assert "dead" not in _states(one_store)


def test_a_url_that_apprise_does_not_know_is_told_at_the_start_without_the_url(one_store, tmp_path):
    root = write_routes(tmp_path, chat={"chat_from": "CHAT_URL"})
    with pytest.raises(ConnectionsError, match="chat: CHAT_URL holds no URL that Apprise knows"):
        route_targets(one_store, root, {"CHAT_URL": "nonsense-of-a-secret"})
