"""One visit of a page: who looks, in which language, and the way from a template to an answer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, urlencode

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from foretwin.serving.access.authentication import Guard
from foretwin.serving.access.keys import Scope, sufficient
from foretwin.twin.console.inner_calls import InnerCalls, Refused
from foretwin.twin.console.sessions import SESSION, VISITOR, Sessions, SignedIn, new_cookie
from foretwin.twin.console.signing_in_again import ask_to_sign_in, is_of_this_site, show_unsent
from foretwin.twin.console.uploads import Upload, is_upload, read_form, read_upload
from foretwin.twin.console.wording import Wording, preferred_language, site_zone

if TYPE_CHECKING:
    from foretwin.twin.console.openid_connect import Provider
    from foretwin.twin.console.person_claims import ClaimRules

PACKAGES = ("foretwin.twin.console", "foretwin.twin.kpis", "foretwin.twin.monitoring")  # the first has the frame
OPEN_ACTOR = {"x-actor": "console"}  # who acts where nobody needs a key
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Desk:
    """What all visits share: who may call, where else people sign in, the site's zone, and who is signed in."""

    guard: Guard
    provider: "tuple[Provider, ClaimRules] | None" = None
    zone: tzinfo | None = field(default_factory=site_zone)
    sessions: Sessions = field(default_factory=Sessions)

    @property
    def is_open(self) -> bool:
        """Whether nobody needs a key."""
        return self.guard.is_open


@dataclass(frozen=True)
class Visit:
    """A request for a page. `form` holds what was posted by a form of ours, `upload` the file of it."""

    desk: Desk
    request: Request
    session: SignedIn | None
    cookie: str | None  # of the session, or of a visitor without one
    calls: InnerCalls
    words: Wording
    form: Mapping[str, str]
    upload: Upload | None = None

    @property
    def path(self) -> Mapping[str, str]:
        """The parameters of the path."""
        return self.request.path_params

    @property
    def origin(self) -> str:
        """Scheme and host by which the page was called."""
        return f"{self.request.url.scheme}://{self.request.url.netloc}"

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query, without the empty ones that a form sends."""
        return {name: value for name, value in self.request.query_params.items() if value}

    def may(self, scope: Scope) -> bool:
        """Whether who looks may do what needs that scope."""
        return self.desk.is_open or (self.session is not None and not self.session.scopes.isdisjoint(sufficient(scope)))

    @property
    def administers(self) -> bool:
        """Whether who looks may do what is about the whole plant: keys, sessions, holds."""
        return self.may("admin") and (self.session is None or not self.session.caller.bounds)

    def render(self, template: str, status: int = 200, **values: Any) -> Response:
        """Answer with a page."""
        page = (
            _environment()
            .get_template(template)
            .render(
                visit=self,
                w=self.words,
                _=self.words.text,
                token=self.desk.sessions.form_token(self.cookie or ""),
                url=page_url,
                **values,
            )
        )
        return Response(page, status, media_type="text/html; charset=utf-8")


Page: TypeAlias = Callable[[Visit], Awaitable[Response]]


def page_url(path: str, *parts: object, **query: object) -> str:
    """Return the address of a page: `parts` are percent-encoded, as is the query."""
    whole = "/".join([path, *(quote(str(part), safe="") for part in parts)])
    return f"{whole}?{urlencode(query)}" if query else whole


def go_to(path: str, *parts: object) -> Response:
    """Send the browser to a page after a form was taken."""
    return RedirectResponse(page_url(path, *parts), 303)


async def send_form(
    visit: Visit,
    call: str,
    content: Mapping[str, Any],
    again: Callable[[Visit, Refused], Awaitable[Response]],
    back: Response,
) -> Response:
    """Send what a form holds and go `back`; `again` is its page, with what was refused, for who may see that page."""
    try:
        await visit.calls.post(call, content)
    except Refused as refused:
        if refused.status in (401, 403, 404):
            raise
        return await again(visit, refused)
    return back


def page_end_point(desk: Desk, page: Page, is_free: bool = False) -> Callable[[Request], Awaitable[Response]]:
    """The end point of a page: sends whoever is not signed in to do so, unless the page is free for everybody.

    A form is taken only with the token that we gave it for this very visitor; one of an earlier session of theirs is
    shown to them again.
    """

    async def answer(request: Request) -> Response:
        visit = _begin(desk, request, is_free)
        if visit.session is None and not desk.is_open and not is_free:
            return _finish(visit, await ask_to_sign_in(visit))
        try:
            is_taken = True
            if request.method == "POST":
                visit, is_taken = await _with_form(visit)
            answered = await page(visit) if is_taken else show_unsent(visit, 403)
        except Refused as refused:
            answered = await _refuse(visit, refused)
        return _finish(visit, answered)

    return answer


def _begin(desk: Desk, request: Request, is_free: bool) -> Visit:
    cookie = request.cookies.get(SESSION)
    session = None if desk.is_open else desk.sessions.find(cookie)
    headers = {"authorization": f"Bearer {session.key}"} if session else OPEN_ACTOR if desk.is_open else {}
    words = Wording(preferred_language(request.headers.get("accept-language", "")), desk.zone)
    if session is None or is_free:
        cookie = request.cookies.get(VISITOR) or new_cookie()
    return Visit(desk, request, session, cookie, InnerCalls(request, headers), words, {})


async def _with_form(visit: Visit) -> tuple[Visit, bool]:
    """Return the visit with its form, and whether that is taken; Refused for a form of somebody else."""
    upload = None
    if is_upload(visit.request) and (visit.session or visit.desk.is_open):
        form, upload = await read_upload(visit.request)
    else:
        form = await read_form(visit.request)
    is_taken = visit.desk.sessions.is_own_form(_sent_cookie(visit), form.pop("token", ""))
    if not is_taken and (visit.session is None or upload or not is_of_this_site(visit)):
        raise Refused(403, "form", visit.words.text("This form is no longer valid. Go back, load the page again."))
    values = {name: value.strip() for name, value in form.items()}
    return replace(visit, form=values, upload=upload), is_taken


def _sent_cookie(visit: Visit) -> str | None:
    """The cookie that came with the request; one that was only just made belongs to no form."""
    return visit.cookie if visit.cookie in visit.request.cookies.values() else None


async def _refuse(visit: Visit, refused: Refused) -> Response:
    if refused.status == 401:
        visit.desk.sessions.end(visit.request.cookies.get(SESSION))
        return await ask_to_sign_in(replace(visit, session=None))
    title = HTTPStatus(refused.status).phrase
    return visit.render("refused.html", refused.status, refused=refused, title=title)


def _finish(visit: Visit, answer: Response) -> Response:
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    is_new = visit.cookie is not None and _sent_cookie(visit) is None
    if is_new:
        keep_cookie(visit, answer, VISITOR, visit.cookie or "")
    return answer


def keep_cookie(visit: Visit, answer: Response, name: str, value: str) -> None:
    """Give the browser a cookie that no script reads and no other site sends."""
    is_secure = visit.request.url.scheme == "https"
    answer.set_cookie(name, value, httponly=True, samesite="strict", secure=is_secure, path="/")


@lru_cache(1)
def _environment() -> Environment:
    loader = ChoiceLoader([PackageLoader(package) for package in PACKAGES])
    options: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True, "undefined": StrictUndefined}
    return Environment(loader=loader, autoescape=True, **options)
