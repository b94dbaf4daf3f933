"""The load generator of the service's bench: wrk, which repeats one call over so many connections for a fixed time."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from foretwin.errors import ForetwinError

TIMEOUT = "30s"  # until an answer counts as lost; a slow one is a measurement
SCRIPT = """
wrk.method = "POST"
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
{headers}
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('\\n{{"calls": %d, "microseconds": %d, "p50": %f, "p99": %f, "refused": %d, "broken": %d}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
"""


@dataclass(frozen=True)
class Call:
    """What is sent again and again; `windows` are scored by each."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    windows: int = 1


@dataclass(frozen=True)
class Measured:
    """What was answered in a time, and how long single calls took."""

    calls_per_second: float
    p50_ms: float
    p99_ms: float


def press(port: int, call: Call, connections: int, seconds: float) -> Measured:
    """Keep `connections` calls on their way for so many seconds; ForetwinError where one is refused or breaks."""
    program = shutil.which("wrk")
    if program is None:
        raise ForetwinError("wrk: is not installed, it makes the load; on Debian `apt install wrk` brings it")
    with tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder, "body"), Path(folder, "call.lua")
        body.write_bytes(call.body)
        headers = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in call.headers.items())
        script.write_text(SCRIPT.format(body=body, headers=headers))
        url = f"http://127.0.0.1:{port}{call.path}"
        command = [
            program,
            "-t1",
            f"-c{connections}",
            f"-d{max(1, round(seconds))}s",
            "--timeout",
            TIMEOUT,
            "-s",
            str(script),
            url,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout.strip():
        raise ForetwinError(f"wrk: failed on {url}: {' '.join((done.stderr or done.stdout).split())}")
    return read(done.stdout, url)


def read(said: str, url: str) -> Measured:
    """What `SCRIPT` prints last; ForetwinError where a call was refused or broke."""
    found = json.loads(said.strip().splitlines()[-1])
    if found["refused"] or found["broken"] or not found["calls"]:
        what = f"of {found['calls']} calls {found['refused']} were refused and {found['broken']} broke"
        raise ForetwinError(f"{url}: {what}; the server's log says why")
    rate = found["calls"] / (found["microseconds"] / 1e6)
    return Measured(rate, found["p50"] / 1000, found["p99"] / 1000)
