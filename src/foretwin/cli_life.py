"""Commands of a model's life: training again, promoting past the gate, rolling back, and what was decided."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from foretwin.ledger import Entry

PROJECT = Path()


@click.command()
@click.argument("twin")
@click.option("--if-drifted", is_flag=True, help="Only where the last report of `foretwin monitor` asks for it.")
def retrain(twin: str, if_drifted: bool) -> None:
    """Train again with what verdicts have taught since.

    Exports the history as `foretwin history` does, runs `dvc repro` for this twin, and ends at the gate: the candidate
    becomes champion only if the gate promotes it, and running services take it then. For a schedule: exit code 0 is
    also a refusal, and that there is nothing new.

    \b
      foretwin retrain pump
      foretwin monitor pump && foretwin retrain pump --if-drifted
    """
    from datetime import UTC, datetime

    from foretwin.cli_twin.project import contract_named, load_project, opened_store
    from foretwin.retraining import retrain as run
    from foretwin.retraining import why_not

    contract_named(load_project(), twin)
    reason = why_not(PROJECT, twin) if if_drifted else None
    if reason:
        click.echo(f"retrain {twin}: nothing done: {reason}")
        return
    with opened_store() as store:
        done = run(PROJECT, store, twin, datetime.now(UTC))
    if done.history is not None:
        version = "as before" if done.history.digest == done.history_before else done.history.digest[:12]
        click.echo(f"retrain {twin}: history of {done.history.runs} runs of {done.history.assets} assets, {version}")
    now = f"; version {done.champion} is the champion" if done.champion else ""
    candidate = "" if done.decision == "nothing new" else f"version {done.version} "
    click.echo(f"retrain {twin}: {candidate}{done.decision}{now}")
    for sentence in done.reasons:
        click.echo(f"retrain {twin}: {sentence}")


@click.command()
@click.argument("twin")
@click.option("--force", "reason", required=True, metavar="REASON", help="Why; the ledger and the registry keep it.")
def promote(twin: str, reason: str) -> None:
    """Make the present candidate champion against the gate.

    `dvc repro` promotes what passes the gate; this promotes what it refused. The gate's checks stay visible beside the
    reason, in promotion.json, on the version's page and in the ledger. A damaged bundle is not promoted.

    \b
      foretwin promote pump --force "the flow sensor was exchanged, the old model cannot be fed"
    """
    from foretwin.cli_twin.project import contract_named, load_project, person
    from foretwin.config import Paths, load_params
    from foretwin.evaluation import predict
    from foretwin.registry import promote as decide

    contract_named(load_project(), twin)
    paths = Paths(PROJECT, twin)
    verdict = decide(paths, load_params(paths.params), predict, force=reason, actor=person())
    click.echo(f"promote {twin}: version {verdict['version']} is champion by force: {verdict['forced']}")
    _record(twin, "promote", "package", "publish")


@click.command()
@click.argument("twin")
@click.option("--reason", required=True, metavar="TEXT", help="Why; the ledger and the registry keep it.")
@click.option("--to", metavar="VERSION", help="A former champion, instead of the one before the present one.")
def rollback(twin: str, reason: str, to: str | None) -> None:
    """Put the previous champion back.

    The registry's alias moves, and running services take the former champion as they would a new one. Done twice, it is
    the champion before that. The gate does not promote again what was rolled back.

    \b
      foretwin rollback pump --reason "false alarms on the night shift"
      foretwin rollback pump --to 3 --reason "the last one that knew the old impellers"
    """
    from foretwin.cli_twin.project import contract_named, load_project, person
    from foretwin.registry.rollback import rollback as put_back

    contract_named(load_project(), twin)
    champion = put_back(PROJECT, twin, reason, person(), to)
    click.echo(f"rollback {twin}: {champion.name} version {champion.version} is the champion again")
    _record(twin, "package", "publish")


@click.command()
@click.argument("twin")
def ledger(twin: str) -> None:
    """Show what was decided about a twin's champions, the newest last.

    Fails where a line of models/TWIN/ledger.jsonl was changed or taken out.

    \b
      foretwin ledger pump
    """
    from foretwin.cli_twin.project import contract_named, load_project
    from foretwin.cli_twin.tables import show
    from foretwin.config import Paths
    from foretwin.ledger import read

    contract_named(load_project(), twin)
    decisions = read(Paths(PROJECT, twin).ledger)
    rows = [
        (
            one.at,
            one.version,
            one.action.replace("_", " "),
            f"{one.champion_before or 'none'} to {one.champion}"
            if one.champion_before != one.champion
            else one.champion,
            one.actor,
            _why(one),
        )
        for one in decisions
    ]
    advice = "" if rows else f"nothing was decided about {twin} yet; `dvc repro` puts a candidate to the gate"
    show(("when", "version", "decision", "champion", "by", "why"), rows, advice)


def _why(one: "Entry") -> str:
    """What a person gave as the reason; else why it was refused, or how it stands against the champion before."""
    if one.reason:
        return one.reason
    against = [sentence for sentence in one.reasons if "champion" in sentence]
    return "\n".join(one.reasons if one.action == "refused" else against or one.reasons)


def _record(twin: str, *stages: str) -> None:
    """Let DVC's records name the champion that there is now; where that fails it is said, for what was done stays."""
    from foretwin.retraining import record

    trouble = record(PROJECT, twin, *stages)
    if trouble:
        click.echo(f"DVC's records still name the champion before: {trouble}; then `dvc repro`", err=True)


COMMANDS: tuple[click.Command, ...] = (retrain, promote, rollback, ledger)
