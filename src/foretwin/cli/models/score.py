"""Score every asset of a file: `foretwin score`."""

from pathlib import Path

import click

from foretwin.cli.project import PROJECT


@click.command("score")
@click.argument("files", metavar="FILES...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--twin", required=True, help="The twin whose champion scores.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write a .csv or .parquet file instead.")
@click.option("--every", is_flag=True, help="Score every step, not the last one alone; with figures if labelled.")
@click.option("--candidate", is_flag=True, help="Score with the candidate, even if the gate refused it.")
def score_command(files: tuple[Path, ...], twin: str, out: Path | None, every: bool, candidate: bool) -> None:
    """Score every asset of a file, or of many.

    Each asset of FILES (CSV or Parquet) is scored for its last row, with the champion that is served.

    A file has the columns that the twin's source has, or the canonical ones: asset, time, and one per channel; an
    optional `run` tells lives apart. With --every each row is scored as it would have been when it came in, beside its
    true labels if the file has them.

    Several Parquet files, or a folder of them, are scored into --out, however many rows they have: memory is that of
    some 200,000. The rows of an asset may lie in several, in their order; labels are not looked at.

    \b
      foretwin score readings.csv --twin pump
      foretwin score readings.csv --twin pump --out scores.parquet
      foretwin score life.csv --twin pump --every --out course.csv
      foretwin score readings.csv --twin pump --candidate
      foretwin score archive/ --twin pump --every --out scores.parquet
    """
    from foretwin.champion.refusal import refusal_of
    from foretwin.cli.batch.scored_folder import list_parquet, score_folder
    from foretwin.cli.models.scored_file import load_scorer, score_file, show_scores, write_scores
    from foretwin.errors import BadInput
    from foretwin.project.paths import Paths

    bundle = load_scorer(PROJECT, twin, candidate)
    refused = refusal_of(Paths(PROJECT, twin)) if candidate else None
    if refused:
        click.echo(f"note: scored by the candidate: {refused}", err=True)
    file = files[0]
    if len(files) > 1 or file.is_dir():
        if out is None:
            raise BadInput("--out", "is missing: of many files it names the one to write")
        count = score_folder(bundle, list_parquet(files), out, every)
        click.echo(f"wrote {out}: {count} scores")
        return
    if every:
        from foretwin.cli.models.scored_steps import score_steps, show_figures

        scores, figures = score_steps(bundle, file)
    else:
        scores, figures = score_file(bundle, file), None
    if out:
        write_scores(scores, out)
        click.echo(f"wrote {out}: {len(scores)} {'steps' if every else 'assets'}")
    else:
        show_scores(scores, urgent_first=not every)
    if figures:
        show_figures(bundle, figures, len(scores))
