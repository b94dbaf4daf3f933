"""Stage fetch: bring a source's raw files in: simulate, unpack, download or copy."""

from pathlib import Path

from foretwin.project.entrypoint import run_stage
from foretwin.project.files import fresh
from foretwin.project.paths import Paths
from foretwin.sources import fetch


def main(twin: str, root: Path = Path()) -> None:
    """Read what the contract's source names, write data/<twin>/raw/."""
    paths = Paths(root, twin)
    contract = paths.load_contract()
    with fresh(paths.raw) as out:
        fetch(contract, paths, out)


if __name__ == "__main__":
    run_stage(main)
