"""Commands of the living twin: what runs, what shows, what acts.

Each command imports what it needs when it runs, so that `foretwin --help` answers at once.
"""

import click

from foretwin.cli_twin.acting import acknowledge, erase, export, history, verdict, what_if
from foretwin.cli_twin.kpis import kpis
from foretwin.cli_twin.monitoring import monitor
from foretwin.cli_twin.running import ingest, live, replay, watch
from foretwin.cli_twin.showing import case, cases, deliveries, quarantine, thread, twins

COMMANDS: tuple[click.Command, ...] = (
    ingest,
    watch,
    live,
    replay,
    twins,
    thread,
    cases,
    case,
    acknowledge,
    verdict,
    what_if,
    history,
    export,
    erase,
    quarantine,
    deliveries,
    monitor,
    kpis,
)
