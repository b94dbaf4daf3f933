"""`foretwin keys` from outside: what it prints, what it keeps, what it refuses."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from foretwin.cli.main import main
from foretwin.errors import Unauthorized
from foretwin.serving.access.authentication import Guard
from foretwin.serving.access.bounds import Bounds
from foretwin.serving.access.keys import KeyRequest, make_key, read_keys
from support.commands import foretwin, refusal, shown


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USER", "ann")
    for name in ("LOGNAME", "LNAME", "USERNAME", "FORETWIN_KEYS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_new_key_is_printed_alone_and_admitted(folder):
    result = foretwin("keys", "new", "dashboard", "--scope", "read", "--scope", "score", "--days", "90", "--rate", "7")
    assert result.exit_code == 0, result.output
    assert re.fullmatch(r"ftw_\w+\n", result.stdout), "so that a script can keep it in a variable"
    assert "not shown again" in result.stderr
    caller = Guard(folder / "keys.json").admit(f"Bearer {result.stdout.strip()}", "score")
    assert (caller.name, caller.scopes) == ("dashboard", {"read", "score"})
    (key,) = read_keys(folder / "keys.json")
    assert (key.rate, key.created_by) == (7, "ann")
    assert key.expires_at - key.created_at == timedelta(days=90)


@pytest.mark.dated
def test_keys_are_listed_without_their_secrets(folder):
    tokens = [foretwin("keys", "new", name, "--scope", "ingest").stdout.strip() for name in ("gateway", "old")]
    past = datetime.now(UTC) - timedelta(days=3)
    make_key(folder / "keys.json", KeyRequest("trial", ("admin",), 5, past), "bob", past - timedelta(days=9))
    shown("keys", "revoke", "old")
    told = shown("keys")
    assert told == shown("keys", "list")
    assert re.search(r"gateway │ ingest │ │ 100/s │ \S+ \S+ by ann │ never │ valid ", told)
    assert re.search(r"old │ ingest .* revoked \S+ \S+ by ann ", told)
    assert re.search(rf"trial │ admin │ │ 5/s │ \S+ \S+ by bob │ {past:%Y-%m-%d %H:%M} │ expired ", told)
    assert not any(part in told for token in tokens for part in token.split("_")[1:])


def test_a_key_is_bound_and_its_bounds_are_listed_on_a_narrow_terminal(folder):
    bounds = ["--twin", "pump", "--twin", "fan-*", "--asset", "P-0017", "--owner", "acme", "--owner", "site=hall ?"]
    token = shown("keys", "new", "machine", "--scope", "ingest", *bounds)
    bound = Guard(folder / "keys.json").admit(f"Bearer {token}", "ingest").bounds
    assert bound == Bounds(twins=("pump", "fan-*"), assets=("P-0017",), owners=("owner=acme", "site=hall ?"))
    told = CliRunner(env={"COLUMNS": "80"}).invoke(main, ["keys"]).stdout
    assert max(map(len, told.splitlines())) <= 80
    for words in ("twin pump", "twin fan-*", "asset", "P-0017", "owner=acme", "site=hall"):
        assert words in told
    for option, wrong in [
        ("--asset", "P/1"),
        ("--asset", ""),
        ("--twin", "a" * 201),
        ("--owner", "=x"),
        ("--owner", "x="),
    ]:
        assert refusal("keys", "new", "wrong", "--scope", "read", option, wrong).startswith(f"{option}: ")
    assert [key.name for key in read_keys(folder / "keys.json")] == ["machine"]


def test_a_revoked_key_is_admitted_no_more(folder):
    token = shown("keys", "new", "gateway", "--scope", "ingest")
    assert shown("keys", "revoke", "gateway") == "gateway counts no more"
    with pytest.raises(Unauthorized):
        Guard(folder / "keys.json").admit(f"Bearer {token}", "ingest")
    assert "there is none" in refusal("keys", "revoke", "gateway")


def test_what_cannot_be_is_refused_in_one_line(folder):
    shown("keys", "new", "gateway", "--scope", "ingest")
    assert "gateway already" in refusal("keys", "new", "gateway", "--scope", "read")
    assert "NAME" in refusal("keys", "new", "hall 3", "--scope", "read")
    for arguments in (["x"], ["x", "--scope", "all"], ["x", "--scope", "read", "--rate", "0"], ["--scope", "read"]):
        assert foretwin("keys", "new", *arguments).exit_code == 2
    (folder / "keys.json").write_text("{")
    assert "keys.json" in refusal("keys")


def test_without_keys_the_list_says_how_to_make_one(folder):
    assert "foretwin keys new" in shown("keys")
    assert not (folder / "keys.json").exists()


def test_another_file_is_used_where_the_environment_names_it(folder, monkeypatch):
    monkeypatch.setenv("FORETWIN_KEYS", str(folder / "sub" / "k.json"))
    shown("keys", "new", "gateway", "--scope", "ingest")
    assert [key.name for key in read_keys(folder / "sub" / "k.json")] == ["gateway"]
    assert not (folder / "keys.json").exists()


@pytest.mark.parametrize("command", [["keys"], ["keys", "new"], ["keys", "list"], ["keys", "revoke"]])
def test_every_command_explains_itself_with_an_example(command):
    told = foretwin(*command, "--help")
    assert told.exit_code == 0
    assert f"  foretwin {' '.join(command)}" in told.output
    if command[-1] in ("keys", "new"):
        assert 'curl -H "Authorization: Bearer' in told.output
