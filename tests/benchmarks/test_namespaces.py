"""Hosts that are network namespaces: heard from outside whatever other networks there are, until they are unplugged."""

import os
import socket
import subprocess
from contextlib import ExitStack

import pytest

from benchmarks.namespaces import add_namespace, network
from foretwin.errors import ForetwinError
from foretwin.twin.simulator.processes import wait_for

NETWORKS = [f"10.213.{number + os.getpid() % 20}" for number in (200, 220)]
ANSWERING = "import socket\nserver = socket.create_server(('{}', 8080))\nwhile True: server.accept()[0].sendall(b'yes')"


def answers(host):
    try:
        with socket.create_connection((host.address, 8080), 0.3) as line:
            return line.recv(3) == b"yes"
    except OSError:
        return False


def test_hosts_of_two_networks_are_heard_and_one_whose_link_is_down_or_gone_is_not():
    with ExitStack() as ending:
        hosts = []
        for number, subnet in enumerate(NETWORKS):
            try:
                ending.enter_context(network(f"{subnet}.1"))
                host = add_namespace(f"fttest{os.getpid()}-{number}", f"{subnet}.2", f"{subnet}.1")
            except ForetwinError as error:
                pytest.skip(str(error))
            ending.callback(host.remove)
            server = subprocess.Popen([*host.prefix, "python3", "-c", ANSWERING.format(host.address)])
            ending.callback(server.wait)
            ending.callback(server.kill)
            hosts.append(host)
        for host in hosts:
            wait_for(lambda host=host: answers(host), f"answer of {host.name}")
        one, other = hosts
        one.set_link("down")
        assert (answers(one), answers(other)) == (False, True)
        one.set_link("up")
        wait_for(lambda: answers(one), "answer after the link came back")
        other.unplug()
        assert (answers(one), answers(other)) == (True, False)
