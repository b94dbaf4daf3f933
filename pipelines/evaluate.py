"""Stage evaluate: measure the bundle and the baselines on held-out assets; write figures, plots and a page."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from foretwin.contract.twin import Twin
from foretwin.dataset.labels.taught import load_taught, read_lacking
from foretwin.dataset.splits import Development
from foretwin.dataset.table import read_rows
from foretwin.dataset.windows import Histories, last_rows
from foretwin.evaluation.baselines import FLOORS, fit_baselines
from foretwin.evaluation.candidates import (
    CANDIDATE,
    compare_models,
    judgements_of,
    load_candidates,
    read_blend_record,
)
from foretwin.evaluation.failure_figures import failure_figures
from foretwin.evaluation.held_out import (
    HeldOut,
    Predictions,
    Truth,
    along_run,
    figures,
    figures_of,
    predictions_of,
    write_baselines,
)
from foretwin.evaluation.plots import draw_all, predictions_table
from foretwin.evaluation.report import SERVED, figures_table, headlines, write_page
from foretwin.predictor.bundle import Bundle
from foretwin.project.entrypoint import run_stage
from foretwin.project.files import fresh, fresh_file
from foretwin.project.json import strict_json
from foretwin.project.params import load_params
from foretwin.project.paths import Paths
from foretwin.project.timings import write_timings


def main(twin: str, root: Path = Path()) -> None:
    """Read data/<twin>/windows/ and the bundle, write models/<twin>/: figures, plots, report, baselines."""
    started = datetime.now(UTC)
    paths = Paths(root, twin)
    contract = load_taught(paths)
    params = load_params(paths.params, twin)
    bundle = Bundle.load(paths.models / "bundle")
    test_rows = read_rows(paths.windows / "test.parquet", contract)
    truth, scores = Truth.of(test_rows, contract), bundle.score(test_rows)

    windows = Histories.from_rows(test_rows, contract).cut(last_rows(test_rows), contract.window.length)
    development = Development.load(paths.windows, contract, params.prepare)
    candidates = load_candidates(paths.models / "candidates")
    # What is a candidate of the blend is measured as such, and no baseline too.
    asked = {*FLOORS, *params.promote.must_beat} - {*candidates}
    baselines = fit_baselines(development, windows, contract, params.train.seeds[0], asked)
    judged = judgements_of(bundle, candidates)
    said_by = {name: one.score(test_rows) for name, one in judged.items()}
    metrics: dict[str, Any] = {
        "twin": twin,
        "bundle": bundle.digest,
        "assets": int(scores["asset"].str.rpartition("@")[0].nunique()),
        "cuts": len(scores),
        "unit": contract.clock.unit,
        "network": figures_of(bundle, scores, truth),
        "baselines": {name: figures(contract, truth, one.rul, one.faults) for name, one in baselines.items()},
    }
    if lacking := read_lacking(paths):
        metrics["untaught"] = lacking
    failing = failure_figures(contract, development, test_rows, scores)
    if failing:
        metrics["network"]["rul"]["failure"] = failing
    if candidates:
        metrics["candidates"] = {name: figures_of(one, said_by[name], truth) for name, one in judged.items()}
        metrics["blend"] = read_blend_record(paths.models / "candidates")
    said = {
        name: Predictions(one.rul, dict(zip(contract.axes, one.faults, strict=True))) for name, one in baselines.items()
    }
    said |= {f"{CANDIDATE}{name}": predictions_of(judged[name], scored) for name, scored in said_by.items()}
    everyone = {SERVED: predictions_of(bundle, scores), **said}
    metrics["comparison"] = compare_models(contract, HeldOut.of(test_rows, bundle), everyone)
    with fresh_file(paths.models / "baselines.parquet") as out:
        write_baselines(said, scores, out)
    example = along_run(bundle, read_rows(paths.windows / "example.parquet", contract))
    _write_pages(paths, contract, metrics, Told(scores, truth, example))
    spent = {name: round(one.seconds, 1) for name, one in baselines.items()}
    write_timings(paths.models / "evaluation.json", "evaluate", started, {"seconds": spent})
    for row in figures_table(metrics, contract):
        print(f"evaluate {twin}: " + "  ".join(f"{cell:>18}" for cell in row))


class Told(NamedTuple):
    """What the bundle says of the held-out cuts, with their truth, and along the example run."""

    scores: pd.DataFrame
    truth: Truth
    example: pd.DataFrame | None


def _write_pages(paths: Paths, contract: Twin, metrics: dict[str, Any], told: Told) -> None:
    """Write plots, predictions.csv, report.html, evaluation.json, and of that the headlines as metrics.json."""
    with fresh(paths.models / "plots") as out:
        draw_all(contract, told.scores, told.truth, told.example, out)
    with fresh_file(paths.models / "predictions.csv") as out:
        predictions_table(contract, told.scores, told.truth).to_csv(out, index=False)
    with fresh_file(paths.models / "report.html") as out:
        write_page(contract, metrics, paths.models / "plots", out)
    for name, content in {"evaluation.json": metrics, "metrics.json": headlines(metrics)}.items():
        with fresh_file(paths.models / name) as out:
            out.write_text(strict_json(content, indent=1) + "\n")


if __name__ == "__main__":
    run_stage(main)
