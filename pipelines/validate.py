"""Stage validate: check the canonical table against the contract's rules; a broken rule stops the pipeline."""

import shutil
import sys
from pathlib import Path

from foretwin.dataset.pieces import RowPieces
from foretwin.errors import ExpectationsFailed
from foretwin.project.entrypoint import run_stage
from foretwin.project.files import fresh
from foretwin.project.paths import Paths
from foretwin.validation.few_units import LabelledUnits, few_units_hints
from foretwin.validation.how_ended import how_lives_ended
from foretwin.validation.label_hints import label_hints
from foretwin.validation.suite import validate


def main(twin: str, root: Path = Path()) -> None:
    """Read data/<twin>/rows/, write data/<twin>/validation/, or where the report says no, .foretwin/<twin>/."""
    paths = Paths(root, twin)
    contract = paths.load_contract()
    rows = RowPieces.open(paths.rows / "rows.parquet", contract)
    failed = paths.work / "validation-failed"
    shutil.rmtree(failed, ignore_errors=True)
    with fresh(paths.validation) as out:
        report = validate(rows, contract, out)
        if not report.success:
            with fresh(failed) as kept:
                shutil.copytree(out, kept, dirs_exist_ok=True)
            print(*report.details(), sep="\n", file=sys.stderr)
            rules = "; ".join(map(str, report.broken))
            raise ExpectationsFailed(f"validate {report}: {rules}; open {failed / 'docs' / 'index.html'}")
    print(f"validate {report}")
    few = few_units_hints(LabelledUnits.of(rows, contract), contract.holdout)
    for hint in [*how_lives_ended(rows, contract), *label_hints(rows, contract), *few]:
        print(f"validate {twin}: note: {hint}")


if __name__ == "__main__":
    run_stage(main)
