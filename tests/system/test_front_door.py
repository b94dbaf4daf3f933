"""Both services as commands, with 256 descriptors, against callers that are slow, many, or both."""

import contextlib
import socket
import time

import pytest

from foretwin.twin.simulator.processes import wait_for
from support.doors import door, heard
from support.live_project import living_project
from support.small_disk import fill, small_disk

FILES = 256
PATIENCE = 1  # s


# What Python runs before the service: it notes each collection of more garbage than the youngest.
NOTES = """
import gc
def note(phase, info):
    if phase == "stop" and info["generation"]:
        with open({path!r}, "a") as file:
            file.write("x")
gc.callbacks.append(note)
"""


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    return tmp_path_factory.mktemp("notes") / "collections.txt"


@pytest.fixture(scope="module", params=["live", "serve"])
def open_door(request, tmp_path_factory, notes):
    root = living_project(tmp_path_factory.mktemp(request.param) / "project")
    (notes.parent / "sitecustomize.py").write_text(NOTES.format(path=str(notes)))
    with door(request.param, root, FILES, FORETWIN_PATIENCE=str(PATIENCE), PYTHONPATH=str(notes.parent)) as opened:
        yield opened


def trickled(wire) -> int:
    """How many single bytes go out before the connection breaks, at ten a second."""
    with contextlib.suppress(ConnectionError):
        for sent in range(100 * PATIENCE):  # noqa: B007 - it is returned
            wire.sendall(b"x")
            time.sleep(0.1)
        return 100 * PATIENCE
    return sent


def test_a_refused_caller_who_goes_on_is_cut_off(open_door):
    with open_door.connect() as wire:
        wire.sendall(open_door.head("POST", open_door.sending, "Content-Length: 1000000", key=False))
        status, _, headers = heard(wire)
        assert (status, headers["connection"]) == (401, "close")
        assert trickled(wire) < 30 * PATIENCE


def test_so_is_a_caller_with_a_key_whose_body_does_not_come(open_door):
    with open_door.connect() as silent, open_door.connect() as slow, open_door.connect() as begun:
        for wire in (silent, slow):
            wire.sendall(open_door.head("POST", open_door.sending, "Content-Length: 1000000"))
        begun.sendall(b"POST / HTTP/1.1\r\n")
        assert trickled(slow) < 50 * PATIENCE
        for wire in (silent, begun):
            status, _, headers = heard(wire)
            assert (status, headers["connection"]) == (408, "close")


def test_a_refusal_is_heard_by_who_sends_his_whole_body_first(open_door):
    for key, size, status in ((False, 4_000_000, 401), (True, 12_000_000, 413)):
        with open_door.connect() as wire:
            wire.sendall(open_door.head("POST", open_door.sending, f"Content-Length: {size}", key=key))
            wire.sendall(b" " * size)
            assert heard(wire)[0] == status


def test_calls_that_come_together_are_answered_one_after_the_other(open_door):
    length = f"Content-Length: {len(open_door.body)}"
    with open_door.connect() as wire:
        one = open_door.head("POST", open_door.sending, length) + open_door.body
        wire.sendall(one + open_door.head("GET", open_door.reading))
        received = b""
        while received.count(b"HTTP/1.1 200") < 2:
            received += wire.recv(1 << 16) or pytest.fail(received.decode())


def test_answers_that_nobody_reads_are_given_up(open_door):
    wires = [open_door.connect() for _ in range(5)]
    for wire in wires:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.sendall(1000 * open_door.head("GET", "/openapi.json"))
        wire.recv(1)
    most = open_door.descriptors() - len(wires)
    wait_for(lambda: open_door.descriptors() <= most, "end of those who do not read", 10 * PATIENCE)
    for wire in wires:
        wire.close()


def test_hundreds_of_slow_connections_from_many_addresses_leave_room_for_all_others(open_door, notes):
    collected = notes.stat().st_size
    head = open_door.head("POST", open_door.sending, "Content-Length: 100000", key=False)
    statuses, slow = [], []
    with open_door.connect("127.0.3.1") as kept:
        for i in range(420):
            if i % 140 == 0:  # more have come since the last call than there may be: strangers had to go
                kept.sendall(open_door.head("GET", open_door.reading))
                statuses.append(heard(kept)[0])
            slow.append(open_door.connect(f"127.0.0.{2 + i % 100}"))
            with contextlib.suppress(ConnectionError):  # of one that had to go
                slow[-1].sendall((b"", head[:-2], head)[i % 3])
            if i % 10 == 0:
                address = f"127.0.2.{1 + i % 250}"
                statuses += [open_door.ask(open_door.reading, address), open_door.ask("/livez", address, key=False)]
                assert open_door.descriptors() < FILES - 32
    assert set(statuses) == {200}
    assert notes.stat().st_size == collected, "to walk what they hold would hold up all others"
    for wire in slow:
        wire.close()


def test_one_address_has_no_more_than_its_share(open_door):
    wires = [open_door.connect("127.0.3.1") for _ in range(200)]
    open_door.ask("/livez", "127.0.3.1")
    assert open_door.descriptors() < FILES / 2
    assert open_door.ask(open_door.reading, "127.0.3.2") == 200
    for wire in wires:
        wire.close()


def test_live_on_a_full_disk_is_alive_and_not_ready(tmp_path):
    root = living_project(tmp_path / "project")
    with small_disk(8) as folder, door("live", root, FILES, FORETWIN_STORE=f"sqlite:///{folder}/twins.db") as opened:
        fill(folder)
        with opened.connect() as wire:
            wire.sendall(opened.head("GET", "/readyz", key=False))
            status, problem, _ = heard(wire)
        assert (status, "No space left on device" in problem.decode()) == (503, True)
        assert opened.ask("/livez", key=False) == 200
