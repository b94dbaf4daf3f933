"""Make a machine type of a published table over HTTP, up to its champion; writes reports/machine_type.json.

    python -m benchmarks.machine_type

The table of the first worked example (10,000 machines, a row each, five flags of faults; FORETWIN_DATASETS) is uploaded
to `foretwin live` as a person does it in the console: looked at, its columns told, its guesses corrected, trained,
judged by the gate. Then the service, which was not started again, takes a reading of such a machine. Small budgets, as
of the worked examples.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.worked_examples import load_examples, start_project
from foretwin.errors import ForetwinError
from foretwin.project.entrypoint import exit_on_error
from foretwin.project.files import fresh_file
from foretwin.project.paths import datasets_folder
from foretwin.training.ensemble import git_state
from foretwin.twin.simulator.processes import free_port, wait_for

NAME = "mill"  # of the worked example, and of the twin
COLUMNS = {"Product ID": "asset", "UDI": "left_out"}  # the second is the number of the row
LONGEST = 6 * 3600.0  # s of the training
PLACE = "/v1/machine-types"
CSV = {"content-type": "text/csv"}


def main() -> None:
    """Make it, print and write what became of it."""
    folder = datasets_folder()
    if folder is None:
        raise ForetwinError("FORETWIN_DATASETS: is not set; name the folder of the published archives")
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "plant"
        root.mkdir()
        start_project(root)
        table = load_examples()[NAME].files
        found = drive(root, (folder / table).read_bytes())
    report = {"commit": git_state(Path())["commit"], "cores": os.cpu_count(), "table": table, **found}
    with fresh_file(Path("reports/machine_type.json")) as out:
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


def drive(root: Path, table: bytes) -> dict[str, Any]:
    """Do what a person does in the console, against a service of this project's own; return seconds and the end."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("foretwin")), "live", "--open", "--port", str(port)]
    with (root / "live.txt").open("wb") as said:
        process = subprocess.Popen(command, cwd=root, stdout=said, stderr=said)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
                wait_for(lambda: b"answering" in (root / "live.txt").read_bytes(), "the service", 60)
                return _driven(client, table)
        finally:
            process.terminate()
            process.wait()


def _driven(client: httpx.Client, table: bytes) -> dict[str, Any]:
    begun = time.perf_counter()
    client.post(f"{PLACE}/upload?name={NAME}", content=table, headers=CSV).raise_for_status()
    _ended(client, "drafted", 600)
    client.post(f"{PLACE}/columns", json={"columns": COLUMNS}).raise_for_status()
    draft = _ended(client, "drafted", 600)["draft"]
    channels = {name: _some(one) for name, one in draft["channels"].items()}
    told = _some(draft) | {"title": "Milling machine", "channels": channels}
    client.post(f"{PLACE}/draft", json=told).raise_for_status()
    looked = time.perf_counter()
    client.post(f"{PLACE}/build", json={}).raise_for_status()
    job = _ended(client, None, LONGEST)["job"]
    trained = time.perf_counter()
    found = {"looked_s": round(looked - begun, 1), "trained_s": round(trained - looked, 1), "step": job["step"]}
    status = _send(client, channels) if job["step"] == "champion" else None
    return found | {"message": job["message"], "status_of_a_reading": status}


def _ended(client: httpx.Client, wanted: str | None, seconds: float) -> dict[str, Any]:
    """Wait until the job rests; ForetwinError where it is not in the step that is wanted."""
    wait_for(lambda: _told(client)["job"]["step"] not in ("looking", "building"), "the job", seconds)
    told = _told(client)
    if wanted is not None and told["job"]["step"] != wanted:
        raise ForetwinError(f"{told['job']['step']}: {told['job']['message']}\n{told['log'][-2000:]}")
    return told


def _told(client: httpx.Client) -> dict[str, Any]:
    told: dict[str, Any] = client.get(f"{PLACE}/job").raise_for_status().json()
    return told


def _some(one: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in one.items() if value is not None}


def _send(client: httpx.Client, channels: dict[str, dict[str, Any]]) -> int:
    """Send one reading of a new machine, in the middle of each range; return the status of the answer."""
    values = {name: [(one["min"] + one["max"]) / 2] if "min" in one else ["L"] for name, one in channels.items()}
    answer = client.post(f"/v1/twins/M-new/readings?twin={NAME}", json={"time": [0], "channels": values})
    return answer.status_code


if __name__ == "__main__":
    with exit_on_error():
        main()
