"""Settings: known names, defaults, refusals, and what is shown of them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from foretwin.errors import ParamsError
from foretwin.project.settings import (
    SETTINGS,
    check_names,
    read_choice,
    read_number,
    read_port,
    read_setting,
    shown_value,
)
from support.tiny_bundle import environment

ROOT = Path(__file__).parents[2]
SOURCES = [
    path
    for place in ("src/foretwin", "serving", "pipelines", "benchmarks")
    for path in (ROOT / place).rglob("*.py")
    if path.name != "settings.py"
]


def test_every_name_in_the_code_is_a_setting_and_every_setting_is_read():
    named = {name for path in SOURCES for name in re.findall(r'"(FORETWIN_[A-Z_]+)"', path.read_text())}
    assert named == set(SETTINGS)


def test_the_code_reads_settings_through_the_registry_alone():
    past = re.compile(r'environ(?:\.get\(|\[)"?(?:FORETWIN_|VARIABLE|PASSWORD|SECRET|WEBHOOKS|MQTT\b|ZONE)')
    assert [str(path) for path in SOURCES if path.is_relative_to(ROOT / "src") and past.search(path.read_text())] == []


def test_defaults_hold_without_a_variable_and_with_an_empty_one():
    assert read_setting("FORETWIN_ACCESS", {}) == "keys"
    assert read_choice("FORETWIN_ACCESS", {"FORETWIN_ACCESS": ""}) == "keys"
    assert read_setting("FORETWIN_STORE", {"FORETWIN_STORE": " sqlite:///x.db "}) == "sqlite:///x.db"
    assert read_setting("FORETWIN_MQTT_PASSWORD", {"FORETWIN_MQTT_PASSWORD": " two words "}) == " two words "
    assert read_number("FORETWIN_PATIENCE", {}) == 10
    assert read_port("FORETWIN_PORT", {"FORETWIN_PORT": "0"}) == 0


@pytest.mark.parametrize("text", ["tcp://10.96.0.1:80", "65536", "-1", "³"])
def test_what_is_no_port_is_refused(text):
    with pytest.raises(ParamsError, match="FORETWIN_PORT: "):
        read_port("FORETWIN_PORT", {"FORETWIN_PORT": text})


def test_another_word_than_the_choices_is_refused():
    with pytest.raises(ParamsError, match="FORETWIN_ACCESS: is 'opne'; it is `keys` or `open`"):
        read_choice("FORETWIN_ACCESS", {"FORETWIN_ACCESS": "opne"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("FORETWIN_STOR", "FORETWIN_STORE"),
        ("FORTWIN_STORE", "FORETWIN_STORE"),
        ("foretwin_keys", "FORETWIN_KEYS"),
        ("FORETWIN_WEBHOOKS_SECRET", "FORETWIN_WEBHOOK_SECRET"),
    ],
)
def test_a_mistyped_name_is_refused_with_the_nearest_one(name, meant):
    with pytest.raises(ParamsError, match=rf"{name}: there is no such setting; did you mean {meant}\?"):
        check_names({name: "x", "PATH": "/bin"})


@pytest.mark.parametrize("name", ["FORETWIN_SERVICE_HOST", "FORETWIN_PORT_80_TCP_ADDR"])
def test_a_service_link_of_kubernetes_is_told_as_one(name):
    with pytest.raises(ParamsError, match="enableServiceLinks: false"):
        check_names({name: "10.96.0.1"})


def test_every_setting_and_the_variables_of_others_pass():
    check_names(dict.fromkeys((*SETTINGS, "HOME", "MLFLOW_TRACKING_URI", "TWIN_PEAKS", "MY_TWIN_STORE"), "x"))


def test_no_secret_is_shown():
    store, hooks = SETTINGS["FORETWIN_STORE"], SETTINGS["FORETWIN_WEBHOOKS"]
    assert shown_value(store, "postgresql://foretwin:s3cret@db:5432/foretwin") == (
        "postgresql://foretwin:***@db:5432/foretwin"
    )
    assert shown_value(store, "sqlite:////srv/twins.db") == "sqlite:////srv/twins.db"
    assert shown_value(hooks, "https://a/x?token=s3cret,https://u:s3cret@b") == "https://a/x?..., https://u:***@b"
    assert shown_value(SETTINGS["FORETWIN_KEY"], "ftw_s3cret") == "(set, not shown)"


@pytest.mark.parametrize("command", [["-m", "foretwin.serving"], [str(ROOT / "pipelines/fetch.py"), "pump"]])
def test_services_and_stages_end_with_a_mistyped_name(command, tmp_path):
    env = environment(tmp_path, FORETWIN_DATASET="/archives")
    ended = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == "error: FORETWIN_DATASET: there is no such setting; did you mean FORETWIN_DATASETS?\n"
