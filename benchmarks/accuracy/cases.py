"""What the pump's champion and its parts are worth in cases: failures caught in time, false alarms, cost.

    python -m benchmarks.accuracy.cases [--fleets 20]

Needs a project whose pump is built (`make run`). Fresh fleets of pumps of other seeds are followed hour by hour until
they fail, and cases open, merge and close by the rules of the living twin. A failure is caught where a case had been
open for the longest lead time of the contract, or longer. An alarm is false that began more than two such lead times
before the end. A caught failure costs a planned repair, another one a failure, a false alarm an inspection, by the
contract's prices. Figures are means over the fleets with their 95 % intervals. Beside the models stand the wear filter
alone, which knows the pump's equations and names no fault, and as floors what is left by age alone (Kaplan-Meier), a
case from the first hour on, and none at all. Writes reports/cases.json.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from benchmarks.accuracy.censoring import lives
from benchmarks.accuracy.followed_cases import YEAR, Alarms, alarms_by_asset, followed
from benchmarks.accuracy.intervals import mean_interval
from benchmarks.accuracy.plain_scores import AgeAlone, WearFilter
from foretwin.contract.lead_times import longest_lead_time
from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development
from foretwin.physics.degradation import FILE, load_degradation
from foretwin.physics.pump_prognosis import lives_of
from foretwin.predictor.bundle import Bundle
from foretwin.project.digests import json_digest
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.params import load_params
from foretwin.project.paths import Paths

FLEETS, PUMPS, SEED = 20, 30, 8007
FIGURES = ("caught_a_lead_time_ahead", "false_alarms_per_machine_year", "median_warning", "cost_per_failure")


@dataclass(frozen=True)
class Judged:
    """All that is followed: the champion as `served` with its parts, the wear filter, and the floors."""

    pump: Twin
    bundles: Mapping[str, Bundle]
    physics: WearFilter
    age: AgeAlone

    @classmethod
    def load(cls, paths: Paths) -> "Judged":
        """Read what `make run` left of the pump."""
        pump = paths.load_contract()
        folders = {"served": paths.models / "bundle"}
        folders |= {one.parent.name: one.parent for one in sorted(paths.models.glob("candidates/*/manifest.json"))}
        bundles = {name: Bundle.load(folder) for name, folder in folders.items()}
        model = load_degradation(paths.models / FILE)
        known = Development.load(paths.windows, pump, load_params(paths.params, pump.name).prepare).histories
        return cls(pump, bundles, WearFilter(model, lives_of(known, pump), pump), AgeAlone.of(known, pump, model.level))

    @property
    def digest(self) -> str:
        """Return what identifies the models."""
        models = [self.physics.model.digest, *(bundle.digest for bundle in self.bundles.values())]
        return json_digest([models, self.pump.digest])[:16]

    def figures_of_fleet(self, fleet: int) -> dict[str, dict[str, float]]:
        """Simulate a fleet and follow it by each model; return its figures by model."""
        truth = lives(PUMPS, SEED + fleet, self.pump)
        names = [str(name) for name in truth["asset"].unique()]
        told = followed_by(self.bundles, truth)
        told["physics"] = alarms_by_asset(self.physics.scores(truth, SEED + fleet), self.pump)
        told["age_alone"] = alarms_by_asset(self.age.scores(truth), self.pump)
        told["always"] = dict.fromkeys(names, Alarms((0.0,), stands=True))
        told["never"] = dict.fromkeys(names, Alarms())
        return {name: figures(alarms, truth, self.pump) for name, alarms in told.items()}


def main(fleets: int, root: Path = Path()) -> None:
    """Read the pump's contract, models and development lives; write reports/cases.json.

    Until it ends, each fleet's figures are kept below .foretwin/, so that a run that was stopped goes on from there.
    """
    paths = Paths(root, "pump")
    judged = Judged.load(paths)
    pump, kept = judged.pump, paths.work / f"cases-{judged.digest}"
    each = []
    for fleet in range(fleets):
        file = kept / f"fleet-{fleet}.json"
        if not file.exists():
            with fresh_file(file) as out:
                out.write_text(json.dumps(judged.figures_of_fleet(fleet)))
        each.append(json.loads(file.read_text()))
        print(f"fleet {fleet + 1} of {fleets}", flush=True)
    models = {name: _summed_up([one[name] for one in each]) for name in each[0]}
    report: dict[str, Any] = {
        "fleets": fleets,
        "pumps": PUMPS,
        "failures": sum(one["served"]["failures"] for one in each),
        "unit": pump.clock.unit,
        "lead_time": longest_lead_time(pump),
        "currency": pump.costs.currency if pump.costs else None,
        "models": models,
    }
    with fresh_file(root / "reports" / "cases.json") as out:
        out.write_text(json.dumps(report, indent=1) + "\n")
    shutil.rmtree(kept, ignore_errors=True)
    for name, one in models.items():
        print(f"{name:>22}: " + ", ".join(f"{figure} {one[figure]['mean']:.3g}" for figure in FIGURES))


def followed_by(bundles: Mapping[str, Bundle], truth: pd.DataFrame) -> dict[str, dict[str, Alarms]]:
    """Return the alarms of each bundle on a fleet."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fleet.parquet"
        truth.drop(columns=["rul", "fault_mode"]).to_parquet(file, index=False)
        return {name: followed(bundle, file) for name, bundle in bundles.items()}


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
