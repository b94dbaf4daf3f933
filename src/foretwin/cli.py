"""The `foretwin` command. Each sub-command imports what it needs when it runs, so that `--help` answers at once."""

from pathlib import Path

import click

from foretwin.cli_bento import bento
from foretwin.cli_keys import keys
from foretwin.cli_life import COMMANDS as LIFE
from foretwin.cli_trial import trial
from foretwin.cli_twin import COMMANDS
from foretwin.edge import exit_on_error, switch_telemetry_off
from foretwin.lineage.command import lineage

PROJECT = Path()


class Command(click.Group):
    """A group whose deliberate errors are one line, unless --debug asks for the traceback."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the sub-command at the edge."""
        switch_telemetry_off()
        with exit_on_error(debug=bool(ctx.params.get("debug"))):
            return super().invoke(ctx)


@click.group(cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="foretwin")
def main(debug: bool) -> None:
    """A digital twin of every machine: how long it has left, what is failing, how sure that is, what to do.

    Run it in the project's folder. A first tour:

    \b
      dvc repro                          build the twins that params.yaml lists
      foretwin summary                   their figures, and where the reports lie
      foretwin score FILE --twin pump    score the machines of a CSV or Parquet file
      foretwin explain FILE --twin pump --asset NAME
                                         why one of them is scored as it is
      foretwin serve --open              the scoring service on port 3000, for this machine alone
      foretwin keys new NAME --scope score
                                         a key for others
      foretwin new press press.csv       a twin of your own machine

    The living twin, each line in a terminal of its own:

    \b
      foretwin live --open               readings in, twins and cases out, on port 3100
      foretwin watch                     score what comes in, open and close cases
      foretwin replay pump --assets 20 --speed 10 --http http://127.0.0.1:3100
                                         a fleet to watch
      foretwin twins                     the fleet, the shortest remaining life first
      foretwin cases                     what to do something about

    The life of its model:

    \b
      foretwin monitor pump              have readings or errors left what the model was trained on?
      foretwin retrain pump              learn from what technicians found; the gate decides
      foretwin rollback pump --reason "false alarms"
                                         the former champion, in every running service
      foretwin lineage pump              what it was made of; of an asset or a file, what was made of them
      foretwin kpis                      what was foreseen, missed and saved
    """


for _command in (*COMMANDS, *LIFE, trial, lineage, bento, keys):
    main.add_command(_command)


@main.command()
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def new(name: str, file: Path) -> None:
    """Write a first contract for a machine.

    Looks at FILE (CSV or Parquet) and writes data/NAME/twin.yaml.

    Asset, time, failure and channels are guessed from names and content, with a comment at each guess: correct them by
    hand, then `foretwin add NAME` and `dvc repro`.
    """
    from foretwin.config import Paths, fresh_file
    from foretwin.errors import ContractError
    from foretwin.scaffold import describe

    path = Paths(PROJECT, name).contract
    if path.exists():
        raise ContractError(f"{path}: is there already; edit it, or remove it and run this again")
    text = describe(name, file.resolve())
    with fresh_file(path) as out:
        out.write_text(text, encoding="utf-8")
    click.echo(f"wrote {path}: correct what is marked as guessed, then\n  foretwin add {name}\n  dvc repro")


@main.command()
@click.argument("names", nargs=-1, required=True)
def add(names: tuple[str, ...]) -> None:
    """Put twins on the list in params.yaml.

    `dvc repro` builds what that list names.

    \b
      foretwin add cmapss-fd001
      dvc repro
    """
    from foretwin.config import Paths, add_twins

    for name in names:
        Paths(PROJECT, name).load_contract()
    listed = add_twins(PROJECT / "params.yaml", names)
    click.echo(f"params.yaml lists {', '.join(listed)}; `dvc repro` builds them")


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--twin", required=True, help="The twin whose champion scores.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write a .csv or .parquet file instead.")
def score(file: Path, twin: str, out: Path | None) -> None:
    """Score every asset of a file.

    Each asset of FILE (CSV or Parquet) is scored for its last row, with the champion that is served.

    FILE has the columns that the twin's source has, or the canonical ones: asset, time, and one per channel; an
    optional `run` tells lives apart.
    """
    from foretwin.batch import score_file, show_scores, write_scores

    scores = score_file(PROJECT, twin, file)
    if out:
        write_scores(scores, out)
        click.echo(f"wrote {out}: {len(scores)} assets")
    else:
        show_scores(scores)


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--twin", required=True, help="The twin whose champion is asked.")
@click.option("--asset", required=True, help="The asset of FILE whose score is explained.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Draw the contributions as a .png too.")
def explain(file: Path, twin: str, asset: str, out: Path | None) -> None:
    """Explain the score of one asset.

    Shows how far each channel moves the remaining life, and the probability of the leading fault, from what a healthy
    machine in the same operation would get. FILE is as for `foretwin score`.
    """
    from foretwin.batch import explain_asset, show_explanation
    from foretwin.errors import BadInput

    if out and out.suffix != ".png":
        raise BadInput("--out", f"{out} does not end in .png")
    contract, explanation = explain_asset(PROJECT, twin, file, asset)
    show_explanation(explanation)
    if out:
        from foretwin.config import fresh_file
        from foretwin.plots import contributions

        with fresh_file(out) as temporary:
            contributions(contract, explanation, temporary)
        click.echo(f"wrote {out}")


@main.command()
@click.argument("twins", nargs=-1, required=True)
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(1, 100), help="How many seeds to train.")
def benchmark(twins: tuple[str, ...], seeds: int) -> None:
    """Measure twins by the protocol of docs/benchmarks.md.

    For each twin: the stages up to the choice of hyper-parameters, then one model per seed, their ensemble and the
    baselines, measured on held-out assets that are opened at the very end. Writes reports/benchmarks/TWIN.json, the
    choice beside it, and pictures. A twin that params.yaml does not list is put on its list.

    \b
      foretwin benchmark cmapss-fd001
      make docs                          put the figures into docs/benchmarks.md
    """
    from foretwin.benchmark import run

    for twin in twins:
        click.echo(f"wrote {run(PROJECT, twin, range(1, seeds + 1))}")


@main.command()
def summary() -> None:
    """Show figures, champions and reports.

    Those of the twins that params.yaml lists, and what to try next.
    """
    from foretwin.config import load_params
    from foretwin.summary import print_summary

    print_summary(PROJECT, load_params(PROJECT / "params.yaml").twins)


@main.command()
def publish() -> None:
    """Make MLflow show what DVC holds.

    Runs, trials, versions and the champion of each twin that params.yaml lists.

    Needed after `dvc pull` or in a copy of the project, where the results are there and the tracking store is not. What
    is there already stays.
    """
    from foretwin.config import load_params
    from foretwin.registry import publish as publish_twins

    publish_twins(PROJECT, load_params(PROJECT / "params.yaml").twins)


@main.command()
@click.option("--port", default=3000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 is every interface; it needs keys.")
@click.option("--open", "open_", is_flag=True, help="No keys, for callers on this machine alone.")
def serve(port: int, host: str, open_: bool) -> None:
    """Serve the champions of all twins.

    POST /v1/score, POST /v1/explain, GET /v1/models, /openapi.json, /metrics. New champions take over while it runs.

    Callers show a key, unless --open.

    \b
      foretwin serve --open
      export FORETWIN_KEY=$(foretwin keys new planning --scope score)
      foretwin serve --host 0.0.0.0
    """
    from foretwin.packaging import serve as serve_bento

    serve_bento(PROJECT, port, host, open_)


if __name__ == "__main__":
    main()
