"""Measure twins by the protocol of the benchmarks: `foretwin benchmark`."""

import os

import click

from foretwin.cli.project import PROJECT
from foretwin.project.entrypoint import KERNELS


@click.command("benchmark")
@click.argument("twins", nargs=-1, required=True)
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(1, 100), help="How many seeds to train.")
def benchmark_command(twins: tuple[str, ...], seeds: int) -> None:
    """Measure twins by the protocol of docs/benchmarks.md.

    For each twin: the stages up to the choice of hyper-parameters, then one model per seed, their ensemble and the
    baselines, measured on held-out assets that are opened at the very end. Writes reports/benchmarks/TWIN.json, the
    choice beside it, and pictures. A twin that params.yaml does not list is put on its list.

    \b
      foretwin benchmark cmapss-fd001
      make docs                          put the figures into docs/benchmarks.md
    """
    os.environ.update(KERNELS)  # before anything is imported that looks at them
    from foretwin.evaluation.benchmark.plan import run

    for twin in twins:
        click.echo(f"wrote {run(PROJECT, twin, range(1, seeds + 1))}")
