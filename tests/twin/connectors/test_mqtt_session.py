"""Sessions with a real broker: who gets in, what survives a broken connection, what is refused in plain words."""

import logging
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from foretwin.errors import BadInput, BrokerError
from foretwin.project.loops import Backoff
from foretwin.twin.connectors.mqtt.address import parse_address
from foretwin.twin.connectors.mqtt.session import connect_broker
from foretwin.twin.connectors.mqtt.subscription import Subscription
from foretwin.twin.simulator.broker import Broker
from foretwin.twin.simulator.processes import wait_for

QUICK = Backoff(0.05, 0.2)


@pytest.fixture
def session():
    """Makes sessions, and closes them in the end."""
    made = []

    def make(url, name="test", subscription=None, stop=None):
        made.append(connect_broker(url, name, stop or threading.Event(), subscription, QUICK))
        return made[-1]

    yield make
    for one in made:
        one.close(2)


@pytest.fixture
def certificates(tmp_path) -> Path:
    """An authority, a server's certificate for 127.0.0.1 and a client's, made by openssl."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    new = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    run(folder, *new, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=Test authority")
    signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:false"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    run(folder, *new, *signed, *names, "-keyout", "server.key", "-out", "server.crt", "-subj", "/CN=127.0.0.1")
    run(folder, *new, *signed, "-keyout", "client.key", "-out", "client.crt", "-subj", "/CN=replay")
    return folder


def run(folder, *command):
    subprocess.run(command, check=True, cwd=folder, capture_output=True)


@pytest.fixture
def started(tmp_path):
    """Starts brokers with further lines of configuration."""
    brokers = []

    def start(*lines):
        folder = tmp_path / f"broker{len(brokers)}"
        folder.mkdir()
        brokers.append(Broker(folder, lines).start())
        return brokers[-1]

    yield start
    for broker in brokers:
        broker.stop()


def test_an_address_holds_user_password_and_files():
    address = parse_address("mqtts://anna:p%40ss@host:1?ca=a.crt&cert=b.crt&key=b.key", {})
    assert (address.host, address.port, address.user, address.password) == ("host", 1, "anna", "p@ss")
    assert address.files == {"ca": "a.crt", "cert": "b.crt", "key": "b.key"}
    assert parse_address("mqtt://host", {}).port == 1883
    assert parse_address("mqtts://host", {}).port == 8883


def test_the_password_may_stand_in_the_environment():
    secret, other = "secret", "other"
    environ = {"FORETWIN_MQTT_PASSWORD": secret}
    assert parse_address("mqtt://anna@host", environ).password == secret
    assert parse_address("mqtt://anna:other@host", environ).password == other
    assert parse_address("mqtt://host", environ).password is None


def test_an_address_shows_no_password():
    address = parse_address("mqtt://anna:secret@host:1", {})
    assert str(address) == "mqtt://host:1"
    assert "secret" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "host:1883",
        "http://host",
        "mqtt://",
        "mqtt://host:port",
        "mqtt://host:70000",
        "mqtt://host/path",
        "mqtts://host?cafile=x",
        "mqtt://host?ca=x",
        f"mqtt://{'x' * 70}.org",
    ],
)
def test_a_url_of_no_broker_is_refused(url):
    with pytest.raises(BadInput, match="url"):
        parse_address(url, {})


def test_a_message_travels_with_its_content_type(broker, session):
    heard = []
    session(broker.url, "ear", Subscription("there/#", heard.append))
    assert session(broker.url, "mouth").publish("there/now", b"\0body", "text/x").result(5)
    wait_for(lambda: heard, "message")
    assert (heard[0].topic, heard[0].body, heard[0].content_type) == ("there/now", b"\0body", "text/x")


def test_what_nobody_subscribes_to_is_told(broker, session):
    assert session(broker.url).publish("nowhere", b"").result(5) is False


def test_a_topic_with_a_wildcard_is_refused_and_the_next_goes_through(broker, session):
    mouth = session(broker.url)
    for _ in range(200):  # more than may be in flight at once: a refused one must not take a place for ever
        with pytest.raises(BadInput, match="topic"):
            mouth.publish("a/+", b"")
    assert mouth.publish("a/b", b"").result(5) is False


def test_the_broker_sends_no_more_than_agreed_before_an_acknowledgement(broker, session):
    heard = []
    session(broker.url, "ear", Subscription("x", heard.append, most=10))
    mouth = session(broker.url, "mouth")
    for answer in [mouth.publish("x", b"%d" % i) for i in range(25)]:
        answer.result(5)
    time.sleep(0.3)
    assert [int(message.body) for message in heard] == list(range(10))


def test_nothing_is_read_while_there_is_no_room(broker, session):
    heard = []
    ear = session(broker.url, "ear", Subscription("x", heard.append, most=10, full=lambda: len(heard) >= 20))
    mouth = session(broker.url, "mouth")
    for answer in [mouth.publish("x", b"%d" % i) for i in range(100)]:
        answer.result(5)
    wait_for(lambda: len(heard) == 10, "ten messages")
    ear.acknowledge(heard)  # on which this broker sends far more than ten
    wait_for(lambda: len(heard) == 20, "messages up to the limit")
    time.sleep(0.3)
    assert len(heard) == 20
    before, heard[:] = list(heard), []
    wait_for(lambda: len(heard) == 20, "messages up to the limit again")
    assert [int(message.body) for message in before + heard] == list(range(40))


def test_acknowledgements_go_out_while_the_broker_sends_without_a_pause(broker, session):
    got, count = [], 800

    def receive(message):
        time.sleep(0.002)  # so that there is always something to read
        got.append(message)

    kept = Subscription("t/+", receive, most=count)
    session(broker.url, "slow", kept).close()
    mouth = session(broker.url, "mouth")
    assert all(one.result(30) for one in [mouth.publish("t/a", b"%d" % i) for i in range(count)])
    ear = session(broker.url, "slow", kept)
    wait_for(lambda: got, "the first")
    ear.acknowledge(got[:1])
    wait_for(lambda: not ear._client.want_write(), "the acknowledgement to be written")
    assert len(got) < count  # Mosquitto drops whom it does not hear for six seconds, whatever it still has to send


def test_what_is_not_acknowledged_comes_again_to_the_next_process(broker, session):
    first, second = [], []
    ear = session(broker.url, "ear", Subscription("x", first.append))
    mouth = session(broker.url, "mouth")
    for i in range(4):
        mouth.publish("x", b"%d" % i).result(5)
    wait_for(lambda: len(first) == 4, "four messages")
    ear.acknowledge(first[:1])
    ear.close()
    mouth.publish("x", b"while away").result(5)
    session(broker.url, "ear", Subscription("x", second.append))
    wait_for(lambda: len(second) == 4, "what was left")
    time.sleep(0.2)
    assert [message.body for message in second] == [b"1", b"2", b"3", b"while away"]


def test_an_acknowledgement_of_an_earlier_connection_is_not_sent(broker, session):
    heard = []
    ear = session(broker.url, "ear", Subscription("x", heard.append, most=1))
    mouth = session(broker.url, "mouth")
    mouth.publish("x", b"first").result(5)
    mouth.publish("x", b"second").result(5)
    wait_for(lambda: len(heard) == 1, "first message")
    broker.stop()  # it writes its sessions down
    broker.start()
    wait_for(lambda: len(heard) == 2, "first message again", 10)
    ear.acknowledge(heard[:1])  # has the number of the one under way, but is not it
    time.sleep(0.3)
    assert [message.body for message in heard] == [b"first", b"first"]
    ear.acknowledge(heard[1:])
    wait_for(lambda: len(heard) == 3, "second message")


def test_a_killed_broker_is_found_again_and_gets_what_was_published_meanwhile(broker, session, caplog):
    heard = []
    session(broker.url, "ear", Subscription("x", heard.append))
    mouth = session(broker.url, "mouth")
    broker.stop(signal.SIGKILL)
    wait_for(lambda: "cannot be reached" in caplog.text, "word of it")
    time.sleep(0.5)
    answers = [mouth.publish("x", b"%d" % i) for i in range(15)]
    broker.start()
    for answer in answers:
        answer.result(10)
    assert mouth.publish("x", b"last").result(5) in (True, False)
    wait_for(lambda: "connected" in caplog.text, "word of the return")
    told = [record for record in caplog.records if "cannot be reached" in record.getMessage()]
    assert len(told) <= 2  # once for each session, not at each attempt
    wait_for(lambda: mouth.publish("x", b"heard").result(5), "subscriber that is back")
    wait_for(lambda: heard and heard[-1].body == b"heard", "message after the return")


def test_a_broker_that_starts_later_is_waited_for(tmp_path, session, caplog):
    caplog.set_level(logging.WARNING)
    broker = Broker(tmp_path)
    threading.Timer(0.5, broker.start).start()
    try:
        assert session(broker.url).publish("x", b"").result(5) is False
        assert len([record for record in caplog.records if "refused" in record.getMessage()]) == 1
    finally:
        broker.stop()


def test_waiting_for_a_broker_ends_when_it_is_told_to(tmp_path):
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    begin = time.monotonic()
    waiting = connect_broker(Broker(tmp_path).url, "test", stop, None, QUICK)
    assert waiting.publish("x", b"").cancelled()
    waiting.close()
    assert time.monotonic() - begin < 3


def test_a_wrong_password_is_told(tmp_path, started, session, monkeypatch):
    run(tmp_path, "mosquitto_passwd", "-b", "-c", "users", "anna", "right")
    (tmp_path / "users").chmod(0o700)
    broker = started(f"password_file {tmp_path}/users")
    with pytest.raises(BrokerError, match="Not authorized"):
        session(broker.url)
    with pytest.raises(BrokerError, match="correct user and password") as refused:
        session(broker.url.replace("//", "//anna:wrong@"))
    assert "wrong" not in str(refused.value)
    monkeypatch.setenv("FORETWIN_MQTT_PASSWORD", "right")
    assert session(broker.url.replace("//", "//anna@")).publish("x", b"").result(5) is False


def test_a_topic_that_is_not_allowed_is_told(tmp_path, started, session):
    (tmp_path / "rules").write_text("topic read open/#\ntopic write open/#\n")
    (tmp_path / "rules").chmod(0o700)
    broker = started(f"acl_file {tmp_path}/rules")
    with pytest.raises(BrokerError, match="refuses the message: Not authorized"):
        session(broker.url).publish("closed/x", b"").result(5)


def test_two_processes_of_one_name_are_told(broker, session, caplog):
    for _ in range(2):
        session(broker.url, "ear", Subscription("x", print))
    wait_for(lambda: "another process may have the session ear" in caplog.text, "word of the other")


CONNACK = bytes([0x20, 3, 0, 0, 0])


@pytest.mark.parametrize(
    ("answers", "error"),
    [  # what Mosquitto never says
        ([CONNACK, bytes([0xE0, 2, 0x8E, 0])], "another process took the session ear over"),
        ([CONNACK, bytes([0x90, 4, 0, 1, 0, 0x87])], "refuses to subscribe to x: Not authorized"),
        ([CONNACK, bytes([0x90, 4, 0, 1, 0, 0x00])], "let it grant QoS 1"),
    ],
)
def test_a_session_that_a_broker_ends_for_good_is_told(answers, error):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                for bytes_ in answers:
                    connection.recv(1000)
                    connection.sendall(bytes_)
                connection.recv(1000)

        threading.Thread(target=answer, daemon=True).start()
        url = f"mqtt://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(BrokerError, match=error):
            connect_broker(url, "ear", threading.Event(), Subscription("x", print), QUICK)


def test_tls_with_an_authority_of_ones_own(certificates, started, session):
    broker = started(f"certfile {certificates}/server.crt", f"keyfile {certificates}/server.key")
    secure = broker.url.replace("mqtt:", "mqtts:")
    assert session(f"{secure}?ca={certificates}/ca.crt").publish("x", b"").result(5) is False
    with pytest.raises(BrokerError, match="ca=FILE"):
        session(secure)
    with pytest.raises(BrokerError, match="Hostname mismatch"):
        session(f"{secure}?ca={certificates}/ca.crt".replace("127.0.0.1", "localhost"))
    with pytest.raises(BadInput, match="no usable certificate"):
        session(f"{secure}?ca={certificates}/none.crt")


def test_tls_with_a_certificate_of_ones_own(certificates, started, session):
    lines = [f"certfile {certificates}/server.crt", f"keyfile {certificates}/server.key"]
    broker = started(*lines, f"cafile {certificates}/ca.crt", "require_certificate true")
    secure = broker.url.replace("mqtt:", "mqtts:") + f"?ca={certificates}/ca.crt"
    own = f"&cert={certificates}/client.crt&key={certificates}/client.key"
    assert session(secure + own).publish("x", b"").result(5) is False
    with pytest.raises(BrokerError, match="cert=FILE"):
        session(secure)
