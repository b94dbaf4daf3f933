"""Who is signed in: sessions in the memory of this process, and the tokens that tell our own forms from others'."""

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

LIFETIME = 12 * 3600.0  # seconds from sign-in: a shift, and its handing over
MOST = 10_000  # at once; the oldest ends for one more
SESSION, VISITOR = "foretwin-session", "foretwin-visitor"  # cookies: who is signed in; whose form the sign-in is


@dataclass(frozen=True)
class SignedIn:
    """Somebody who is signed in. The key is asked again at every call, so that a revoked one ends the session."""

    key: str = field(repr=False)
    name: str
    scopes: frozenset[str]
    ends: float  # by the clock of Sessions
    id_token: str = field(default="", repr=False)  # of whom a provider knows; their key is lent, and ends with this


class Sessions:
    """The sessions by their cookie's digest; none outlives the process. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds that never go back."""
        self._clock = clock
        self._open: dict[str, SignedIn] = {}  # in the order of their ends
        self._lock = threading.Lock()
        self._secret = secrets.token_bytes(32)

    def begin(self, key: str, name: str, scopes: frozenset[str], id_token: str = "") -> str:
        """Begin a session and return its cookie, which nobody had before."""
        cookie, now = new_cookie(), self._clock()
        with self._lock:
            ended = [digest for digest, one in self._open.items() if one.ends <= now]
            for digest in ended or ([next(iter(self._open))] if len(self._open) >= MOST else []):
                del self._open[digest]
            self._open[_digest(cookie)] = SignedIn(key, name, scopes, now + LIFETIME, id_token)
        return cookie

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
