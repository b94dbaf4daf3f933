"""Try a challenger on live traffic, in shadow or as a pilot: `foretwin trial`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from foretwin.cli.project import PROJECT

if TYPE_CHECKING:
    from foretwin.champion.identity import ModelIdentity
    from foretwin.twin.store.scoring.shadow import Comparison, Disagreement


@click.group("trial")
def trial_command() -> None:
    """Try a registered version next to the champion.

    On the readings that come in: `foretwin watch` asks the candidate about the same windows after the champion. In
    shadow nothing follows from its answers. As a pilot it answers for the assets that are named, and their cases are
    decided by that. The scoring service is not touched.

    \b
      foretwin trial start pump --version 7
      foretwin trial show pump
      foretwin trial start pump --version 7 --assets P-017,P-018
      foretwin trial end pump
    """


@trial_command.command("start")
@click.argument("twin")
@click.option("--version", "number", required=True, help="Of the registered model foretwin-TWIN.")
@click.option("--assets", metavar="A,B | @FILE", help="A pilot on these; a file has one name in each line.")
def trial_start(twin: str, number: str, assets: str | None) -> None:
    """Begin a trial, in place of any other of the twin.

    In shadow unless assets are named.

    \b
      foretwin trial start pump --version 7 --assets @pilot.txt
    """
    from foretwin.champion.challenger import PILOT, SHADOW, keep_trial
    from foretwin.cli.project import contract_named, load_project
    from foretwin.project.paths import Paths

    contract_named(load_project(), twin)
    names = None if assets is None else _known(twin, _names(assets))
    identity, bundle = _registered(twin, number)
    keep_trial(Paths(PROJECT, twin), bundle, identity, SHADOW if names is None else PILOT, names)
    if names is None:
        click.echo(f"version {number} scores in shadow beside the champion of {twin}")
    else:
        click.echo(f"version {number} answers for {len(names)} assets of {twin}, the champion for all others")
    click.echo(f"  `foretwin watch` takes it up by itself; `foretwin trial show {twin}` compares the two")


@trial_command.command("show")
@click.argument("twin")
def trial_show(twin: str) -> None:
    """Show a trial and the comparison since it began.

    Differences are what was said beside the score less the score that counts, in the contract's unit; errors are known
    of runs that have ended in a failure since.

    \b
      foretwin trial show pump
    """
    from datetime import UTC, datetime

    from foretwin.champion.challenger import load_trial
    from foretwin.cli import tables
    from foretwin.cli.project import contract_named, load_project, opened_store
    from foretwin.twin.store.scoring.shadow import comparison

    contract, found = contract_named(load_project(), twin), load_trial(PROJECT, twin)
    if found is None:
        click.echo(f"{twin} has no trial; `foretwin trial start {twin} --version NUMBER` begins one")
        return
    extent = "in shadow" if found.assets is None else f"answers for {len(found.assets)} assets"
    click.echo(f"{twin}: version {found.identity.version} {extent} since {tables.cell(found.since)} UTC")
    cap = contract.rul.cap if contract.rul else None
    with opened_store() as store, store.read() as connection:
        compared = comparison(connection, twin, found.since, datetime.now(UTC), cap)
    mine = [one for one in compared if found.identity.digest in (one.served.digest, one.beside.digest)]
    unit = contract.clock.unit
    columns = (
        "served",
        "beside",
        "scores",
        "assets",
        f"RUL: mean ({unit})",
        "5 % to 95 %",
        "diagnosis differs",
        "errors",
    )
    tables.show_table(columns, [_row(one) for one in mine], "" if mine else "nothing has been scored by both yet")
    largest = [(one.beside.version, *_disagreement(each)) for one in mine for each in one.largest]
    if largest:
        tables.show_table(("beside", "asset", "scores", f"RUL differs by ({unit})", "diagnosis differs"), largest)


@trial_command.command("end")
@click.argument("twin")
def trial_end(twin: str) -> None:
    """End a trial; the champion serves every asset again.

    What the candidate said stays in the store.

    \b
      foretwin trial end pump
    """
    from foretwin.champion.challenger import end_trial
    from foretwin.cli.project import contract_named, load_project
    from foretwin.errors import NotFound
    from foretwin.project.paths import Paths

    contract_named(load_project(), twin)
    if not end_trial(Paths(PROJECT, twin)):
        raise NotFound("twin", f"{twin} has no trial that could be ended")
    click.echo(f"the trial of {twin} is over")


def _names(text: str) -> list[str]:
    """Return the assets of --assets, each once; BadInput where there is none."""
    from foretwin.errors import BadInput

    if text.startswith("@"):
        try:
            parts = Path(text[1:]).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput("--assets", f"{text[1:]} cannot be read: {error}") from None
    else:
        parts = text.split(",")
    names = list(dict.fromkeys(part.strip() for part in parts if part.strip()))
    if not names:
        raise BadInput("--assets", "names no asset; leave it out for a trial in shadow")
    return names


def _known(twin: str, names: list[str]) -> list[str]:
    """Return the names; NotFound for the first that is no asset of the twin."""
    from foretwin.cli.project import opened_store
    from foretwin.errors import NotFound
    from foretwin.twin.store import assets

    with opened_store() as store, store.read() as connection:
        found = assets.find_all(connection, names)
    for name in names:
        if name not in found or found[name].twin != twin:
            raise NotFound("--assets", f"{name!r} is no asset of {twin}; `foretwin twins --twin {twin}` lists them")
    return names


def _registered(twin: str, number: str) -> "tuple[ModelIdentity, Path]":
    """Return a registered version and its bundle; RegistryError where there is no such version."""
    from foretwin.champion.identity import ModelIdentity
    from foretwin.errors import RegistryError
    from foretwin.registry.locations import BUNDLE, model_name
    from foretwin.registry.tracking_store import connect_mlflow, mlflow_errors
    from foretwin.registry.versions import bundle_folder, numbered

    name = model_name(twin)
    with mlflow_errors():
        client = connect_mlflow(PROJECT)
        versions = numbered(client, twin)
        found = versions.get(number)
        if found is None:
            there = ", ".join(versions) or "none"
            raise RegistryError(f"{name} version {number}: is not registered; there is {there}")
        folder = bundle_folder(client, PROJECT, twin, found)
    return ModelIdentity(name, number, str(found.run_id), found.tags[BUNDLE]), folder


def _row(one: "Comparison") -> tuple[object, ...]:
    spread = one.rul_percentiles
    errors = one.realised
    return (
        one.served.version,
        one.beside.version,
        one.scores,
        one.assets,
        one.rul_mean,
        f"{spread[5]:.4g} to {spread[95]:.4g}" if spread else "",
        _share(one.diagnoses_differ),
        f"{errors.served:.4g} served, {errors.beside:.4g} beside, {errors.runs} runs" if errors else "",
    )


def _disagreement(one: "Disagreement") -> tuple[object, ...]:
    return one.asset, one.scores, one.rul, _share(one.diagnosis)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
