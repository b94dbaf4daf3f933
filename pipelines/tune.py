"""Stage tune: search the best hyper-parameters on a held-out fold, within a budget."""

from datetime import UTC, datetime
from pathlib import Path

from foretwin.dataset.labels.taught import load_taught
from foretwin.dataset.splits import Development
from foretwin.project.digests import file_digests
from foretwin.project.entrypoint import run_stage
from foretwin.project.files import fresh_file
from foretwin.project.json import strict_json
from foretwin.project.params import load_params
from foretwin.project.paths import Paths
from foretwin.project.timings import write_timings
from foretwin.training.ensemble import inputs_digest
from foretwin.training.tuning import trial_times, tune


def main(twin: str, root: Path = Path()) -> None:
    """Read data/<twin>/windows/, write models/<twin>/tuning.json."""
    started = datetime.now(UTC)
    paths = Paths(root, twin)
    contract = load_taught(paths)
    params = load_params(paths.params, twin)
    development = Development.load(paths.windows, contract, params.prepare)
    parts = (contract.digest, params.prepare.model_dump_json(), params.tune.model_dump_json(exclude={"trials"}))
    key = inputs_digest(file_digests(paths.windows), *parts, str(params.train.batch))
    journal = paths.work / f"tune-{key}.log"
    record = tune(development, contract, params.tune, params.train, journal)
    with fresh_file(paths.models / "tuning.json") as out:
        out.write_text(strict_json(record, indent=1))
    write_timings(paths.models / "tuning.json", "tune", started, {"trials": trial_times(contract, journal)})
    print(f"tune {twin}: objective {record['value']:.3f} after {len(record['trials'])} trials with {record['best']}")


if __name__ == "__main__":
    run_stage(main)
