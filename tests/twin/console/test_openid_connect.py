"""What a provider may answer wrongly, by a server of our own on this machine; settings and claims."""

import asyncio
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from foretwin.errors import ParamsError
from foretwin.serving.access.authentication import Guard
from foretwin.serving.access.keys import ROLES
from foretwin.twin.console import openid_connect
from foretwin.twin.console.inner_calls import Refused
from foretwin.twin.console.openid_connect import ATTEMPT_LASTS, Provider, Registration, new_attempt
from foretwin.twin.console.person_claims import ClaimRules
from foretwin.twin.console.provider_settings import provider_from_env

pytestmark = pytest.mark.dated

BACK = "http://127.0.0.1:3100/sign-in/return"
OWN, FOREIGN = (RSAKey.generate_key(2048, {"kid": kid}) for kid in ("1", "2"))
SHARED = OctKey.import_key("a secret of the client that is long enough", {"kid": "1"})


class Liar:
    """A provider whose answers a test chooses: `claims` of the token, `key` and `alg` by which it is signed."""

    def __init__(self):
        liar = self
        self.answers, self.claims, self.key, self.alg, self.token = {}, {}, OWN, "RS256", None

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                status, content = liar.answer(urlsplit(self.path).path)
                body = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                self.do_GET()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, path):
        usual = {
            "/.well-known/openid-configuration": lambda: {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/auth",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "userinfo_endpoint": f"{self.issuer}/me",
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            },
            "/jwks": lambda: {"keys": [OWN.as_dict(private=False)]},
            "/me": lambda: {"sub": "ann", "groups": ["planners"]},
            "/token": lambda: {"access_token": "a", "token_type": "Bearer", "id_token": self.token or self.signed()},
        }
        return self.answers.get(path) or (200, usual[path]())

    def signed(self):
        allowed = [self.alg]
        return jwt.encode({"alg": self.alg, "kid": self.key.kid}, self.claims, self.key, algorithms=allowed)


@pytest.fixture
def liar():
    server = Liar()
    yield server
    server.server.shutdown()
    server.server.server_close()


def come_back(liar, provider=None, **claims):
    """Leave for it and come back with a code; what the provider says of whom."""
    provider = provider or Provider(Registration(liar.issuer, "foretwin", "s", "openid"))

    async def walk():
        attempt = new_attempt()
        asked = parse_qs(urlsplit(await provider.way_there(attempt, BACK)).query)
        now = int(time.time())
        usual = {"iss": liar.issuer, "sub": "ann", "aud": "foretwin", "iat": now, "exp": now + 60}
        told = usual | {"nonce": asked["nonce"][0]} | claims
        liar.claims = {name: value for name, value in told.items() if value is not None}
        return await provider.take_answer(attempt, {"code": "c", "state": asked["state"][0]}, BACK)

    return asyncio.run(walk())


def test_a_token_of_the_provider_for_us_is_believed_with_what_it_tells_apart_from_it(liar):
    person = come_back(liar, preferred_username="ann")
    assert (person.claims["sub"], person.claims["groups"]) == ("ann", ["planners"])
    assert person.id_token.count(".") == 2


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://else.example"},
        {"iss": None},
        {"aud": "somebody-else"},
        {"aud": ["foretwin", "somebody-else"]},
        {"aud": None},
        {"azp": "somebody-else"},
        {"nonce": "0" * 64},
        {"nonce": None},
        {"exp": 1700000000},
        {"exp": None},
        {"iat": 4000000000},
        {"sub": ""},
        {"sub": None},
        {"at_hash": "AAAA"},
        {"at_hash": 7, "aud": {"a": 1}},
        {"exp": "soon"},
    ],
    ids=str,
)
def test_a_token_for_somebody_or_something_else_is_refused(liar, claims):
    with pytest.raises(Refused) as refused:
        come_back(liar, **claims)
    assert refused.value.status == 401


@pytest.mark.parametrize(("key", "alg"), [(FOREIGN, "RS256"), (SHARED, "HS256"), (OWN, "RS384")])
def test_a_token_that_the_provider_did_not_sign_as_it_says_is_refused(liar, key, alg):
    liar.key, liar.alg = key, alg
    with pytest.raises(Refused) as refused:
        come_back(liar)
    assert refused.value.status == 401


