"""The file of API keys: what is kept, who may read it, and how it is changed."""

import hashlib
import json
import logging
import re
import threading
from datetime import UTC, datetime, timedelta

import pytest

from foretwin.errors import BadInput, Conflict, NotFound, ParamsError
from foretwin.serving.access.keys import KeyRequest, keys_path, make_key, read_keys, revoke_key

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.json"


def make(path, name="gateway", scopes=("ingest",), rate=100.0, **more) -> str:
    return make_key(path, KeyRequest(name, scopes, rate, **more), "ann", NOON)


def test_a_key_is_kept_without_its_secret(path, caplog):
    caplog.set_level(logging.INFO)
    token = make(path, scopes=("read", "score", "read"), rate=2.5, expires_at=NOON + DAY)
    assert re.fullmatch(r"ftw_[0-9a-f]{12}_[0-9a-f]{64}", token)
    _, number, secret = token.split("_")
    (key,) = read_keys(path)
    assert (key.id, key.name, key.scopes, key.rate) == (number, "gateway", ("read", "score"), 2.5)
    assert (key.created_at, key.created_by, key.expires_at) == (NOON, "ann", NOON + DAY)
    assert key.digest == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in path.read_text()
    assert secret not in caplog.text
    assert "gateway" in caplog.text
    assert "made by ann" in caplog.text


def test_no_two_tokens_are_alike(path):
    tokens = {make(path, f"key-{i}") for i in range(20)}
    assert len({part for token in tokens for part in token.split("_")[1:]}) == 40


def test_only_its_owner_may_read_the_file(path):
    path.write_text('{"keys": []}')
    path.chmod(0o644)
    make(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_is_valid_until_it_expires_or_is_revoked(path, caplog):
    caplog.set_level(logging.INFO)
    make(path, "short", expires_at=NOON + DAY)
    make(path, "long")
    short, long = read_keys(path)
    assert [short.state(NOON + DAY - timedelta(seconds=1)), short.state(NOON + DAY)] == ["valid", "expired"]
    assert long.state(NOON + 10_000 * DAY) == "valid"
    revoke_key(path, "long", "bob", NOON + DAY)
    long = read_keys(path)[1]
    assert (long.state(NOON + DAY), long.revoked_at, long.revoked_by) == ("revoked", NOON + DAY, "bob")
    assert "revoked by bob" in caplog.text
    with pytest.raises(NotFound, match="there is short"):
        revoke_key(path, "long", "bob", NOON)


def test_a_name_is_free_again_once_its_key_is_revoked(path):
    make(path)
    with pytest.raises(Conflict, match="foretwin keys revoke gateway"):
        make(path)
    revoke_key(path, "gateway", "ann", NOON)
    make(path)
    assert [key.state(NOON) for key in read_keys(path)] == ["revoked", "valid"]


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"name": ""}, "NAME"),
        ({"name": "a/b"}, "NAME"),
        ({"name": "a\n"}, "NAME"),
        ({"name": "x" * 65}, "NAME"),
        ({"scopes": ()}, "--scope"),
        ({"scopes": ("everything",)}, "--scope"),
        ({"rate": 0.0}, "--rate"),
        ({"rate": float("nan")}, "--rate"),
    ],
)
def test_a_key_that_can_be_none_is_refused_and_nothing_is_kept(path, wanted, field):
    with pytest.raises(BadInput) as refused:
        make(path, **wanted)
    assert refused.value.field == field
    assert not path.exists()


def test_several_who_make_keys_at_once_lose_none(path):
    threads = [threading.Thread(target=make, args=(path, f"key-{i}")) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {key.name for key in read_keys(path)} == {f"key-{i}" for i in range(12)}


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"keys": [{}]}', '{"keys": [], "more": 1}', b"\xff\xfe"],
)
def test_a_damaged_file_is_told_in_one_line_and_left_as_it_is(path, content):
    content = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(content)
    for change in (read_keys, make):
        with pytest.raises(ParamsError) as refused:
            change(path)
        assert str(path) in str(refused.value)
        assert "\n" not in str(refused.value)
    assert path.read_bytes() == content


@pytest.mark.parametrize(("field", "value"), [("scopes", ["all"]), ("digest", "abc"), ("rate", -1), ("secret", "x")])
def test_a_damaged_key_is_told_with_its_field(path, field, value):
    make(path)
    content = json.loads(path.read_text())
    content["keys"][0][field] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ParamsError, match=rf"keys\.0\.{field}"):
        read_keys(path)


def test_a_key_keeps_its_bounds_and_one_without_them_is_kept_as_before(path):
    make(path, "free")
    make(path, "bound", twins=["pump"], owners=["acme", "site=b*"])
    free, bound = json.loads(path.read_text())["keys"]
    assert "bounds" not in free, "so that an older version reads the file"
    assert bound["bounds"] == {"twins": ["pump"], "owners": ["owner=acme", "site=b*"]}
    assert [bool(key.bounds) for key in read_keys(path)] == [False, True]
    revoke_key(path, "free", "ann", NOON)
    assert str(read_keys(path)[1].bounds) == "twin pump, owner=acme, site=b*"


@pytest.mark.parametrize("bounds", [{"assets": ["a/b"]}, {"owners": ["acme"]}, {"machines": ["x"]}, {"twins": "pump"}])
def test_damaged_bounds_are_told_and_never_left_out(path, bounds):
    make(path)
    content = json.loads(path.read_text())
    content["keys"][0]["bounds"] = bounds
    path.write_text(json.dumps(content))
    with pytest.raises(ParamsError, match=r"keys\.0\.bounds"):
        read_keys(path)


def test_the_file_is_named_by_the_environment(tmp_path):
    assert keys_path(tmp_path, {}) == tmp_path / "keys.json"
    assert keys_path(tmp_path, {"FORETWIN_KEYS": "secrets/k.json"}) == tmp_path / "secrets/k.json"
    assert str(keys_path(tmp_path, {"FORETWIN_KEYS": "/run/k.json"})) == "/run/k.json"
