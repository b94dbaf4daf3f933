"""Try to break the scoring service, at length; what held goes to reports/fuzz.json and reports/soak.json.

    python -m benchmarks.reliability.soak.run fuzz --bodies 20000 --seed 1    broken and hostile calls
    python -m benchmarks.reliability.soak.run serve --minutes 10              load, a champion swapped every 20 seconds

The service is the real one, a process on loopback, with untrained networks for the shipped contracts.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import click

from benchmarks.reliability.fuzz.send import fuzz
from benchmarks.reliability.soak.project import make_project, register, save_untrained, served
from benchmarks.reliability.soak.serve import Load, serve
from foretwin.contract.twin import Twin
from foretwin.errors import ForetwinError
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths
from foretwin.training.ensemble import environment

FUZZED = ("pump", "hydraulic", "cmapss-fd001")
SWAPPED = {"folder": "pump", "alias": "cmapss-fd001"}
EVERY = 20  # s between two swaps


@click.group()
def main() -> None:
    """Try to break the scoring service, at length."""


@main.command("fuzz")
@click.option("--bodies", default=20_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
def fuzz_command(bodies: int, seed: int) -> None:
    """Send it broken and hostile calls."""
    contracts = [contract(name) for name in FUZZED]
    with tempfile.TemporaryDirectory() as folder:
        make_project(Path(folder), contracts, save_untrained)
        with served(Path(folder)) as service:
            write("fuzz", fuzz(service.port, service.process.pid, contracts, (bodies, seed), service.headers))


@main.command("serve")
@click.option("--minutes", default=10.0, show_default=True)
def serve_command(minutes: float) -> None:
    """Load it at 70 % of its peak while its champions are swapped."""
    swapped = {how: contract(name) for how, name in SWAPPED.items()}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_project(root, list(swapped.values()), save_untrained)
        register(root, SWAPPED["alias"])
        with served(root) as service:
            write("soak", serve(root, service, swapped, Load(60 * minutes, EVERY)))


def contract(name: str) -> Twin:
    """A contract of this project."""
    return Paths(Path(), name).load_contract()


def write(name: str, result: dict[str, Any]) -> None:
    """Keep the figures; ForetwinError where the service did not hold."""
    result = {"machine": environment() | {"cores": str(os.cpu_count())}} | result
    with fresh_file(Path("reports") / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    if result["complaints"]:
        raise ForetwinError(f"the service did not hold: {result['complaints'][0]}")


if __name__ == "__main__":
    with exit_on_error():
        main(standalone_mode=False)
