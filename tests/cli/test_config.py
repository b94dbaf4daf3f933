"""`foretwin config`, and how every command treats an unknown setting."""

import json

import pytest

from foretwin.project.settings import SETTINGS
from support.commands import foretwin, refusal, shown


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("FORETWIN_DATASETS", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_prints_every_setting_with_its_origin(monkeypatch):
    monkeypatch.setenv("FORETWIN_STORE", "postgresql://foretwin:s3cret@db/foretwin")
    monkeypatch.setenv("FORETWIN_WEBHOOK_SECRET", "whsec_s3cret")
    rows = {row["name"]: row for row in json.loads(shown("config", "--json"))}
    assert rows.keys() == SETTINGS.keys()
    assert (rows["FORETWIN_STORE"]["value"], rows["FORETWIN_STORE"]["origin"]) == (
        "postgresql://foretwin:***@db/foretwin",
        "environment",
    )
    assert (rows["FORETWIN_PATIENCE"]["value"], rows["FORETWIN_PATIENCE"]["origin"]) == ("10", "default")
    assert "s3cret" not in shown("config")


def test_a_file_of_settings_comes_before_the_environment(folder, monkeypatch):
    file = folder / "foretwin.env"
    file.write_text(
        '# of the unit\nFORETWIN_ZONE="Europe/Berlin"\n\nexport FORETWIN_PATIENCE=30\nMLFLOW_TRACKING_URI=http://x\n'
    )
    monkeypatch.setenv("FORETWIN_PATIENCE", "20")
    rows = json.loads(shown("config", "--json", "--set", "--env-file", str(file)))
    assert {row["name"]: (row["value"], row["origin"]) for row in rows} == {
        "FORETWIN_ZONE": ("Europe/Berlin", str(file)),
        "FORETWIN_PATIENCE": ("30", str(file)),
    }


def test_a_mistyped_name_in_the_file_fails(folder):
    file = folder / "foretwin.env"
    file.write_text("FORETWIN_STOR=sqlite:///x.db\n")
    result = foretwin("config", "--env-file", str(file))
    assert result.exit_code == 1
    assert "did you mean FORETWIN_STORE?" in result.stderr
    file.write_text("FORETWIN_STORE sqlite:///x.db\n")
    assert f"{file}:1: is no NAME=value" in refusal("config", "--env-file", str(file))


def test_every_other_command_refuses_a_mistyped_name_before_it_does_anything(folder, monkeypatch):
    monkeypatch.setenv("FORETWIN_STOR", "sqlite:///elsewhere.db")
    for command in ("twins", "watch", "live", "retain"):
        assert refusal(command) == "FORETWIN_STOR: there is no such setting; did you mean FORETWIN_STORE?"
    assert list(folder.iterdir()) == []
    assert foretwin("twins", "--help").exit_code == 0
    assert foretwin("config").exit_code == 1