@pytest.mark.parametrize("token", ["eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.", "a.b.c", "", "x", 7])
def test_a_token_that_is_none_is_refused(liar, token):
    liar.token = token or "."
    with pytest.raises(Refused):
        come_back(liar)


def test_keys_that_the_provider_has_changed_are_asked_for_again(liar):
    provider = Provider(Registration(liar.issuer, "foretwin", "s", "openid"))
    come_back(liar, provider)
    liar.answers["/jwks"] = (200, {"keys": [FOREIGN.as_dict(private=False)]})
    liar.key = FOREIGN
    assert come_back(liar, provider).claims["sub"] == "ann"


@pytest.mark.parametrize(
    ("path", "answer", "status", "said"),
    [
        ("/me", (200, {"sub": "eve", "groups": ["plant-it"]}), 401, "somebody else"),
        ("/token", (400, {"error": "invalid_client"}), 502, "answers /token with 400 invalid_client"),
        ("/token", (500, b"<html>"), 503, "answers /token with 500"),
        ("/token", (200, {"access_token": "a"}), 502, "must name openid"),
        ("/jwks", (200, b"x" * (openid_connect.LARGEST + 1)), 502, "more than"),
        ("/jwks", (200, {"keys": 7}), 502, "has no keys"),
        ("/jwks", (200, {}), 502, "has no keys"),
        ("/.well-known/openid-configuration", (404, b""), 502, "with 404"),
        ("/.well-known/openid-configuration", (200, {"issuer": "https://else.example"}), 502, "calls itself"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_goes_wrong_at_the_provider_is_one_line(liar, path, answer, status, said):
    liar.answers[path] = answer
    with pytest.raises(Refused) as refused:
        come_back(liar)
    assert refused.value.status == status
    assert said in refused.value.detail
    assert "\n" not in refused.value.detail


def test_no_secret_goes_to_an_address_that_others_read(liar):
    _, told = liar.answer("/.well-known/openid-configuration")
    liar.answers["/.well-known/openid-configuration"] = (200, {**told, "token_endpoint": "http://plant.example/token"})
    with pytest.raises(Refused, match="no https address as its token_endpoint"):
        come_back(liar)


def test_a_provider_that_never_answers_is_given_up(liar, monkeypatch):
    monkeypatch.setattr(openid_connect, "PATIENCE", 0.2)
    liar.answer = lambda _: time.sleep(1) or (200, {})
    with pytest.raises(Refused, match="does not answer"):
        come_back(liar)


def test_an_attempt_ends_after_its_time(liar, monkeypatch):
    provider = Provider(Registration(liar.issuer, "foretwin", "", "openid"))
    attempt = f"{int(time.time() - ATTEMPT_LASTS - 1)}.x"
    state = provider._derived(attempt, "state")
    with pytest.raises(Refused, match="too late"):
        asyncio.run(provider.take_answer(attempt, {"code": "c", "state": state}, BACK))
    for other in ("", "x", "9" * 40 + ".x", "²3.x"):
        with pytest.raises(Refused, match="too late"):
            asyncio.run(provider.take_answer(other, {"code": "c", "state": provider._derived(other, "state")}, BACK))


USUAL = {"ISSUER": "https://login.example/realm", "CLIENT_ID": "foretwin", "ROLES": "plant-it=administrator"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ISSUER": "http://login.example"}, "ISSUER: http://login.example: is no https"),
        ({"ISSUER": ""}, "CLIENT_ID: is set without FORETWIN_OIDC_ISSUER"),
        ({"CLIENT_ID": ""}, "CLIENT_ID: is missing"),
        ({"ROLES": ""}, "ROLES: is missing"),
        ({"ROLES": "a=planer"}, '"a=planer": VALUE=ROLE is needed; roles are viewer'),
        ({"ROLES": "planner"}, '"planner": VALUE=ROLE'),
        ({"SCOPES": "profile"}, "SCOPES: does not name openid"),
    ],
)
def test_settings_that_cannot_hold_are_refused_by_name(changed, said):
    environ = {f"FORETWIN_OIDC_{name}": value for name, value in {**USUAL, **changed}.items()}
    with pytest.raises(ParamsError) as refused:
        provider_from_env(environ)
    assert said in str(refused.value)


def test_nobody_signs_in_elsewhere_without_settings_and_no_secret_is_shown():
    assert provider_from_env({}) is None
    made, _ = provider_from_env({f"FORETWIN_OIDC_{name}": value for name, value in USUAL.items()})
    assert made.host == "login.example"
    assert "hunter2" not in repr(Registration("https://a", "b", "hunter2", "openid"))


def rules(owner_claim: str = "", role_claim: str = "groups", name_claim: str = "preferred_username") -> ClaimRules:
    return ClaimRules(name_claim, role_claim, {"p": "planner", "v": "viewer", "cn=x,ou=y": "engineer"}, owner_claim)


@pytest.mark.parametrize(
    ("role_claim", "claims", "role"),
    [
        ("groups", {"groups": ["v", "p", 7]}, "planner"),
        ("groups", {"groups": "v"}, "viewer"),
        ("realm.roles", {"realm": {"roles": ["p"]}}, "planner"),
        ("https://a.b/roles", {"https://a.b/roles": ["cn=x,ou=y"]}, "engineer"),
        ("groups", {}, None),
        ("groups", {"groups": {"p": True}}, None),
        ("groups", {"groups": ["administrator", "P"]}, None),
    ],
)
def test_a_role_is_given_by_the_values_of_one_claim(role_claim, claims, role):
    told = {"preferred_username": "ann", **claims}
    if role is None:
        with pytest.raises(Refused, match="gives ann@a no role"):
            rules(role_claim=role_claim).person_of(told, "https://a/b")
    else:
        person = rules(role_claim=role_claim).person_of(told, "https://a/b")
        assert (person.name, person.scopes, bool(person.bounds)) == ("ann@a", frozenset(ROLES[role]), False)


def test_roles_are_read_with_values_that_hold_equals_signs():
    found = ClaimRules.from_env({"FORETWIN_OIDC_ROLES": "cn=x,ou=y=engineer; v = viewer;"})
    assert found.roles == {"cn=x,ou=y": "engineer", "v": "viewer"}


@pytest.mark.parametrize(
    ("owners", "bounds"),
    [(["acme"], "owner=acme"), ("acme", "owner=acme"), (["a", "b"], "owner=a, owner=b"), (["a", "*"], "")],
)
def test_owners_bind_a_person(owners, bounds):
    claims = {"preferred_username": "carl", "groups": "v", "customer": owners}
    assert str(rules("customer").person_of(claims, "https://a").bounds) == bounds


@pytest.mark.parametrize("owners", [None, [], [""], ["a*"], ["?"], ["a\n"], 7])
def test_who_is_to_be_bound_and_to_nobody_in_particular_sees_nothing(owners):
    with pytest.raises(Refused) as refused:
        rules("customer").person_of({"preferred_username": "carl", "groups": "v", "customer": owners}, "https://a")
    assert (refused.value.status, refused.value.field) == (403, "customer")


@pytest.mark.parametrize("name", [None, "", " ", "key/ann", "a\\b", "a\nb", "x" * 101, 7])
def test_a_name_that_could_be_read_as_something_else_in_the_audit_is_refused(name):
    with pytest.raises(Refused, match="is no name"):
        rules().person_of({"preferred_username": name, "groups": "v"}, "https://a")


def test_an_address_that_the_provider_did_not_verify_names_nobody():
    claims = {"email": "ann@plant.example", "groups": "v"}
    with pytest.raises(Refused, match="is not verified there"):
        rules(name_claim="email").person_of(claims, "https://a")
    person = rules(name_claim="email").person_of({**claims, "email_verified": True}, "https://a")
    assert person.name == "ann@plant.example"


def test_a_lent_key_ends_by_itself_outlives_a_change_of_the_file_and_the_oldest_ends_for_one_more(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("foretwin.serving.access.authentication.MOST_LENT", 2)
    guard = Guard(tmp_path / "keys.json")
    caller = rules().person_of({"preferred_username": "ann", "groups": "v"}, "https://a")
    key = guard.lend(caller, 100)
    guard._take(())
    assert guard.admit(f"Bearer {key}", "read").name == "ann@a"
    newer = [guard.lend(caller, 100) for _ in range(2)]
    assert len(guard._lent) == 2
    guard.take_back(newer[0])
    late = guard.lend(caller, -1)
    for one in (key, newer[0], late):
        with pytest.raises(Exception, match=r"unknown|expired"):
            guard.admit(f"Bearer {one}", "read")
