"""Processes that share a file of rates let a key through as often as one would."""

import fcntl
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from foretwin.errors import ParamsError, TooMany
from foretwin.serving.access.authentication import Guard
from foretwin.serving.access.keys import KeyRequest, make_key
from foretwin.serving.access.rate import RATES, SharedRates

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TAKER = """
import sys
from pathlib import Path
from foretwin.serving.access.rate import SharedRates
rates = SharedRates(Path(sys.argv[1]))
waits = [rates.take("a key", 50.0, 1000.0) for _ in range(200)]
print(sum(wait == 0.0 for wait in waits), sum(wait is None for wait in waits))
"""


def test_processes_share_what_a_key_may(tmp_path):
    command = [sys.executable, "-c", TAKER, str(tmp_path / "rates")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    found = [tuple(map(int, process.communicate(timeout=60)[0].split())) for process in started]
    passed, alone = (sum(column) for column in zip(*found, strict=True))
    assert passed == 50, found
    assert alone < 300, "the file was nearly always held"


def test_a_key_gets_its_quota_back_with_time_and_others_have_their_own(tmp_path):
    rates = SharedRates(tmp_path / "rates")
    assert [rates.take("a", 2.0, 10.0) for _ in range(3)] == [0.0, 0.0, pytest.approx(0.5)]
    assert rates.take("b", 2.0, 10.0) == 0.0
    again = SharedRates(tmp_path / "rates")
    assert again.take("a", 2.0, 10.4) == pytest.approx(0.1)
    assert again.take("a", 2.0, 10.5) == 0.0
    assert again.take("a", 2.0, 1.0) == 0.0, "the machine was started anew"
    assert (tmp_path / "rates").stat().st_mode & 0o777 == 0o600


def test_two_guards_that_share_a_file_are_one(tmp_path):
    token = make_key(tmp_path / "keys.json", KeyRequest("ann", ("read",), 5.0), "test", NOW)
    environ = {RATES: str(tmp_path / "rates")}
    guards = [Guard.from_env(tmp_path, environ) for _ in range(2)]
    for number in range(5):
        guards[number % 2].admit(f"Bearer {token}", "read")
    for guard in guards:
        with pytest.raises(TooMany):
            guard.admit(f"Bearer {token}", "read")
    Guard.from_env(tmp_path, {}).admit(f"Bearer {token}", "read")


def test_a_file_that_somebody_holds_keeps_nobody_waiting(tmp_path):
    rates = SharedRates(tmp_path / "rates")
    hold = (
        "import fcntl, sys\nfile = open(sys.argv[1], 'r+b')\nfcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\nsys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path / "rates")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    assert rates.take("a", 2.0, 10.0) is None
    holder.communicate(timeout=20)
    assert rates.take("a", 2.0, 10.0) == 0.0
    fcntl.lockf(rates._file, fcntl.LOCK_UN)


def test_a_file_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(ParamsError, match=RATES):
        SharedRates.from_env({RATES: str(tmp_path)})
    assert SharedRates.from_env({}) is None
