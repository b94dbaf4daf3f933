"""Sign-in at a provider of OpenID Connect: npm's oidc-provider on this machine, at another site than the console."""

import html
import logging
import re
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import expect

from benchmarks.browser import chromium
from foretwin.serving.access.authentication import Guard
from foretwin.serving.access.keys import KeyRequest, make_key
from foretwin.twin.console.sessions import PROVIDER, SESSION
from foretwin.twin.store import open_store
from support.accessible import check_access
from support.live_project import live, living_project, message, score
from support.npm_peers import npm_folder
from support.small_console import Visitor

pytestmark = pytest.mark.dated

SECRET = "s+cret/with:signs"  # noqa: S105 - of a provider on this machine
ATTEMPT, BACK = "foretwin-attempt", "/sign-in/return"


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    return npm_folder(tmp_path_factory.mktemp("npm"), "oidc-provider@9.13.3", "openid_provider.mjs")


@pytest.fixture(scope="module")
def port():
    with socket.create_server(("localhost", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def plant(tmp_path_factory, port):
    """URL, guard and key of a server of a machine of acme and one of rival, each with a case."""
    root = living_project(tmp_path_factory.mktemp("provider") / "project")
    key = make_key(
        root / "keys.json", KeyRequest("root", ["read", "operate", "ingest", "admin"], 1e6), "ann", datetime.now(UTC)
    )
    store, guard = open_store(f"sqlite:///{root}/twins.db"), Guard(root / "keys.json")
    settings = {"ISSUER": f"http://localhost:{port}", "CLIENT_ID": "foretwin", "CLIENT_SECRET": SECRET}
    settings |= {"ROLES": "planners=planner; customers=viewer; plant-it=administrator", "OWNER_CLAIM": "owner"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(f"FORETWIN_OIDC_{name}", value)
        with live(store, root, guard) as client:
            client.headers["authorization"] = f"Bearer {key}"
            for name, owner in {"P-1": "acme", "P-2": "rival"}.items():
                client.put(f"/v1/twins/{name}", json={"twin": "pump", "tags": {"owner": owner}}).raise_for_status()
                client.post(f"/v1/twins/{name}/readings", json=message(count=4)).raise_for_status()
            score(store, root)
            yield str(client.base_url).rstrip("/"), guard, key
    store.close()


def test_a_provider_that_is_away_is_told_in_one_line_and_a_key_still_opens_the_pages(plant, port):
    url, _, key = plant
    guest = Visitor(url)
    answer = guest.client.get("/sign-in/provider")
    told = re.search(r'role="alert">(.*?)</p>', answer.text, re.DOTALL).group(1)
    assert (answer.status_code, "\n" in told.strip()) == (503, False)
    assert told.startswith("provider: localhost does not answer")
    assert guest.sign_in(key).headers["location"] == "/"


@pytest.fixture(scope="module")
def provider(modules, plant, port):
    """The provider's process, from now on."""
    command = ["node", "openid_provider.mjs", str(port), plant[0]]
    process = subprocess.Popen(command, cwd=modules, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout.readline() == "listening\n"
    yield f"http://localhost:{port}"
    process.kill()
    process.wait()


class Person(Visitor):
    """A browser that goes to the provider and back; its cookies are kept apart by site."""

    def __init__(self, url):
        super().__init__(url)
        self.there = httpx.Client(trust_env=False, timeout=30)

    def leave(self) -> str:
        """The address at which the provider wants to be asked."""
        answer = self.client.get("/sign-in/provider")
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def prove(self, place: str, name: str) -> str:
        """Sign in at the provider; the address to which it sends back."""
        answer = self.there.get(place)
        while answer.status_code in (302, 303):
            place = str(httpx.URL(place).join(answer.headers["location"]))
            if urlsplit(place).path == BACK:
                return place
            answer = self.there.get(place)
            if answer.status_code == 200:
                told = {"prompt": "login", "login": name, "password": "any"}
                action = html.unescape(re.search(r'action="([^"]+)"', answer.text).group(1))
                answer = self.there.post(action, data=told)
        raise AssertionError(answer.text)

    def come(self, name: str) -> httpx.Response:
        return self.client.get(self.prove(self.leave(), name))


def test_a_person_has_the_role_and_the_name_that_the_provider_says(plant, provider, caplog):
    caplog.set_level(logging.DEBUG)
    ann = Person(plant[0])
    asked = ann.leave()
    query = {name: values[0] for name, values in parse_qs(urlsplit(asked).query).items()}
    assert (query["response_type"], query["code_challenge_method"], len(query["state"])) == ("code", "S256", 64)
    back = ann.prove(asked, "ann")
    answer = ann.client.get(back)
    assert (answer.status_code, 'content="0; url=/"' in answer.text) == (200, True)
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith(SESSION)).lower()
    assert ("httponly" in cookie, "samesite=strict" in cookie) == (True, True)
    assert "ann@localhost" in ann.see("/")
    assert "P-1" in ann.see("/")
    assert "P-2" in ann.see("/"), "an owner * is bound to nobody"
    assert ann.send("/cases/1", "/cases/1/comments", text="seen").status_code == 303
    assert "ann@localhost" in ann.text("/cases/1")
    assert ann.send("/cases/1", "/cases/1/assign", assignee="bob").status_code == 303
    token = re.search(r'name="token" value="(\w+)"', ann.see("/")).group(1)
    assert ann.post("/models/pump/rollback", token=token, reason="why not").status_code == 403
    assert "belongs to a key" in ann.text("/calendar")
    assert "feed=" not in ann.see("/calendar")
    # pytest gives uvicorn.access a handler; the service gives it none.
    names = ("foretwin", "uvicorn.error", "authlib")
    own = "\n".join(one.getMessage() for one in caplog.records if one.name.startswith(names))
    assert "ann@localhost signed in at localhost" in own
    code = parse_qs(urlsplit(back).query)["code"][0]
    for secret in (code, SECRET, ann.client.cookies[SESSION], query["state"]):
        assert secret not in own


def test_a_customer_sees_his_own_machines_alone(plant, provider):
    carl = Person(plant[0])
    carl.come("carl")
    assert "P-1" in carl.see("/")
    assert "P-2" not in carl.see("/") + carl.see("/cases")
    carl.see("/machines/P-2", 403)
    assert "Acknowledge" not in carl.text("/cases/1")


def test_a_name_that_the_provider_says_becomes_no_mark(plant, provider):
    mallory = Person(plant[0])
    mallory.come("<img src=x onerror=alert(1)>")
    mallory.send("/cases/2", "/cases/2/comments", text="seen")
    for page in (mallory.see("/"), mallory.see("/cases/2")):
        assert "<img src=x" not in page
        assert "&lt;img src=x onerror=alert(1)&gt;@localhost" in page


def test_who_has_no_role_is_told_so_and_has_no_session(plant, provider):
    eve = Person(plant[0])
    answer = eve.come("eve")
    assert answer.status_code == 403
    assert "groups: gives eve@localhost no role here" in answer.text
    assert SESSION not in eve.client.cookies
    assert eve.client.get("/").status_code == 303


def test_an_answer_counts_once_and_for_its_own_browser(plant, provider):
    ann, other = Person(plant[0]), Person(plant[0])
    back = ann.prove(ann.leave(), "ann")
    assert other.client.get(back).status_code == 401, "it was not asked by this browser"
    other.leave()
    assert other.client.get(back).status_code == 401, "it was asked by another attempt"
    forged = back.replace("state=", "state=0")
    attempt = ann.client.cookies.get(ATTEMPT)
    assert ann.client.get(forged).status_code == 401
    assert ATTEMPT not in ann.client.cookies, "an attempt ends with its answer"
    ann.client.cookies.set(ATTEMPT, attempt, path=BACK)
    assert ann.client.get(back).status_code == 200
    ann.client.cookies.set(ATTEMPT, attempt, path=BACK)
    again = ann.client.get(back)
    assert (again.status_code, "invalid_grant" in again.text) == (502, True), "a code counts once"
    assert other.client.get("/").status_code == 303


def test_an_answer_that_is_late_or_an_error_begins_nothing(plant, provider):
    ann = Person(plant[0])
    ann.leave()
    began = ann.client.cookies.get(ATTEMPT)
    ann.client.cookies.set(ATTEMPT, "1700000000." + began.partition(".")[2], path=BACK)
    assert ann.client.get(BACK, params={"code": "x", "state": "y"}).status_code == 401
    ann = Person(plant[0])
    state = parse_qs(urlsplit(ann.leave()).query)["state"][0]
    answer = ann.client.get(BACK, params={"error": "access_denied<script>", "state": state})
    assert (answer.status_code, "access_deniedscript" in answer.text) == (403, True)


def test_a_session_that_somebody_else_chose_is_never_taken(plant, provider):
    ann = Person(plant[0])
    ann.client.cookies.set(SESSION, "chosen-by-somebody-else", domain="127.0.0.1", path="/")
    ann.come("ann")
    cookies = {one.value for one in ann.client.cookies.jar if one.name == SESSION}
    assert len(cookies - {"chosen-by-somebody-else"}) == 1
    other = Visitor(plant[0])
    other.client.cookies.set(SESSION, "chosen-by-somebody-else")
    assert other.client.get("/").status_code == 303


def test_sign_out_ends_the_session_the_lent_key_and_the_session_at_the_provider(plant, provider):
    url, guard, key = plant
    ann = Person(url)
    before = len(guard._lent)
    ann.come("ann")
    assert len(guard._lent) == before + 1
    old, answer = ann.client.cookies[SESSION], ann.send("/", "/sign-out")
    assert answer.status_code == 200
    assert len(guard._lent) == before
    ann.client.cookies.set(SESSION, old)
    assert ann.client.get("/").status_code == 303
    place = html.unescape(re.search(r'content="0; url=([^"]+)"', answer.text).group(1))
    assert place.startswith(f"{provider}/session/end?")
    asked = ann.there.get(place).text
    secret = re.search(r'name="xsrf" value="(\w+)"', asked).group(1)
    left = ann.there.post(f"{provider}/session/end/confirm", data={"xsrf": secret, "logout": "yes"})
    assert left.headers["location"] == f"{url}/sign-in"
    asked_again = ann.there.get(httpx.URL(provider).join(ann.there.get(ann.leave()).headers["location"]))
    assert 'name="login"' in asked_again.text, "it asks again who it is"
    by_key = Visitor(url)
    by_key.sign_in(key)
    assert by_key.send("/", "/sign-out").headers["location"] == "/sign-in", "who came with a key is at no provider"


def call(plant, method: str, path: str) -> dict:
    headers = {"authorization": f"Bearer {plant[2]}"}
    return httpx.request(method, f"{plant[0]}{path}", headers=headers, trust_env=False).raise_for_status().json()


def end_sessions(plant, name: str) -> None:
    """End those of one person, as the hour does after which the provider is asked again."""
    for one in call(plant, "GET", "/v1/sessions")["items"]:
        if one["name"] == f"{name}@localhost":
            call(plant, "POST", f"/v1/sessions/{one['id']}/end")


def test_the_provider_is_asked_again_after_an_hour_and_the_page_comes_back(plant, provider):
    ann = Person(plant[0])
    ann.come("ann")
    (session,) = [one for one in call(plant, "GET", "/v1/sessions")["items"] if one["name"] == "ann@localhost"][:1]
    began, ends = (datetime.fromisoformat(session[name]) for name in ("began_at", "ends_at"))
    assert (ends - began, session["at_provider"], session["role"]) == (timedelta(hours=1), True, "planner")
    end_sessions(plant, "ann")
    leaving = ann.client.get("/machines/P-1?from=a%26b").headers["location"]
    assert urlsplit(leaving).path == "/sign-in/provider"
    there = ann.client.get(leaving).headers["location"]
    assert parse_qs(urlsplit(there).query)["prompt"] == ["none"]
    answer = ann.client.get(ann.prove(there, "nobody asks for a name"))
    place = html.unescape(re.search(r'content="0; url=([^"]+)"', answer.text).group(1))
    assert place == "/machines/P-1?from=a%26b"
    assert "ann@localhost" in ann.see(place)
    for away in ("//elsewhere.example", "https://elsewhere.example/", "/\\elsewhere.example", "x"):
        there = ann.client.get("/sign-in/provider", params={"page": away}).headers["location"]
        assert 'content="0; url=/"' in ann.client.get(ann.prove(there, "ann")).text, away


def test_whom_the_provider_knows_no_more_is_told_and_finds_the_page_after_all(plant, provider):
    ann = Person(plant[0])
    ann.come("ann")
    end_sessions(plant, "ann")
    ann.there = httpx.Client(trust_env=False, timeout=30)
    there = ann.client.get(ann.client.get("/cases?state=open").headers["location"]).headers["location"]
    answer = ann.client.get(ann.prove(there, "ann"))
    assert (answer.status_code, "does not know you any more" in answer.text) == (401, True)
    assert PROVIDER not in ann.client.cookies, "it is not asked without a word again"
    assert ann.client.get("/").headers["location"] == "/sign-in"
    link = html.unescape(re.search(r'href="(/sign-in/provider[^"]*)"', answer.text).group(1))
    answer = ann.client.get(ann.prove(ann.client.get(link).headers["location"], "ann"))
    assert 'url=/cases?state=open"' in html.unescape(answer.text)


def test_who_signs_out_after_the_end_of_the_session_is_not_signed_in_without_a_word(plant, provider):
    ann = Person(plant[0])
    ann.come("ann")
    token = re.search(r'name="token" value="(\w+)"', ann.see("/")).group(1)
    end_sessions(plant, "ann")
    assert ann.post("/sign-out", token=token).headers["location"] == "/sign-in"
    assert ann.client.get("/").headers["location"] == "/sign-in"


def test_a_form_of_a_session_that_has_ended_is_kept(plant, provider):
    ann = Person(plant[0])
    ann.come("ann")
    token = re.search(r'name="token" value="(\w+)"', ann.see("/cases/1")).group(1)
    end_sessions(plant, "ann")
    written = {"text": 'a long <b>story</b> of "bearings"'}
    answer = ann.post("/cases/1/comments", token=token, **written)
    assert answer.status_code == 401
    assert "&lt;b&gt;story&lt;/b&gt;" in answer.text
    assert 'href="/sign-in/provider?silent=true&amp;page=%2F" target="_blank"' in answer.text
    stranger = Visitor(plant[0])
    assert stranger.post("/cases/1/comments", **written).headers["location"] == "/sign-in"
    ann.come("ann")
    shown = ann.post("/cases/1/comments", token=re.search(r'value="(\w{64})"', answer.text).group(1), **written)
    assert (shown.status_code, "of an earlier session" in shown.text) == (403, True)
    assert "long" not in ann.text("/cases/1"), "it was not taken"
    foreign = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-site"}
    refused = ann.client.post("/cases/1/comments", content="text=forged", headers=foreign)
    assert (refused.status_code, "forged" in refused.text) == (403, False), "another site's form is not shown"
    fresh = re.search(r'value="(\w{64})"', shown.text).group(1)
    assert ann.post("/cases/1/comments", token=fresh, **written).status_code == 303
    assert written["text"] in ann.text("/cases/1")


def test_a_role_that_is_taken_away_at_the_provider_ends_here_too(plant, provider):
    carl = Person(plant[0])
    carl.come("carl")
    httpx.get(f"{provider}/leave/carl", trust_env=False).raise_for_status()
    assert carl.client.get("/").status_code == 200, "within the hour"
    end_sessions(plant, "carl")
    there = carl.client.get(carl.client.get("/cases").headers["location"]).headers["location"]
    answer = carl.client.get(carl.prove(there, "carl"))
    assert (answer.status_code, "gives carl@localhost no role here" in answer.text) == (403, True)
    assert carl.client.get("/").headers["location"] == "/sign-in"


def test_a_browser_comes_back_from_another_site_and_is_signed_in(plant, provider):
    with chromium() as browser:
        page = browser.new_page()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.goto(f"{plant[0]}/sign-in")
            check_access(page)
        page.get_by_role("link", name="Sign in at localhost").click()
        page.get_by_placeholder("Enter any login").fill("ann")
        page.get_by_placeholder("and password").fill("any")
        page.get_by_role("button").click()
        expect(page.get_by_text("ann@localhost")).to_be_visible()
        assert page.url == f"{plant[0]}/"
        end_sessions(plant, "ann")
        page.get_by_role("link", name="Calendar").click()
        expect(page).to_have_url(f"{plant[0]}/calendar")
        page.goto(f"{plant[0]}/cases/2")
        page.get_by_label("What is there to say?").fill("crane is booked")
        end_sessions(plant, "ann")
        page.get_by_role("button", name="Comment").click()
        expect(page.get_by_role("heading", name="Not sent")).to_be_visible()
        check_access(page)
        with page.context.expect_page() as opened:
            page.get_by_role("link", name="Sign in again").click()
        expect(opened.value.get_by_text("ann@localhost")).to_be_visible()
        opened.value.close()
        for _ in range(2):  # the second time with the form of the new session
            page.get_by_role("button", name="Send it").click()
        expect(page.locator(".comment").filter(has_text="ann@localhost")).to_contain_text("crane is booked")
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(re.compile("/session/end"))
