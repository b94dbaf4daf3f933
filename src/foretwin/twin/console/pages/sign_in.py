"""Sign-in with an API key, and sign-out."""

from starlette.responses import Response

from foretwin.twin.console.inner_calls import InnerCalls, Refused
from foretwin.twin.console.sessions import SESSION
from foretwin.twin.console.visits import Visit, go_to, keep_cookie


async def show_sign_in(visit: Visit) -> Response:
    """GET /sign-in: the form; where nobody needs a key, or somebody is signed in, the home page instead."""
    if visit.desk.is_open or visit.session is not None:
        return go_to("/")
    return visit.render("sign_in.html", problem=None)


async def begin_session(visit: Visit) -> Response:
    """POST /sign-in: begin a session with the key of the form; a session that there was ends."""
    key = visit.form.get("key", "")
    _end_sent(visit)
    try:
        known = await InnerCalls(visit.request, {"authorization": _header(key)}).get("/v1/caller")
    except Refused as refused:
        return visit.render("sign_in.html", refused.status, problem=_said(visit, refused))
    cookie = visit.desk.sessions.begin(key, known["name"], frozenset(known["scopes"]))
    answer = go_to("/")
    keep_cookie(visit, answer, SESSION, cookie)
    return answer


async def end_session(visit: Visit) -> Response:
    """POST /sign-out: end the session."""
    _end_sent(visit)
    answer = go_to("/sign-in")
    answer.delete_cookie(SESSION, path="/", httponly=True, samesite="strict")
    return answer


def _end_sent(visit: Visit) -> None:
    visit.desk.sessions.end(visit.request.cookies.get(SESSION))


def _header(key: str) -> str:
    """The header of a key; characters that no header holds are none of a key either."""
    return "Bearer " + "".join(sign if sign.isascii() and sign.isprintable() else "?" for sign in key)


def _said(visit: Visit, refused: Refused) -> str:
    if refused.status == 403:
        return visit.words.text("This key may not look at anything: a key with the scope read is needed.")
    if refused.status == 401:
        return visit.words.text("This key does not count here: it is unknown, has expired, or was revoked.")
    return refused.detail
