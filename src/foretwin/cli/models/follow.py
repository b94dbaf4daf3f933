"""Keep the champions that the registry names: `foretwin follow`."""

from functools import partial
from typing import TYPE_CHECKING

import click

from foretwin.cli.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from foretwin.registry.sync import Change

SETTINGS = {
    # A registry that is away is asked again by this command, so MLflow need not: its own attempts last minutes, in
    # which the command would not end.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    # A pooled connection would go on reading a local store that was removed and made again.
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


@click.command("follow")
@click.option("--every", metavar="SECONDS", type=click.FloatRange(0.1), help="Go on, with this pause between looks.")
def follow_command(every: float | None) -> None:
    """Keep the champions that the registry, or another host, names.

    What the alias `champion` names is fetched, verified and put into models/<twin>/champion/, from where running
    services and `foretwin watch` take it within seconds. `foretwin promote`, `foretwin rollback` and `dvc repro` do
    so themselves; this is for aliases that others move, on another machine or in MLflow.

    Where FORETWIN_MODELS names a place, a project with a registry publishes its champions there, and one without
    fetches them, with their contracts.

    With --every it runs until Ctrl-C or SIGTERM; a registry that does not answer is asked less and less often.

    \b
      foretwin follow
      MLFLOW_TRACKING_URI=https://mlflow.example.com foretwin follow --every 10
      FORETWIN_MODELS=s3://plant/models foretwin follow --every 10
    """
    import os

    from foretwin.cli.project import log_to_terminal, stop_on_signals
    from foretwin.errors import RegistryError
    from foretwin.operations.health.each_process import follow_state
    from foretwin.operations.health.endpoints import health_served
    from foretwin.registry.shared_champions import followed
    from foretwin.registry.sync import RegistryLooks, keep_following, told_of
    from foretwin.serving.http.tracing import traced_process

    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    look = followed(PROJECT)
    if every is not None:
        log_to_terminal()
        looks = RegistryLooks()
        with traced_process("foretwin-follow"), stop_on_signals() as stop, health_served(follow_state(looks)):
            click.echo(f"following the registry every {every:g} s; Ctrl-C ends it", err=True)
            keep_following(PROJECT, every, stop, looks, partial(_traced_look, look))
        return
    failed = []
    for change in look(PROJECT):
        if change.get("error"):
            failed.append(f"{change['twin']}: {change['error']}")
        else:
            click.echo(told_of(change))
    if failed:
        raise RegistryError("; ".join(failed))


def _traced_look(look: "Callable[[Path], Iterable[Change]]", root: "Path") -> "list[Change]":
    """Look once in a span, which is sent where champions came, or could not."""
    from foretwin.serving.http.tracing import work_span

    with work_span("look") as span:
        changes = list(look(root))
        for change in changes:
            if change.get("error"):
                span.fail(f"{change['twin']}: {change['error']}")
            else:
                span.note(**{str(change["twin"]): str(change["version"])})
        if not changes:
            span.drop()
    return changes
