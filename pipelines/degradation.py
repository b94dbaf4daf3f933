"""Stage degradation: fit the degradation model to the development fleet, for what-if questions of the living twin."""

from pathlib import Path

from foretwin.dataset.splits import Development
from foretwin.physics.degradation import FILE, save_degradation, save_no_degradation
from foretwin.physics.degradation_fit import fit_degradation
from foretwin.physics.pump_prognosis import objection
from foretwin.project.digests import file_digest
from foretwin.project.entrypoint import run_stage
from foretwin.project.params import load_params
from foretwin.project.paths import Paths


def main(twin: str, root: Path = Path()) -> None:
    """Read data/<twin>/windows/, write models/<twin>/forward.json."""
    paths = Paths(root, twin)
    contract, params = paths.load_contract(), load_params(paths.params, twin)
    reason = objection(contract)
    if reason:
        save_no_degradation(twin, reason, paths.models / FILE)
        print(f"forward {twin}: no forward model: {reason}")
        return
    learnt_from = {
        "development.parquet": file_digest(paths.windows / "development.parquet"),
        "contract": contract.digest,
    }
    development = Development.load(paths.windows, contract, params.prepare)
    forward = fit_degradation(development, contract, params.train.level, learnt_from)
    save_degradation(forward, paths.models / FILE)
    print(f"forward {twin}: wear learnt from {development.histories.values.shape[0]} hours; {forward.digest[:12]}")


if __name__ == "__main__":
    run_stage(main)
