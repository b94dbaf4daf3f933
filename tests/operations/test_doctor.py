"""`foretwin doctor`: a sound installation, and each thing that may be wrong with one."""

import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from foretwin.operations.doctor import examination
from foretwin.operations.doctor.finding import Installation
from foretwin.serving.access.keys import KeyRequest, make_key
from foretwin.twin.simulator.broker import Broker
from foretwin.twin.simulator.processes import free_port
from foretwin.twin.store import open_store
from foretwin.twin.store.readiness import inspect_store
from support.commands import foretwin
from support.live_project import living_project

pytestmark = pytest.mark.dated


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The current folder: a project with champions, a key that counts and a store."""
    root = living_project(tmp_path / "project")
    monkeypatch.chdir(root)
    monkeypatch.delenv("FORETWIN_DATASETS", raising=False)
    make_key(root / "keys.json", KeyRequest("ann", ["read"], 10.0), "tests", datetime.now(UTC))
    open_store(f"sqlite:///{root}/twins.db").close()
    return root


def examined(root, check: str, broker: str = "", env_file=None, **settings: str) -> list[tuple[str, str]]:
    """What one check finds, as level and text."""
    place = Installation(root, settings, env_file, broker)
    return [(finding.level, finding.text) for finding in examination.CHECKS[check](place)]


def failure(root, check: str, **more) -> str:
    """The only finding of a check, which must be a failure."""
    ((level, said),) = examined(root, check, **more)
    assert level == "fail", said
    return said


def test_a_sound_installation_has_a_line_for_each_check_and_exit_code_0(project):
    done = foretwin("doctor")
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert {check for _, check, _ in lines} == set(examination.CHECKS)
    assert [line for line in lines if line[0] == "fail"] == []
    assert done.exit_code == 0
    told = json.loads(foretwin("doctor", "--json").stdout)
    assert {"level": "ok", "check": "champions", "text": "pump: version 3 is there and whole"} in told


def test_an_unknown_setting_is_a_failure_and_the_others_are_looked_at_nevertheless(project, monkeypatch):
    monkeypatch.setenv("FORETWIN_STOR", "postgresql://db/foretwin")
    done = foretwin("doctor")
    assert done.exit_code == 1
    assert "fail  settings     FORETWIN_STOR: there is no such setting; did you mean FORETWIN_STORE?" in done.stdout
    assert "ok    champions" in done.stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FORETWIN_PATIENCE", "soon"),
        ("FORETWIN_HEALTH_PORT", "70000"),
        ("FORETWIN_ACCESS", "opne"),
        ("FORETWIN_LOG_FORMAT", "xml"),
        ("FORETWIN_TRUSTED_PROXIES", "proxy"),
        ("FORETWIN_ZONE", "Mars"),
        ("FORETWIN_STORE", "mysql://db/x"),
        ("FORETWIN_WEBHOOKS", "erp/hook"),
    ],
)
def test_a_wrong_value_is_a_failure(project, name, value):
    secret = {"FORETWIN_WEBHOOK_SECRET": "swordfish"} if name == "FORETWIN_WEBHOOKS" else {}
    assert name in failure(project, "settings", **{name: value}, **secret)


def test_what_others_may_read_is_a_failure(project):
    env_file = project / "foretwin.env"
    env_file.write_text("FORETWIN_ZONE=Europe/Berlin\n")
    for path in (project / "keys.json", project / "twins.db", env_file):
        path.chmod(0o600)
    assert examined(project, "permissions", env_file=env_file)[0][0] == "ok"
    for path in (project / "keys.json", project / "twins.db", env_file):
        path.chmod(0o644)
        assert f"{path.name}: others on this machine may read" in failure(project, "permissions", env_file=env_file)
        path.chmod(0o600)


def test_the_settings_of_a_file_are_those_that_count(project):
    file = project / "foretwin.env"
    file.write_text("FORETWIN_STORE=sqlite:////nowhere/at/all.db\nFORETWIN_KEYS=other.json\n")
    file.chmod(0o600)
    done = foretwin("doctor", "--env-file", str(file))
    assert "/nowhere/at/all.db: is not made yet" in done.stdout
    assert "other.json holds none that counts" in done.stdout


def test_a_damaged_champion_is_a_failure_and_a_missing_one_a_warning(project):
    champion = project / "models/pump/champion"
    (champion / "bundle/network.onnx").write_bytes(b"damaged")
    levels = dict(zip(("fan", "pump"), (level for level, _ in examined(project, "champions")), strict=True))
    assert levels == {"fan": "ok", "pump": "fail"}
    champion.rename(project / "models/pump/gone")
    assert tuple(sorted((level for level, _ in examined(project, "champions")), reverse=True)) == ("warn", "ok")


def test_keys_that_end_soon_or_are_missing_are_warnings(project):
    soon = datetime.now(UTC) + timedelta(days=3)
    make_key(project / "keys.json", KeyRequest("bob", ["read"], 10.0, soon), "tests", datetime.now(UTC))
    assert [level for level, said in examined(project, "keys") if "bob ends on" in said] == ["warn"]
    assert examined(project, "keys", FORETWIN_KEYS="none.json")[0][0] == "warn"
    assert examined(project, "keys", FORETWIN_ACCESS="open")[0][0] == "warn"
    (project / "keys.json").write_text("{")
    assert "repair it" in failure(project, "keys")


def test_libraries_of_another_version_and_missing_ones_are_told(project, monkeypatch):
    asked = ["numpy>=999", "no-such-library>=1", "pandas>=1"]
    monkeypatch.setattr("foretwin.operations.doctor.host.requires", lambda _: asked)
    levels = dict(examined(project, "versions"))
    assert list(levels) == ["fail", "warn"]
    assert "no-such-library" in levels["warn"]


def test_a_disk_without_room_is_a_failure(project, monkeypatch):
    monkeypatch.setattr("foretwin.operations.doctor.host.NONE_LEFT", 2**60)
    assert "are free at" in failure(project, "disk")


def test_the_schema_is_looked_at_and_not_migrated(store_url, tmp_path):
    assert inspect_store(store_url).present is None
    ((level, said),) = examined(tmp_path, "database", FORETWIN_STORE=store_url)
    assert (level, "is not made yet" in said) == ("ok", True)
    assert inspect_store(store_url).present is None, "to look at it makes nothing"
    store = open_store(store_url)
    ((level, said),) = examined(tmp_path, "database", FORETWIN_STORE=store_url)
    assert (level, "takes writes" in said) == ("ok", True)
    for present, want in {"0001": "warn", "9999": "fail"}.items():
        with store.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :present"), {"present": present})
        ((level, said),) = examined(tmp_path, "database", FORETWIN_STORE=store_url)
        assert (level, present in said) == (want, True)
        assert inspect_store(store_url).present == present
    store.close()


def test_a_database_that_is_away_is_a_failure_that_shows_no_password(tmp_path):
    url = f"postgresql://foretwin:s3cret@127.0.0.1:{free_port()}/none"
    said = failure(tmp_path, "database", FORETWIN_STORE=url)
    assert "FORETWIN_STORE" in said
    assert "s3cret" not in said


def test_a_broker_is_asked_for_its_limits(tmp_path, broker):
    ((level, said),) = examined(tmp_path, "broker", broker=broker.url)
    assert (level, "with QoS 1" in said) == ("ok", True)
    assert examined(tmp_path, "broker")[0][0] == "ok"


@pytest.mark.parametrize(
    ("line", "words"),
    [("max_packet_size 100000", "takes packets of 100000 bytes at most"), ("max_qos 0", "promises no delivery")],
)
def test_a_broker_whose_limits_are_too_low_is_a_failure(tmp_path, line, words):
    broker = Broker(tmp_path / "broker", (line,)).start()
    try:
        assert words in failure(tmp_path, "broker", broker=broker.url)
    finally:
        broker.stop()


def test_a_broker_that_refuses_or_is_away_is_a_failure(tmp_path):
    subprocess.run(["mosquitto_passwd", "-b", "-c", "users", "anna", "right"], check=True, cwd=tmp_path)
    (tmp_path / "users").chmod(0o700)
    broker = Broker(tmp_path / "broker", (f"password_file {tmp_path}/users",)).start()
    url = broker.url.replace("//", "//anna@")
    try:
        words = {"FORETWIN_MQTT_PASSWORD": "wrong"}
        assert "correct user and password" in failure(tmp_path, "broker", broker=url, **words)
        assert examined(tmp_path, "broker", broker=url, **(words | {"FORETWIN_MQTT_PASSWORD": "right"}))[0][0] == "ok"
    finally:
        broker.stop()
    assert "cannot be reached" in failure(tmp_path, "broker", broker=url)
