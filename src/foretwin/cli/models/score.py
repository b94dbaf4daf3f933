"""Score every asset of a file: `foretwin score`."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foretwin.cli.project import PROJECT

if TYPE_CHECKING:
    from foretwin.cli.batch.remote_files import RemoteFile
    from foretwin.predictor.bundle import Bundle


class PathOrUrl(click.Path):
    """A path, checked as `click.Path` does, or a URL, which is not."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return it as text."""
        return value if "://" in value else super().convert(value, param, ctx)


@click.command("score")
@click.argument("files", metavar="FILES...", nargs=-1, required=True, type=PathOrUrl(exists=True))
@click.option("--twin", required=True, help="The twin whose champion scores.")
@click.option(
    "--out", type=PathOrUrl(dir_okay=False), help="Write a .csv or .parquet file, or send it to a URL, instead."
)
@click.option("--every", is_flag=True, help="Score every step, not the last one alone; with figures if labelled.")
@click.option("--candidate", is_flag=True, help="Score with the candidate, even if the gate refused it.")
def score_command(files: tuple[str, ...], twin: str, out: str | None, every: bool, candidate: bool) -> None:
    """Score every asset of a file, or of many.

    Each asset of FILES (CSV or Parquet) is scored for its last row, with the champion that is served.

    A file has the columns that the twin's source has, or the canonical ones: asset, time, and one per channel; an
    optional `run` tells lives apart. With --every each row is scored as it would have been when it came in, beside its
    true labels if the file has them.

    Several Parquet files, or a folder of them, are scored into --out, however many rows they have: memory is that of
    some 200,000. The rows of an asset may lie in several, in their order; labels are not looked at.

    FILES and --out may be URLs: s3:// (AWS_ENDPOINT_URL names another store; credentials are those of the environment),
    or what else fsspec reads. Of many files row groups are read in place; a single file is brought here first.

    \b
      foretwin score readings.csv --twin pump
      foretwin score readings.csv --twin pump --out scores.parquet
      foretwin score life.csv --twin pump --every --out course.csv
      foretwin score readings.csv --twin pump --candidate
      foretwin score archive/ --twin pump --every --out scores.parquet
      foretwin score s3://plant/archive --twin pump --out s3://plant/scores.csv
    """
    from foretwin.champion.refusal import refusal_of
    from foretwin.cli.batch.remote_files import brought, located, sent
    from foretwin.cli.models.scored_file import load_scorer
    from foretwin.project.paths import Paths
    from foretwin.sources.files.file_names import shown_path

    bundle = load_scorer(PROJECT, twin, candidate)
    refused = refusal_of(Paths(PROJECT, twin)) if candidate else None
    if refused:
        click.echo(f"note: scored by the candidate: {refused}", err=True)
    with sent(out) if out else nullcontext() as written:
        places = [located(file) for file in files]
        if len(places) > 1 or places[0].is_dir():
            figures, count = None, _score_many(bundle, places, written, every)
            unit = "scores"
        else:
            with brought(places[0]) as file:
                figures, count = _score_one(bundle, file, written, every)
            unit = "steps" if every else "assets"
    if out:
        click.echo(f"wrote {shown_path(out)}: {count} {unit}")
    if figures:
        from foretwin.cli.models.scored_steps import show_figures

        show_figures(bundle, figures, count)


def _score_many(bundle: "Bundle", places: "list[Path | RemoteFile]", out: Path | None, every: bool) -> int:
    """Score many files into one; return how many scores that are."""
    from foretwin.cli.batch.scored_folder import list_parquet, score_folder
    from foretwin.errors import BadInput

    if out is None:
        raise BadInput("--out", "is missing: of many files it names the one to write")
    return score_folder(bundle, list_parquet(places), out, every)


def _score_one(bundle: "Bundle", file: Path, out: Path | None, every: bool) -> tuple[dict[str, Any] | None, int]:
    """Score a file into another, or onto the terminal; return the figures if it has labels, and how many scores."""
    from foretwin.cli.models.scored_file import score_file, show_scores, write_scores

    if every:
        from foretwin.cli.models.scored_steps import score_steps

        scores, figures = score_steps(bundle, file)
    else:
        scores, figures = score_file(bundle, file), None
    if out:
        write_scores(scores, out)
    else:
        show_scores(scores, urgent_first=not every)
    return figures, len(scores)
