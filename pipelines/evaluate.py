"""Stage evaluate: the bundle and the baselines on held-out assets, as figures, pictures and a page."""

import json
from pathlib import Path

import pandas as pd

from foretwin.baselines import fit_and_predict
from foretwin.bundle import Bundle
from foretwin.config import Paths, fresh, fresh_file, load_params
from foretwin.contract import Twin
from foretwin.edge import run_stage
from foretwin.evaluation import Truth, figures, figures_of
from foretwin.plots import draw_all, predictions_table
from foretwin.report import figures_table, write_page
from foretwin.rows import read_rows
from foretwin.splits import Development
from foretwin.windows import Histories, last_rows, truncate


def main(twin: str, root: Path = Path()) -> None:
    """Read data/<twin>/windows/ and the bundle, write models/<twin>/metrics.json, plots/ and report.html."""
    paths = Paths(root, twin)
    contract = paths.load_contract()
    params = load_params(paths.params)
    bundle = Bundle.load(paths.models / "bundle")
    test_rows = read_rows(paths.windows / "test.parquet", contract)
    truth, scores = Truth.of(test_rows, contract), bundle.score(test_rows)

    windows = Histories.from_rows(test_rows, contract).cut(last_rows(test_rows), contract.window.length)
    development = Development.load(paths.windows, contract, params.prepare)
    baselines = fit_and_predict(development, windows, contract, params.train.seed)
    metrics = {
        "twin": twin,
        "bundle": bundle.digest,
        "assets": int(scores["asset"].str.rpartition("@")[0].nunique()),
        "cuts": len(scores),
        "unit": contract.clock.unit,
        "network": figures_of(bundle, scores, truth),
        "baselines": {name: figures(contract, truth, *predicted) for name, predicted in baselines.items()},
    }
    with fresh(paths.models / "plots") as out:
        example = along_run(bundle, contract, read_rows(paths.windows / "example.parquet", contract))
        draw_all(contract, scores, truth, example, out)
    with fresh_file(paths.models / "predictions.csv") as out:
        predictions_table(contract, scores, truth).to_csv(out, index=False)
    with fresh_file(paths.models / "report.html") as out:
        write_page(contract, metrics, paths.models / "plots", out)
    with fresh_file(paths.models / "metrics.json") as out:
        out.write_text(json.dumps(metrics, indent=1))
    for row in figures_table(metrics, contract):
        print(f"evaluate {twin}: " + "  ".join(f"{cell:>18}" for cell in row))


def along_run(bundle: Bundle, contract: Twin, rows: pd.DataFrame) -> pd.DataFrame | None:
    """The score at each row of one run, with the truth as `true_rul`; None where the run's RUL is unknown."""
    if contract.rul is None or rows["rul"].isna().all():
        return None
    ends = Histories.from_rows(rows, contract).ends(contract.window.shortest)
    scores = bundle.score(truncate(rows, ends, contract.window.length))
    return scores.assign(true_rul=rows["rul"].to_numpy()[ends])


if __name__ == "__main__":
    run_stage(main)
