"""Who is admitted, and what the others are told."""

import logging
import time
import timeit
from datetime import UTC, datetime, timedelta

import pytest

from foretwin.errors import Forbidden, ParamsError, TooMany, Unauthorized
from foretwin.serving.access import authentication as guarding
from foretwin.serving.access.authentication import Guard
from foretwin.serving.access.keys import SCOPES, KeyRequest, make_key, revoke_key
from foretwin.serving.access.rate import Bucket

pytestmark = pytest.mark.dated


@pytest.fixture(autouse=True)
def _looks_at_every_call(monkeypatch):
    monkeypatch.setattr(guarding, "CHECK_EVERY", 0.0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.json"


def bearer(path, name="dashboard", scopes=("read", "score"), rate=1e6, days=None) -> str:
    now = datetime.now(UTC)
    expires = now + timedelta(days=days) if days is not None else None
    return "Bearer " + make_key(path, KeyRequest(name, scopes, rate, expires), "ann", now)


def refusal(guard, authorization, scope="read", kind=Unauthorized) -> str:
    with pytest.raises(kind) as refused:
        guard.admit(authorization, scope)
    assert refused.value.field == "Authorization"
    return refused.value.reason


def test_a_key_with_the_scope_is_admitted_by_its_name(path):
    header = bearer(path)
    caller = Guard(path).admit(header, "score")
    assert (caller.name, caller.scopes) == ("dashboard", {"read", "score"})
    assert Guard(path).admit(header.replace("Bearer", "bearer"), "read").name == "dashboard"


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (None, "is missing"),
        ("", "is not of the form"),
        ("Basic YW5uOmFubg==", "is not of the form"),
        ("Bearer", "is not of the form"),
        ("Bearer eyJhbGciOi.x.y", "is not of the form"),
        ("Bearer ftw_", "is not of the form"),
        ("Bearer ftw_0123456789ab", "is not of the form"),
        ("Bearer ftw_0123456789ab_" + "0" * 64, "unknown, or was revoked"),
        ("Bearer ftw_\xe4_\xfc", "unknown, or was revoked"),
        ("Bearer ftw_" + "a" * 10_000 + "_b", "unknown, or was revoked"),
    ],
)
def test_who_shows_no_key_that_counts_is_not_admitted(path, header, said):
    bearer(path)
    reason = refusal(Guard(path), header)
    assert said in reason
    assert "dashboard" not in reason


def test_each_character_of_a_secret_counts(path):
    header, guard = bearer(path), Guard(path)
    for place in range(len("Bearer ftw_"), len(header)):
        other = header[:place] + ("0" if header[place] != "0" else "1") + header[place + 1 :]
        assert refusal(guard, other)
    assert refusal(guard, header + "0")
    assert refusal(guard, header[:-1])
    assert guard.admit(header, "read")


def test_unknown_and_revoked_keys_are_refused_with_the_same_words(path):
    header = bearer(path)
    guard = Guard(path)
    assert guard.admit(header, "read")
    revoke_key(path, "dashboard", "ann", datetime.now(UTC))
    number, secret = header.split("_")[1:]
    unknown = f"Bearer ftw_{number[::-1]}_{secret}"
    assert refusal(guard, header) == refusal(guard, unknown) == refusal(Guard(path), header)


def test_an_expired_key_says_when_but_only_to_who_holds_it(path):
    header = bearer(path, days=-1)
    ended = datetime.now(UTC) - timedelta(days=1)
    assert f"key dashboard expired on {ended:%Y-%m-%d}" in refusal(Guard(path), header)
    assert "expired" not in refusal(Guard(path), header[:-1] + ("0" if header[-1] != "0" else "1"))


def test_a_key_expires_while_the_service_runs(path):
    header = bearer(path, days=0.3 / 86400)
    guard = Guard(path)
    assert guard.admit(header, "read")
    time.sleep(0.35)
    assert "expired" in refusal(guard, header)


@pytest.mark.parametrize("scope", ["ingest", "admin"])
def test_a_scope_that_the_key_does_not_have_is_named(path, scope):
    reason = refusal(Guard(path), bearer(path), scope, Forbidden)
    assert f"needs the scope {scope}" in reason
    assert "has read, score" in reason


def test_one_of_several_scopes_is_enough(path):
    header = bearer(path, scopes=("score",))
    assert Guard(path).admit(header, "read", "score")
    with pytest.raises(Forbidden, match="needs the scope read or admin; key dashboard has score"):
        Guard(path).admit(header, "read", "admin")


