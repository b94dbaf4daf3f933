"""`foretwin demo` where something that it needs is missing; tests/system/test_fleet.py lets it run."""

import pytest

from foretwin.twin.simulator.broker import Broker
from support.commands import refusal
from support.tiny_bundle import keep_tiny_champion, tiny_twin


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_mosquitto_the_error_says_what_to_install_and_nothing_is_started(project, monkeypatch):
    keep_tiny_champion(project, tiny_twin())
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert refusal("demo") == "mosquitto: not installed; on Debian `apt install mosquitto` brings it"
    assert not (project / "twins.db").exists()


def test_without_a_champion_no_broker_is_started(project, monkeypatch):
    monkeypatch.setattr(Broker, "start", lambda _: pytest.fail("started"))
    assert "pump has no champion yet" in refusal("demo")
