"""Service requests by e-mail and chat, against a real SMTP server and a receiver of Apprise's JSON service."""

import json
import threading
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
from support.routed_requests import SECRETS, issue, request_service, routed, write_routes

pytestmark = pytest.mark.dated


class Mailbox:
    """What came, and from whom."""

    def __init__(self) -> None:
        self.mails = []
        self.refuse_first = 0
        self.asked = 0

    async def handle_AUTH(self, *_):  # noqa: N802 - as the library calls it
        self.asked += 1
        return AuthResult(success=True)

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - as the library calls it
        if self.refuse_first:
            self.refuse_first -= 1
            return "451 try again"
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content)))
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
    with store.read() as connection:
        rows = listing.list_deliveries(connection, listing.Page(10, 0, "due_at", descending=False), {})
    return [row["error"] for row in rows if row["error"]]


def test_a_chat_is_told_through_apprise(one_store, tmp_path, monkeypatch):
    told = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setitem(SECRETS, "CHAT_URL", f"json://127.0.0.1:{server.server_port}")
    root = write_routes(tmp_path, chat={"chat_from": "CHAT_URL"})
    request_service(one_store, severity="urgent")
    with routed(one_store, root):
        wait_for(lambda: told, "the message")
    server.shutdown()
    server.server_close()
    assert (told[0]["title"], told[0]["type"]) == ("P-017: Mode: wear (urgent)", "failure")
    assert "Latest safe date" in told[0]["message"]


def test_a_url_that_apprise_does_not_know_is_told_at_the_start_without_the_url(one_store, tmp_path):
    root = write_routes(tmp_path, chat={"chat_from": "CHAT_URL"})
    with pytest.raises(ConnectionsError, match="chat: CHAT_URL holds no URL that Apprise knows"):
        route_targets(one_store, root, {"CHAT_URL": "nonsense-of-a-secret"})
