"""A plant of two hosts with one PostgreSQL, one bus and one object store, and what may befall it."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from signal import SIGQUIT
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.namespaces import add_namespace, network
from benchmarks.reliability.nats_plant import NatsServer
from benchmarks.reliability.partition_kills.host import Host
from benchmarks.servers import ObjectStore, Postgres
from foretwin.errors import ForetwinError
from foretwin.project.entrypoint import TELEMETRY_OFF
from foretwin.registry.shared_champions import SharedChampions
from foretwin.serving.access.keys import KeyRequest, make_key
from foretwin.twin.simulator.processes import free_port, wait_for
from foretwin.twin.store import open_store

SUBNET = f"10.213.{100 + os.getpid() % 100}"  # so that two plants on one machine do not meet
ADDRESS, HOSTS = f"{SUBNET}.1", (f"ft{os.getpid()}-1", f"ft{os.getpid()}-2")
PORT = 3000  # of a service on a host of its own
PATIENCE = 180.0  # s until anything that was started answers, on a busy machine
CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@dataclass
class Plant:
    """The disturbed side: servers on this machine, hosts beside it, and what was done to them."""

    server: Postgres
    bus: NatsServer
    url: str  # of the database
    make_host: Callable[[str], Host]
    call: Mapping[str, Any]  # what a service is asked
    key: str
    hosts: dict[str, Host] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    asked: int = 0  # services, while another host was away
    unanswered: int = 0

    def disturb(self, kind: str, random: np.random.Generator) -> None:
        """Let something befall it."""
        KINDS[kind][0](self, random)
        self.done[kind] += 1

    def ask_services(self) -> None:
        """Ask the services of those who stayed while another was taken away."""
        for host in self.hosts.values():
            if host.served and len(self.hosts) < len(HOSTS):
                self.asked += 1
                self.unanswered += not host.answers(self.call, self.key)

    def bring_back(self) -> None:
        """Put new hosts in the places of those who were taken away."""
        for name in HOSTS:
            if name not in self.hosts:
                self.hosts[name] = self.make_host(name).start()

    def wait_served(self) -> None:
        """Wait until the services of all hosts answer."""
        for name, host in self.hosts.items():
            if host.served:
                wait_for(partial(host.answers, self.call, self.key), f"service of {name}", PATIENCE)

    def end(self) -> None:
        """End the hosts."""
        for host in self.hosts.values():
            host.take_away(in_silence=False)


def kill_command(first: str) -> Callable[[Plant, np.random.Generator], None]:
    """Kill one of the commands that begin so, on some host; it is started again."""

    def befall(plant: Plant, random: np.random.Generator) -> None:
        found = [(host, name) for host in plant.hosts.values() for name in host.running if name.startswith(first)]
        host, name = found[int(random.integers(len(found)))]
        host.kill(name)
        host.start_command(name)

    return befall


def kill_bus(plant: Plant, _: np.random.Generator) -> None:
    """Kill the bus, and start it again with what it had stored."""
    plant.bus.kill()
    plant.bus.start()


def cut_sessions(plant: Plant, _: np.random.Generator) -> None:
    """Break off whatever is connected to the database."""
    with closing(open_store(plant.url)) as store, store.write() as connection:
        connection.exec_driver_sql(CUT)


def crash_database(plant: Plant, _: np.random.Generator) -> None:
    """Let the database end as a crash would, and start it again."""
    plant.server.stop(SIGQUIT)
    with suppress(ForetwinError):  # not there within 20 s on a busy machine: who needs it waits longer
        plant.server.start()


def take_host(in_silence: bool) -> Callable[[Plant, np.random.Generator], None]:
    """Take a host away for good, but never the last one: another comes for it once the fleet is scored without it."""

    def befall(plant: Plant, random: np.random.Generator) -> None:
        plant.ask_services()
        plant.bring_back()
        plant.wait_served()
        plant.hosts.pop(str(random.choice(sorted(plant.hosts)))).take_away(in_silence)

    return befall


Befall = Callable[[Plant, np.random.Generator], None]
KINDS: dict[str, tuple[Befall, int]] = {  # with its share of the draws
    "kill a worker": (kill_command("watch"), 35),
    "kill an ingesting process": (kill_command("ingest"), 15),
    "kill the bus": (kill_bus, 12),
    "cut the sessions": (cut_sessions, 10),
    "crash the database": (crash_database, 10),
    "kill a host": (take_host(in_silence=False), 9),
    "cut a host off": (take_host(in_silence=True), 9),
}
OF_HOSTS = ("kill a host", "cut a host off")  # where namespaces may be made


@contextmanager
def built_plant(root: Path, folder: Path, call: Mapping[str, Any], workers: int, is_whole: bool) -> Iterator[Plant]:
    """Build it for the time of the block, with so many workers on each host; the project `root` shares its champions.

    One that is not whole has no services, and a folder in the place of the object store.
    Where namespaces may not be made the commands of both hosts run on this machine, and no host can be taken away.
    """
    with ExitStack() as ending:
        try:
            ending.enter_context(network(ADDRESS))
            add_namespace(HOSTS[0], f"{SUBNET}.11", ADDRESS).remove()
            here, is_apart = ADDRESS, True
        except ForetwinError:
            here, is_apart = "127.0.0.1", False
        server = Postgres(host=here).start()
        ending.callback(server.remove)
        bus = NatsServer(folder / "bus", host=here).start()
        ending.callback(bus.kill)
        settings = {"FORETWIN_MODELS": (folder / "shared").as_uri()}
        if is_whole:
            objects = ObjectStore(folder / "objects.log", here).start()
            ending.callback(objects.stop)
            settings = {**objects.settings, "FORETWIN_MODELS": objects.place}
        key = make_key(folder / "keys.json", KeyRequest("plant", ("score",), 1e6), "", datetime.now(UTC))
        url = server.new_database("disturbed")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FORETWIN_", "MLFLOW_"))}
        told = kept | TELEMETRY_OFF | settings | {"OMP_NUM_THREADS": "1", "FORETWIN_STORE": url}
        told |= {"FORETWIN_KEYS": str(folder / "keys.json")}
        _publish(root, settings)

        def make_host(name: str) -> Host:
            number = HOSTS.index(name) + 11
            namespace = add_namespace(name, f"{SUBNET}.{number}", ADDRESS) if is_apart else None
            commands: dict[str, Sequence[str]] = {"ingest": ("ingest", bus.url)}
            commands |= {f"watch {worker}": ("watch", "--memory", "64") for worker in range(workers)}
            address, port = (namespace.address, PORT) if namespace else ("127.0.0.1", free_port())
            if is_whole:
                commands["serve"] = ("serve", "--host", address, "--port", str(port))
            own = {"BENTOML_HOME": str(folder / "bentos")}  # as an image that every host has
            served = f"http://{address}:{port}" if is_whole else ""
            return Host(folder / name, namespace, told | own, commands, folder / f"{name}.log", served)

        plant = Plant(server, bus, url, make_host, call, key)
        ending.callback(plant.end)
        plant.bring_back()
        yield plant


def possible_kinds(plant: Plant) -> dict[str, int]:
    """Return the kinds that this machine allows, with their shares."""
    is_apart = all(host.namespace for host in plant.hosts.values())
    return {name: share for name, (_, share) in KINDS.items() if is_apart or name not in OF_HOSTS}


def _publish(root: Path, settings: Mapping[str, str]) -> None:
    """Share the project's champions, as `foretwin promote` does with these settings."""
    with patch.dict(os.environ, settings):
        shared = SharedChampions(root, settings["FORETWIN_MODELS"])
        if wrong := [change["error"] for change in shared.publish() if change.get("error")]:
            raise ForetwinError(f"{shared.place}: {wrong[0]}")