def test_too_many_calls_are_told_when_the_next_may_come(path):
    header, other = bearer(path, rate=5), bearer(path, "other", rate=5)
    guard = Guard(path)
    for _ in range(5):
        guard.admit(header, "read")
    with pytest.raises(TooMany) as refused:
        guard.admit(header, "read")
    assert "5 calls a second" in refused.value.reason
    assert 0 < refused.value.retry_after <= 0.2
    assert guard.admit(other, "read"), "each key counts for itself"
    time.sleep(refused.value.retry_after + 0.01)
    assert guard.admit(header, "read")


def test_calls_without_the_scope_use_the_rate_up_too(path):
    header = bearer(path, rate=1)
    guard = Guard(path)
    refusal(guard, header, "admin", Forbidden)
    refusal(guard, header, "admin", TooMany)


def test_the_first_call_of_a_new_key_passes_however_slow_it_is(path):
    guard = Guard(path)
    header = bearer(path, rate=1)
    assert guard.admit(header, "read"), "made after the service had started"


def test_another_key_does_not_give_back_what_was_used_up(path):
    header = bearer(path, rate=1)
    guard = Guard(path)
    guard.admit(header, "read")
    new = bearer(path, "new")
    assert guard.admit(new, "read").name == "new"
    refusal(guard, header, kind=TooMany)


def test_a_bucket_lets_its_rate_through_and_a_second_s_worth_after_a_pause():
    bucket = Bucket(2.0, 0.0)
    assert [bucket.take(0.0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert bucket.take(0.25) == 0.25
    assert [bucket.take(0.5), bucket.take(0.5)] == [0.0, 0.5]
    assert [bucket.take(100.0) for _ in range(3)] == [0.0, 0.0, 0.5]
    slow = Bucket(0.1, 0.0)
    assert [slow.take(0.0), slow.take(0.0), slow.take(5.0), slow.take(10.0)] == [0.0, 10.0, 5.0, 0.0]


def test_what_a_file_becomes_counts_within_a_second(path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(guarding, "CHECK_EVERY", 0.3)
    guard = Guard(path)
    assert "holds no key" in caplog.text
    header = bearer(path)
    assert refusal(guard, header), "it has looked just now"
    time.sleep(0.31)
    assert guard.admit(header, "read")
    assert "keys that count: 1" in caplog.text
    path.unlink()
    time.sleep(0.31)
    assert refusal(guard, header)


def test_a_file_that_cannot_be_read_any_more_leaves_the_keys_and_is_told_once(path, caplog):
    header = bearer(path)
    guard = Guard(path)
    kept = path.read_bytes()
    path.write_bytes(kept[:-20])
    for _ in range(3):
        assert guard.admit(header, "read")
    path.unlink()
    path.mkdir()
    for _ in range(3):
        assert guard.admit(header, "read")
    told = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert len(told) == 2, "once for each way in which it cannot be read"
    path.rmdir()
    revoke_path = path.with_name("other.json")
    bearer(revoke_path, "other")
    revoke_path.rename(path)
    assert refusal(guard, header)


def test_a_damaged_file_stops_the_start(path):
    path.write_text("{")
    with pytest.raises(ParamsError, match="keys"):
        Guard(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ParamsError, match="cannot be read"):
        Guard(path)


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o440, False), (0o644, True), (0o620, True)])
def test_a_file_that_others_may_read_or_change_is_warned_of(path, caplog, mode, warned):
    bearer(path)
    path.chmod(mode)
    Guard(path)
    assert ("chmod 600" in caplog.text) == warned


def test_access_is_open_only_where_it_is_said(tmp_path):
    assert not Guard.from_env(tmp_path, {}).is_open
    assert not Guard.from_env(tmp_path, {"FORETWIN_ACCESS": "keys"}).is_open
    open_guard = Guard.from_env(tmp_path, {"FORETWIN_ACCESS": "open"})
    assert open_guard.is_open
    assert open_guard.admit(None, "admin").scopes == set(SCOPES)
    with pytest.raises(ParamsError, match="FORETWIN_ACCESS"):
        Guard.from_env(tmp_path, {"FORETWIN_ACCESS": "opne"})


def test_keys_of_another_file_are_taken(tmp_path):
    header = bearer(tmp_path / "elsewhere.json")
    assert Guard.from_env(tmp_path, {"FORETWIN_KEYS": "elsewhere.json"}).admit(header, "read")
    assert refusal(Guard.from_env(tmp_path, {}), header)


def test_a_call_is_admitted_in_a_few_microseconds(path, monkeypatch):
    monkeypatch.setattr(guarding, "CHECK_EVERY", 1.0)
    header = bearer(path)
    guard = Guard(path)
    seconds = min(timeit.repeat(lambda: guard.admit(header, "read"), number=2000, repeat=7)) / 2000
    assert seconds < 20e-6, "1.5 microseconds on an idle machine"
