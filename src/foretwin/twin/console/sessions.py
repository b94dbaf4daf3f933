"""Who is signed in: sessions in the memory of this process, and the tokens that tell our own forms from others'."""

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from foretwin.serving.access.authentication import Caller

LIFETIME = 12 * 3600.0  # seconds from sign-in: a shift, and its handing over
ASK_AGAIN = 3600.0  # seconds after which a provider is asked again who somebody is, and what they may
MOST = 10_000  # at once; the oldest ends for one more
SESSION, VISITOR = "foretwin-session", "foretwin-visitor"  # cookies: who is signed in; whose form the sign-in is
PROVIDER = "foretwin-provider"  # cookie of whom the provider knew last: it is asked again without a word


@dataclass(frozen=True)
class SignedIn:
    """Somebody who is signed in. The key is asked again at every call, so that a revoked one ends the session."""

    id: str  # by which an administrator names it; it opens nothing
    key: str = field(repr=False)
    caller: Caller
    began_at: datetime
    ends_at: datetime
    ends: float  # by the clock of Sessions
    id_token: str = field(default="", repr=False)  # of whom a provider knows; their key is lent, and ends with this

    @property
    def name(self) -> str:
        """Who it is."""
        return self.caller.name

    @property
    def scopes(self) -> frozenset[str]:
        """What they may."""
        return self.caller.scopes


class Sessions:
    """The sessions by their cookie's digest; none outlives the process. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that never go back."""
        self._clock = clock
        self._open: dict[str, SignedIn] = {}  # in the order of their beginnings
        self._lock = threading.Lock()
        self._secret = secrets.token_bytes(32)

    def begin(self, key: str, caller: Caller, id_token: str = "", lasts: float = LIFETIME) -> str:
        """Begin a session of `lasts` seconds and return its cookie, which nobody had before."""
        cookie, now, began_at = new_cookie(), self._clock(), datetime.now(UTC)
        ends_at = began_at + timedelta(seconds=lasts)
        session = SignedIn(secrets.token_hex(8), key, caller, began_at, ends_at, now + lasts, id_token)
        with self._lock:
            ended = [digest for digest, one in self._open.items() if one.ends <= now]
            if not ended and len(self._open) >= MOST:
                ended = [min(self._open, key=lambda digest: self._open[digest].ends)]
            for digest in ended:
                del self._open[digest]
            self._open[_digest(cookie)] = session
        return cookie

    def list_open(self) -> list[SignedIn]:
        """Return the sessions that have not ended, the newest first."""
        now = self._clock()
        with self._lock:
            found = [one for one in self._open.values() if one.ends > now]
        return found[::-1]

    def find(self, cookie: str | None) -> SignedIn | None:
        """Return the session of a cookie; None where it is unknown or has ended."""
        with self._lock:
            found = self._open.get(_digest(cookie)) if cookie else None
        return found if found and found.ends > self._clock() else None

    def end(self, cookie: str | None) -> None:
        """End the session of a cookie, if there is one."""
        if cookie:
            with self._lock:
                self._open.pop(_digest(cookie), None)

    def end_by_id(self, identity: str) -> SignedIn | None:
        """End the session of that id and return it; None where there is none."""
        with self._lock:
            digest = next((digest for digest, one in self._open.items() if one.id == identity), None)
            return self._open.pop(digest) if digest else None

    def form_token(self, cookie: str) -> str:
        """Return what our forms send back, so that a page of somebody else cannot act in the name of this cookie."""
        return hmac.new(self._secret, cookie.encode(), hashlib.sha256).hexdigest()

    def is_own_form(self, cookie: str | None, token: str) -> bool:
        """Whether a form was made for that cookie."""
        return bool(cookie) and hmac.compare_digest(self.form_token(cookie or "").encode(), token.encode())


def new_cookie() -> str:
    """Return a cookie's value that nobody can guess."""
    return secrets.token_urlsafe(32)


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
