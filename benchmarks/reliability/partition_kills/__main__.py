"""Kill workers, bus, database and hosts of a partitioned fleet at random; writes reports/scale_faults.json.

    python -m benchmarks.reliability.partition_kills [TRIALS]

The champion is the pump's of this project; the hosts fetch it from an object store. The pumps come to their end, so
that cases are opened. Where network namespaces may not be made no host is taken away, as the report then shows.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.reliability.faults.run import last_rows
from benchmarks.reliability.partition_kills.compare import PARTITIONS, Campaign, compare
from benchmarks.reliability.partition_kills.plant import HOSTS
from foretwin.contract.twin import Twin
from foretwin.errors import ForetwinError
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.json import strict_json
from foretwin.project.paths import Paths
from foretwin.training.ensemble import environment
from foretwin.twin.simulator.sending import fleet

TRIALS, PUMPS = 100, 60
OUT, SCALE = Path("reports") / "scale_faults.json", Path("reports") / "scale.json"
NONE = ("lost", "doubled", "out_of_order", "scores_that_differ", "cases_that_differ", "services_that_did_not_answer")


def keep_project(root: Path) -> Twin:
    """Keep the pumps' champion in a project whose contract lets every case through and keeps every score; return it."""
    here, there = Paths(Path(), "pump"), Paths(root, "pump")
    shutil.copytree(here.models / "champion", there.models / "champion")
    content = here.load_contract().model_dump(mode="json", exclude_none=True)
    content["cases"]["new_per_hour"] = 10_000
    with fresh_file(there.contract) as out:
        out.write_text(strict_json(content | {"retention": {"scores": {"keep": "all"}}}))
    return there.load_contract()


def main(trials: int) -> None:
    """Run it on this project's champion, write the figures; ForetwinError where anything differs."""
    campaign = Campaign(trials)
    with tempfile.TemporaryDirectory(prefix="foretwin-partitions-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as another user
        root = Path(folder) / "project"
        contract = keep_project(root)
        rows = last_rows(fleet(contract, Path(), PUMPS), contract.window.shortest + trials)
        found = compare(root, contract, rows, campaign, Path(folder))
    fleet_of = {"hosts": len(HOSTS), "workers": campaign.workers * len(HOSTS), "partitions": PARTITIONS}
    report = {"machine": environment(), **fleet_of, **found}
    with fresh_file(OUT) as temporary:
        temporary.write_text(json.dumps(report, indent=1) + "\n")
    scale = json.loads(SCALE.read_text()) if SCALE.exists() else {}
    with fresh_file(SCALE) as temporary:
        faults = {name: report[name] for name in ("trials", "lost", "doubled")}
        temporary.write_text(json.dumps(scale | {"faults": faults}, indent=1) + "\n")
    print(json.dumps(report, indent=1))
    if any(found[name] for name in NONE):
        raise ForetwinError(f"{OUT}: the disturbed fleet differs from the undisturbed one")


if __name__ == "__main__":
    with exit_on_error():
        main(int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS)
