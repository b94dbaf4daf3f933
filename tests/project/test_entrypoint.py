"""What a user sees at the edge: one line for a deliberate error, a traceback only when asked for."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from foretwin import errors
from foretwin.contract.twin import load_twin
from foretwin.errors import BadInput, ContractError, ForetwinError, TooMany
from foretwin.project.entrypoint import TELEMETRY_OFF, exit_on_error, run_stage, switch_telemetry_off
from support.tiny_bundle import tiny_twin

ROOT = Path(__file__).parents[2]


@pytest.fixture
def message(capsys):
    """What is left on stderr by a body that ends with exit code 1, as one line."""

    def told(error: pytest.ExceptionInfo[SystemExit]) -> str:
        assert error.value.code == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        return err.removeprefix("error: ").rstrip("\n")

    return told


def every_error() -> list[type[ForetwinError]]:
    named = [value for value in vars(errors).values() if isinstance(value, type)]
    return [value for value in named if issubclass(value, ForetwinError)]


@pytest.mark.parametrize("kind", every_error())
def test_a_deliberate_error_is_one_line_and_exit_code_1(kind, message):
    arguments = ("flow", "is missing") if issubclass(kind, BadInput) else ("flow: is missing",)
    arguments += (1.5,) if issubclass(kind, TooMany) else ()
    with pytest.raises(SystemExit) as error, exit_on_error():
        raise kind(*arguments)
    assert message(error) == "flow: is missing"


def test_the_tree_in_the_docstring_names_every_error():
    for kind in every_error():
        assert kind.__name__ in errors.__doc__, kind.__name__


def test_an_interruption_is_one_line(message):
    with pytest.raises(SystemExit) as error, exit_on_error():
        signal.raise_signal(signal.SIGINT)
    assert message(error) == "interrupted: nothing half-written was kept"


@pytest.mark.parametrize("parquet", [False, True])
def test_a_full_disk_is_one_line(parquet, message):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    frame = pd.DataFrame({"flow": range(100_000)})
    with pytest.raises(SystemExit) as error, exit_on_error():
        frame.to_parquet("/dev/full") if parquet else frame.to_csv("/dev/full")
    assert "No space left on device" in (told := message(error))
    assert told.endswith("free some space or fix the permissions, then run again")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_one_line(tmp_path, message):
    tmp_path.chmod(0o500)
    with pytest.raises(SystemExit) as error, exit_on_error():
        (tmp_path / "rows.parquet").write_text("x")
    assert message(error).startswith(f"{tmp_path}/rows.parquet: Permission denied")


@pytest.mark.parametrize("read", [Path.read_text, pd.read_parquet])
def test_a_missing_input_is_one_line_that_names_it(read, tmp_path, message):
    with pytest.raises(SystemExit) as error, exit_on_error():
        read(tmp_path / "rows.parquet")
    expected = f"{tmp_path}/rows.parquet: not found; run `dvc repro` for the earlier stages"
    assert message(error) == expected


def test_a_mistake_of_the_program_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), exit_on_error():
        raise ZeroDivisionError
    with pytest.raises(IsADirectoryError), exit_on_error():
        Path("/").read_text()


@pytest.mark.parametrize("kind", [ContractError, KeyboardInterrupt, FileNotFoundError])
def test_debug_lets_everything_through(kind):
    with pytest.raises(kind), exit_on_error(debug=True):
        raise kind("here")


def test_a_body_that_goes_well_is_not_touched(capsys):
    with exit_on_error():
        sys.stdout.write("done\n")
    assert capsys.readouterr() == ("done\n", "")


@pytest.fixture
def no_switches(monkeypatch):
    """The environment without any switch, restored afterwards."""
    for name in TELEMETRY_OFF:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


def test_telemetry_is_off_unless_the_user_set_it_otherwise(no_switches):
    no_switches.setenv("GX_ANALYTICS_ENABLED", "True")
    switch_telemetry_off()
    assert os.environ["GX_ANALYTICS_ENABLED"] == "True"
    assert {name: os.environ[name] for name in TELEMETRY_OFF} == {**TELEMETRY_OFF, "GX_ANALYTICS_ENABLED": "True"}


def test_the_libraries_obey_these_switches(no_switches, tmp_path):
    switch_telemetry_off()
    no_switches.delenv("PYTEST_CURRENT_TEST")  # by which MLflow knows that it is tested, and is silent anyway
    code = (
        "from bentoml._internal.utils.analytics.usage_stats import do_not_track\n"
        "from mlflow.telemetry.utils import is_telemetry_disabled\n"
        "from dvc.analytics import is_enabled\n"
        "print(do_not_track(), is_telemetry_disabled(), not is_enabled())\n"
    )
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=True)
    assert told.stdout == "True True True\n"


def test_a_stage_switches_telemetry_off_before_it_runs(no_switches):
    no_switches.setattr(sys, "argv", ["pipelines/prepare.py", "pump"])
    seen = []
    run_stage(lambda twin: seen.append((twin, os.environ["MLFLOW_DISABLE_TELEMETRY"])))
    assert seen == [("pump", "true")]


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["pump", "press"], 2), (["--help"], 0), (["-h"], 0)])
def test_a_stage_that_is_called_wrongly_says_how(arguments, code, no_switches, capsys):
    no_switches.setattr(sys, "argv", ["pipelines/prepare.py", *arguments])
    with pytest.raises(SystemExit) as error:
        run_stage(lambda twin: pytest.fail("must not run"))
    assert error.value.code == code
    assert "usage: python pipelines/prepare.py TWIN [--debug]" in capsys.readouterr().err


def test_a_stage_shows_its_traceback_with_debug_only(no_switches, message):
    def stage(twin: str) -> None:
        load_twin(Path("data") / twin / "twin.yaml")

    no_switches.setattr(sys, "argv", ["pipelines/adapt.py", "mill"])
    with pytest.raises(SystemExit) as error:
        run_stage(stage)
    assert message(error).startswith("data/mill/twin.yaml: no such contract")
    no_switches.setattr(sys, "argv", ["pipelines/adapt.py", "mill", "--debug"])
    with pytest.raises(ContractError):
        run_stage(stage)


def test_a_real_stage_without_its_input_is_one_line_and_leaves_nothing(tmp_path):
    (tmp_path / "data" / "pump").mkdir(parents=True)
    (tmp_path / "data" / "pump" / "twin.yaml").write_text(tiny_twin().model_dump_json())
    shutil.copy(ROOT / "params.yaml", tmp_path)
    command = [sys.executable, str(ROOT / "pipelines" / "prepare.py"), "pump"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    fix = "run `dvc repro data/pump/dvc.yaml:adapt`"
    assert told.stderr == f"error: data/pump/rows/rows.parquet: no such table; {fix}\n"
    assert [path.name for path in (tmp_path / "data" / "pump").iterdir()] == ["twin.yaml"]
