"""Stage drift: fit the drift reference of healthy readings and scores, for the monitor."""

import sys
from pathlib import Path

from foretwin.dataset.table import read_rows
from foretwin.drift import DriftReference
from foretwin.drift.profile import FILE
from foretwin.predictor.bundle import Bundle
from foretwin.project.entrypoint import run_stage
from foretwin.project.paths import Paths


def main(twin: str, root: Path = Path()) -> None:
    """Read data/<twin>/windows/ and models/<twin>/bundle/, write models/<twin>/drift.json."""
    paths = Paths(root, twin)
    bundle = Bundle.load(paths.models / "bundle")
    files = (paths.windows / f"{name}.parquet" for name in ("development", "test"))
    development, held_out = (read_rows(file, bundle.contract) for file in files)
    reference = DriftReference.fit(bundle, development, held_out)
    reference.write(paths.models / FILE)
    print(f"drift {twin}: {reference.readings} healthy readings of {reference.assets} assets")
    if reference.varying is None:
        print(f"drift {twin}: too few to say what is usual: drift of readings will not be looked for", file=sys.stderr)


if __name__ == "__main__":
    run_stage(main)
