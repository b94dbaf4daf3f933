"""Hosts made on this machine: network namespaces, each linked to it by a pair of virtual interfaces; it needs root."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from signal import SIGKILL

from foretwin.errors import ForetwinError

MAY_NOT = "network namespaces cannot be made here: that needs root with CAP_NET_ADMIN and CAP_SYS_ADMIN, and `ip`"


@dataclass(frozen=True)
class Namespace:
    """A host: commands behind `prefix` run in it. Its name is that of the link's end on this machine, too."""

    name: str  # at most 15 letters
    address: str
    outside: str  # the address under which this machine speaks with it

    @property
    def prefix(self) -> tuple[str, ...]:
        """What a command begins with that is to run in it."""
        return ("ip", "netns", "exec", self.name)

    @property
    def route(self) -> tuple[str, ...]:
        """What `ip` is told of the way to it; with the sender's address, since there may be several networks."""
        return ("route", "replace", self.address, "dev", self.name, "src", self.outside)

    def set_link(self, state: str) -> None:
        """Take the link `up` or `down`."""
        if not _ip("link", "set", self.name, state):
            raise ForetwinError(f"{self.name}: its link cannot be taken {state}")
        if state == "up":  # with the link its route was taken away
            _ip(*self.route)

    def unplug(self) -> None:
        """Delete the link: from now on nobody hears of the host, and its processes cannot take leave."""
        _ip("link", "del", self.name)

    def remove(self) -> None:
        """Delete link and namespace, and kill what still runs in it."""
        for process in _run("ip", "netns", "pids", self.name).stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(process), SIGKILL)
        self.unplug()
        _ip("netns", "del", self.name)


@contextmanager
def network(address: str) -> Iterator[None]:
    """Give this machine an address for its hosts, for the time of the block; ForetwinError where that cannot be."""
    _ip("address", "del", f"{address}/32", "dev", "lo")  # as a run that was killed left it
    if os.getuid() != 0 or not _ip("address", "add", f"{address}/32", "dev", "lo"):
        raise ForetwinError(MAY_NOT)
    try:
        yield
    finally:
        _ip("address", "del", f"{address}/32", "dev", "lo")


def add_namespace(name: str, address: str, outside: str) -> Namespace:
    """Make a host in the network of `outside`, both addresses in one /24; ForetwinError where that cannot be."""
    made = Namespace(name, address, outside)
    made.remove()
    inside = (*made.prefix, "ip")
    steps: list[Sequence[str]] = [
        ("ip", "netns", "add", name),
        ("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name),
        ("ip", "link", "set", name, "up"),
        ("ip", *made.route),
        (*inside, "address", "add", f"{address}/24", "dev", "eth0"),
        (*inside, "link", "set", "eth0", "up"),
        (*inside, "link", "set", "lo", "up"),
    ]
    for step in steps:
        if _run(*step).returncode:
            made.remove()
            raise ForetwinError(MAY_NOT)
    return made


def _ip(*arguments: str) -> bool:
    return _run("ip", *arguments).returncode == 0


def _run(*words: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(words, capture_output=True, check=False, text=True)
    except FileNotFoundError:
        return subprocess.CompletedProcess(words, 127, "", "")
