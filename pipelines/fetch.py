"""Stage fetch: bring a source's raw files in: simulate, unpack, download or copy."""

from pathlib import Path

from foretwin.project.entrypoint import run_stage
from foretwin.project.fingerprint import file_state, is_unchanged, write_fingerprint


def main(twin: str, root: Path = Path()) -> None:
    """Read what the contract's source names, write data/<twin>/raw/; nothing where both are as the last run left them.

    That is told by .foretwin/<twin>/fetched.json, before anything else is imported.
    """
    record = root / ".foretwin" / twin / "fetched.json"
    if is_unchanged(record):
        print(f"fetch {twin}: the source has not changed")
        return
    from foretwin.project.files import fresh
    from foretwin.project.paths import Paths
    from foretwin.sources import fetch, origin, store

    paths = Paths(root, twin)
    contract = paths.load_contract()
    files = origin(contract, paths)
    before = file_state([paths.contract, *(files or [])])
    with fresh(paths.raw) as out:
        fetch(contract, paths, out)
    if files is None:  # what lies behind a URL is asked for anew each time
        record.unlink(missing_ok=True)
    else:
        write_fingerprint(record, before, [paths.raw, paths.data / store.FOLDER])


if __name__ == "__main__":
    run_stage(main)
