"""Score every asset of a file: `foretwin score`."""

from pathlib import Path

import click

from foretwin.cli.project import PROJECT


@click.command("score")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--twin", required=True, help="The twin whose champion scores.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write a .csv or .parquet file instead.")
def score_command(file: Path, twin: str, out: Path | None) -> None:
    """Score every asset of a file.

    Each asset of FILE (CSV or Parquet) is scored for its last row, with the champion that is served.

    FILE has the columns that the twin's source has, or the canonical ones: asset, time, and one per channel; an
    optional `run` tells lives apart.

    \b
      foretwin score readings.csv --twin pump
      foretwin score readings.csv --twin pump --out scores.parquet
    """
    from foretwin.cli.models.scored_file import score_file, show_scores, write_scores

    scores = score_file(PROJECT, twin, file)
    if out:
        write_scores(scores, out)
        click.echo(f"wrote {out}: {len(scores)} assets")
    else:
        show_scores(scores)
