"""What the pump's champion and its parts are worth in cases: failures caught in time, false alarms, cost.

    python -m benchmarks.accuracy.cases [--fleets 20]

Needs a project whose pump is built (`make run`). Fresh fleets of pumps of other seeds are followed hour by hour until
they fail, and cases open, merge and close by the rules of the living twin. A failure is caught where a case had been
open for the longest lead time of the contract, or longer. An alarm is false that began more than two such lead times
before the end. A caught failure costs a planned repair, another one a failure, a false alarm an inspection, by the
contract's prices. Figures are means over the fleets with their 95 % intervals; beside the models stand a case from the
first hour on, and none at all. Writes reports/cases.json.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from benchmarks.accuracy.censoring import lives
from benchmarks.accuracy.followed_cases import YEAR, Alarms, followed
from benchmarks.accuracy.intervals import mean_interval
from foretwin.contract.lead_times import longest_lead_time
from foretwin.contract.twin import Twin
from foretwin.predictor.bundle import Bundle
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.paths import Paths

FLEETS, PUMPS, SEED = 20, 30, 8007
FIGURES = ("caught_a_lead_time_ahead", "false_alarms_per_machine_year", "median_warning", "cost_per_failure")


def main(fleets: int, root: Path = Path()) -> None:
    """Read the pump's contract, bundle and candidates; write reports/cases.json."""
    paths = Paths(root, "pump")
    pump = paths.load_contract()
    folders = {"served": paths.models / "bundle"}
    folders |= {one.parent.name: one.parent for one in sorted((paths.models / "candidates").glob("*/manifest.json"))}
    bundles = {name: Bundle.load(folder) for name, folder in folders.items()}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in (*bundles, "always", "never")}
    for fleet in range(fleets):
        truth = lives(PUMPS, SEED + fleet, pump)
        for name, alarms in followed_by(bundles, truth).items():
            found[name].append(figures(alarms, truth, pump))
    models = {name: _summed_up(each) for name, each in found.items()}
    report: dict[str, Any] = {
        "fleets": fleets,
        "pumps": PUMPS,
        "failures": sum(one["failures"] for one in found["served"]),
        "unit": pump.clock.unit,
        "lead_time": longest_lead_time(pump),
        "currency": pump.costs.currency if pump.costs else None,
        "models": models,
    }
    with fresh_file(root / "reports" / "cases.json") as out:
        out.write_text(json.dumps(report, indent=1) + "\n")
    for name, one in models.items():
        print(f"{name:>22}: " + ", ".join(f"{figure} {one[figure]['mean']:.3g}" for figure in FIGURES))


def followed_by(bundles: Mapping[str, Bundle], truth: pd.DataFrame) -> dict[str, dict[str, Alarms]]:
    """Return the alarms of each model on a fleet, and those of a case from the first hour on and of none."""
    names = [str(name) for name in truth["asset"].unique()]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fleet.parquet"
        truth.drop(columns=["rul", "fault_mode"]).to_parquet(file, index=False)
        told = {name: followed(bundle, file) for name, bundle in bundles.items()}
    return told | {"always": dict.fromkeys(names, Alarms((0.0,), stands=True)), "never": dict.fromkeys(names, Alarms())}


def figures(alarms: Mapping[str, Alarms], truth: pd.DataFrame, pump: Twin) -> dict[str, float]:
    """Return the figures of one fleet; pumps that outlast the recording count for false alarms alone."""
    lead, costs = longest_lead_time(pump), pump.costs
    warnings, false, hours = [], 0, 0.0
    for name, part in truth.groupby(truth["asset"].astype(str), sort=False):
        end, told = float(part["time"].iloc[-1]), alarms.get(str(name), Alarms())
        hours += end
        fails = bool(part["rul"].notna().any())
        false += sum(bool(hour < end - 2 * lead) for hour in told.began) if fails else len(told.began)
        warnings += [told.warning(end)] if fails else []
    caught = sum(warning >= lead for warning in warnings)
    cost = 0.0
    if costs is not None:
        cost = caught * costs.planned + (len(warnings) - caught) * costs.failure + false * costs.inspection
    return {
        "failures": len(warnings),
        "caught_a_lead_time_ahead": caught / len(warnings),
        "false_alarms_per_machine_year": false / hours * YEAR,
        "median_warning": float(median(warnings)),
        "cost_per_failure": cost / len(warnings),
    }


def _summed_up(each: list[dict[str, float]]) -> dict[str, Any]:
    summed: dict[str, Any] = {}
    for figure in FIGURES:
        mean, ends = mean_interval([one[figure] for one in each])
        summed[figure] = {"mean": round(mean, 4), "interval": [round(end, 4) for end in ends]}
    return summed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fleets", type=int, default=FLEETS, help="how many fleets are followed")
    with exit_on_error():
        main(parser.parse_args().fleets)
