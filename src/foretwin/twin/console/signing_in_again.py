"""What somebody whose session has ended gets in the place of a page: the way to sign in, and what they had written."""

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from starlette.responses import RedirectResponse, Response

from foretwin.twin.console.sessions import PROVIDER, SESSION
from foretwin.twin.console.uploads import is_upload, read_form

if TYPE_CHECKING:
    from foretwin.twin.console.visits import Visit

BY_KEY, BY_PROVIDER, SIGN_OUT = "/sign-in", "/sign-in/provider", "/sign-out"


async def ask_to_sign_in(visit: "Visit") -> Response:
    """Send the browser to sign in; where it comes of our own form, show what stands in it instead.

    Whom the provider knew last is sent there without a word, and comes back to the page that was asked for.
    """
    request = visit.request
    if request.url.path == SIGN_OUT:
        answer = RedirectResponse(BY_KEY, 303)
        forget_provider(answer)
        return answer
    if request.method == "POST":
        if SESSION in request.cookies:  # which no other site's form brings along
            return show_unsent(visit, 401, await _written(visit))
    elif _was_at_provider(visit) and request.headers.get("sec-fetch-mode", "navigate") == "navigate":
        page = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(_silently(page), 303)
    return RedirectResponse(BY_KEY, 303)


def show_unsent(visit: "Visit", status: int, written: dict[str, str] | None = None) -> Response:
    """A form that was not taken, with what stands in it, to be sent once more: 401 without a session, else 403."""
    fields = visit.form if written is None else written
    way_in = _silently("/") if _was_at_provider(visit) else BY_KEY
    has_file = is_upload(visit.request)
    return visit.render("unsent.html", status, fields=fields, has_file=has_file, way_in=way_in)


def forget_provider(answer: Response) -> None:
    """Have the browser ask the provider no more without a word."""
    answer.delete_cookie(PROVIDER, path="/", httponly=True, samesite="strict")


def is_of_this_site(visit: "Visit") -> bool:
    """Whether a form comes from a page of ours, as the browser says; one that says nothing kept the cookie to it."""
    return visit.request.headers.get("sec-fetch-site", "same-origin") == "same-origin"


def is_own_page(place: str) -> bool:
    """Whether an address is a page of this service, to which somebody may be sent back."""
    if not place.startswith("/") or place.startswith("//") or not place.isascii() or not place.isprintable():
        return False
    return "\\" not in place and not urlsplit(place).netloc


def _silently(page: str) -> str:
    return f"{BY_PROVIDER}?{urlencode({'silent': 'true', 'page': page})}"


def _was_at_provider(visit: "Visit") -> bool:
    return visit.desk.provider is not None and PROVIDER in visit.request.cookies


async def _written(visit: "Visit") -> dict[str, str]:
    """Return what stands in the form; a file is not read for somebody who is not signed in."""
    if visit.form or is_upload(visit.request):
        return dict(visit.form)
    form = await read_form(visit.request)
    return {name: value for name, value in form.items() if name != "token"}
