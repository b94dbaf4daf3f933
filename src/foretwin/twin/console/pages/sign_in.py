"""Sign-in with an API key or at a provider of OpenID Connect, and sign-out."""

import logging
from typing import TYPE_CHECKING, Any

from starlette.responses import RedirectResponse, Response

from foretwin.serving.access.authentication import Caller
from foretwin.serving.access.bounds import Bounds
from foretwin.twin.console.inner_calls import InnerCalls, Refused
from foretwin.twin.console.sessions import ASK_AGAIN, PROVIDER, SESSION
from foretwin.twin.console.signing_in_again import forget_provider, is_own_page
from foretwin.twin.console.visits import Visit, go_to, keep_cookie

if TYPE_CHECKING:
    from foretwin.twin.console.openid_connect import Provider
    from foretwin.twin.console.person_claims import ClaimRules

BACK = "/sign-in/return"
ATTEMPT = "foretwin-attempt"  # cookie of somebody who is at the provider; it comes back from that other site

logger = logging.getLogger("foretwin.access")


async def show_sign_in(visit: Visit) -> Response:
    """GET /sign-in: the form; where nobody needs a key, or somebody is signed in, the home page instead."""
    if visit.desk.is_open or visit.session is not None:
        return go_to("/")
    return _sign_in_page(visit)


async def begin_session(visit: Visit) -> Response:
    """POST /sign-in: begin a session with the key of the form; a session that there was ends."""
    key = visit.form.get("key", "")
    _end_sent(visit)
    try:
        known = await InnerCalls(visit.request, {"authorization": _header(key)}).get("/v1/caller")
    except Refused as refused:
        return _sign_in_page(visit, _said(visit, refused), refused.status)
    bounds = Bounds.model_validate({kind: known[kind] for kind in Bounds.model_fields})
    cookie = visit.desk.sessions.begin(key, Caller(known["name"], frozenset(known["scopes"]), bounds))
    answer = go_to("/")
    keep_cookie(visit, answer, SESSION, cookie)
    forget_provider(answer)
    return answer


async def leave_for_provider(visit: Visit) -> Response:
    """GET /sign-in/provider: send the browser to the provider, with a cookie by which its answer is known again.

    `page` is where to come back to. With `silent` the provider asks nothing: it knows who that is still, or does not.
    """
    from foretwin.twin.console.openid_connect import ATTEMPT_LASTS, new_attempt

    provider, _ = _provider(visit)
    wanted = visit.query.get("page", "/")
    attempt = new_attempt(wanted if is_own_page(wanted) else "/")
    try:
        place = await provider.way_there(attempt, visit.origin + BACK, "silent" in visit.query)
    except Refused as refused:
        return _refused_page(visit, refused, wanted)
    answer = RedirectResponse(place, 303)
    answer.set_cookie(ATTEMPT, attempt, max_age=int(ATTEMPT_LASTS), **_attempt_cookie(visit))
    return answer


async def begin_provider_session(visit: Visit) -> Response:
    """GET /sign-in/return: begin a session for whom the provider names; a session that there was ends.

    The page leads back by itself: what a redirect asks for would still count as asked by the provider's site, and come
    without the cookie of the session.
    """
    from foretwin.twin.console.openid_connect import wanted_page

    provider, rules = _provider(visit)
    words = visit.words
    attempt = visit.request.cookies.get(ATTEMPT, "")
    wanted = wanted_page(attempt)
    _end_sent(visit)
    try:
        person = await provider.take_answer(attempt, visit.query, visit.origin + BACK)
        caller = rules.person_of(person.claims, provider.client.issuer)
    except Refused as refused:
        answer = _refused_page(visit, refused, wanted)
        forget_provider(answer)
    else:
        key = visit.desk.guard.lend(caller, ASK_AGAIN)
        cookie = visit.desk.sessions.begin(key, caller, person.id_token, ASK_AGAIN)
        logger.info("%s signed in at %s, as its subject %.200r", caller.name, provider.host, person.claims["sub"])
        link = words.text("To the fleet") if wanted == "/" else words.text("Back to the page")
        answer = _on_the_way(visit, wanted, words.text("You are signed in."), link)
        keep_cookie(visit, answer, SESSION, cookie)
        keep_cookie(visit, answer, PROVIDER, "yes")
    answer.delete_cookie(ATTEMPT, **_attempt_cookie(visit))
    return answer


async def end_session(visit: Visit) -> Response:
    """POST /sign-out: end the session, and that at the provider where it was begun there."""
    _end_sent(visit)
    answer, words = go_to("/sign-in"), visit.words
    if visit.session is not None and visit.session.id_token and visit.desk.provider is not None:
        provider, _ = visit.desk.provider
        try:
            place = await provider.way_out(visit.session.id_token, f"{visit.origin}/sign-in")
        except Refused:
            place = None  # it is away: there is nothing to sign out of until it is back
        if place:
            said, link = words.text("You are signed out here."), words.text("Sign out at the provider too")
            answer = _on_the_way(visit, place, said, link)
    answer.delete_cookie(SESSION, path="/", httponly=True, samesite="strict")
    forget_provider(answer)
    return answer


def _provider(visit: Visit) -> "tuple[Provider, ClaimRules]":
    if visit.desk.provider is None or visit.desk.is_open:
        raise Refused(404, "path", "nobody signs in at a provider here")
    return visit.desk.provider


def _end_sent(visit: Visit) -> None:
    cookie = visit.request.cookies.get(SESSION)
    session = visit.desk.sessions.find(cookie)
    if session is not None and session.id_token:
        visit.desk.guard.take_back(session.key)
    visit.desk.sessions.end(cookie)


def _sign_in_page(visit: Visit, problem: str | None = None, status: int = 200, wanted: str = "/") -> Response:
    provider = visit.desk.provider[0].host if visit.desk.provider else None
    query = {} if wanted == "/" or not is_own_page(wanted) else {"page": wanted}
    return visit.render("sign_in.html", status, problem=problem, provider=provider, query=query)


def _refused_page(visit: Visit, refused: Refused, wanted: str) -> Response:
    logger.warning("nobody was signed in by the provider: %s: %s", refused.field, refused.detail)
    return _sign_in_page(visit, f"{refused.field}: {refused.detail}", refused.status, wanted)


def _on_the_way(visit: Visit, place: str, said: str, link: str) -> Response:
    """A page that leads to another one at once, by the browser's own step."""
    return visit.render("on_the_way.html", place=place, said=said, link=link)


def _attempt_cookie(visit: Visit) -> dict[str, Any]:
    is_secure = visit.request.url.scheme == "https"
    return {"path": BACK, "httponly": True, "samesite": "lax", "secure": is_secure}


def _header(key: str) -> str:
    """The header of a key; characters that no header holds are none of a key either."""
    return "Bearer " + "".join(sign if sign.isascii() and sign.isprintable() else "?" for sign in key)


def _said(visit: Visit, refused: Refused) -> str:
    if refused.status == 403:
        return visit.words.text("This key may not look at anything: a key with the scope read is needed.")
    if refused.status == 401:
        return visit.words.text("This key does not count here: it is unknown, has expired, or was revoked.")
    return refused.detail
