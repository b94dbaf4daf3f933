"""Authenticate and authorise each request before its body is read."""

import hmac
import logging
import secrets
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, NoReturn, Self

from foretwin.errors import Forbidden, ParamsError, TooMany, Unauthorized
from foretwin.project.settings import read_choice
from foretwin.serving.access.bounds import UNBOUND, Bounds
from foretwin.serving.access.keys import (
    ID_BYTES,
    PREFIX,
    SCOPES,
    SECRET_BYTES,
    Key,
    Scope,
    feed_secret,
    keys_path,
    read_keys,
    secret_digest,
)
from foretwin.serving.access.rate import Bucket, SharedRates

FIELD = "Authorization"
LENT_RATE = 100.0  # calls a second of somebody who signed in elsewhere, as of a key that nobody said more of
MOST_LENT = 10_000  # keys; the oldest ends for one more
CHECK_EVERY = 1.0  # seconds between two looks at the file's stamp
NOBODY = bytes(32)  # compared with where no key has the id, so that this takes as long
# Its owner alone writes it. A group may read it, which is how Kubernetes mounts a secret for a user that is not root.
EXPOSED = stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH

logger = logging.getLogger("foretwin.access")


@dataclass(frozen=True)
class Caller:
    """The caller of a request: the name of the key, its scopes and its bounds."""

    name: str
    scopes: frozenset[str]
    bounds: Bounds = UNBOUND

    @property
    def is_machine(self) -> bool:
        """Whether it speaks as the machines that it names: its key is bound to assets, or nobody needs a key."""
        return self is ANYBODY or bool(self.bounds.assets)

    def check_twin(self, twin: str) -> None:
        """Forbidden where a twin is outside of its bounds."""
        if not self.bounds.admit_twin(twin):
            self.refuse()

    def check_name(self, asset: str) -> None:
        """Forbidden where an asset of this name is outside of its bounds."""
        if not self.bounds.admit_name(asset):
            self.refuse()

    def refuse(self, about: str = "something else, or something that is not there") -> NoReturn:
        """Raise Forbidden; the same words whether what is outside of its bounds exists or not."""
        raise Forbidden(FIELD, f"key {self.name} is bound to {self.bounds}; this call is about {about}")


ANYBODY = Caller("anonymous", frozenset(SCOPES))


@dataclass(frozen=True)
class _Known:
    """A key to check requests against. `expires` is in seconds since 1970, infinite for a key that never does."""

    caller: Caller
    digest: bytes
    expires: float
    bucket: Bucket
    id: str


class _Stamp(NamedTuple):
    """State of a file: changes with its content or its permissions."""

    changed: int
    size: int
    inode: int
    mode: int


class Guard:
    """Admits the holders of the keys in a file, or everybody where access is open.

    The file is read again when it has changed, within a second. One that cannot be read any more leaves the keys as
    they were, so that a slip of an editor locks nobody out; one that is gone leaves none. Meant for one thread: that of
    the event loop.
    """

    def __init__(self, path: Path | None, shared: SharedRates | None = None) -> None:
        """The keys of the file at `path`, or open to everybody with None; ParamsError where that file is damaged.

        Rates are counted in `shared` where it is given, together with other processes.
        """
        self._path = path
        self._shared = shared
        self._known: dict[str, _Known] = {}
        self._lent: dict[str, _Known] = {}  # in the order of their ends
        self._used: dict[str, float] = {}  # id of a key -> when it was last admitted, in seconds since 1970
        self._stamp: _Stamp | None = None
        self._looked = time.monotonic()
        if path is not None:
            self._begin(path)

    @classmethod
    def from_env(cls, root: Path, environ: Mapping[str, str]) -> Self:
        """Build the guard: open where FORETWIN_ACCESS is `open`; else keys of FORETWIN_KEYS or keys.json in `root`.

        FORETWIN_RATES names the file of rates that are shared. ParamsError where one of these is wrong.
        """
        is_open = read_choice("FORETWIN_ACCESS", environ) == "open"
        return cls(None) if is_open else cls(keys_path(root, environ), SharedRates.from_env(environ))

    @property
    def is_open(self) -> bool:
        """Whether no key is needed; a service with such a guard listens on loopback alone."""
        return self._path is None

    @property
    def path(self) -> Path | None:
        """The file of the keys; None where no key is needed."""
        return self._path

    def last_used(self, identity: str) -> datetime | None:
        """When this process last admitted the key of that id; None where it has not."""
        at = self._used.get(identity)
        return None if at is None else datetime.fromtimestamp(at, UTC)

    def admit(self, authorization: str | None, *scopes: Scope, of_feed: bool = False) -> Caller:
        """Return the caller of this Authorization header if it may make a request that needs one of `scopes`.

        Unauthorized where nobody is known by it, Forbidden where the key has none of the scopes, TooMany where it has
        called too often. With `of_feed` it is the token of a feed (`feed_token`), which opens nothing else.
        """
        if self._path is None:
            return ANYBODY
        now = time.monotonic()
        if now - self._looked >= CHECK_EVERY:
            self._look(self._path)
            self._looked = now = time.monotonic()  # not before the buckets that it may have made
        known = self._find(authorization, of_feed)
        if known.expires <= time.time():
            _refuse_expired(known)
        wait = self._count(known, now)
        if wait:
            often = f"key {known.caller.name} may make {known.bucket.rate:g} calls a second"
            raise TooMany(FIELD, f"{often}; try again in {wait:.2g} s", wait)
        if known.caller.scopes.isdisjoint(scopes):
            wanted, has = " or ".join(scopes), ", ".join(sorted(known.caller.scopes))
            raise Forbidden(FIELD, f"this call needs the scope {wanted}; key {known.caller.name} has {has}")
        if known.id in self._known:
            self._used[known.id] = time.time()
        return known.caller

    def admit_feed(self, feed: str, *scopes: Scope) -> Caller:
        """Return the caller of the token of a feed, as `admit` that of a key."""
        return self.admit(f"Bearer {feed}", *scopes, of_feed=True)

    def lend(self, caller: Caller, seconds: float) -> str:
        """Return a key for somebody whom another service knows: it counts that long, and in this process alone."""
        now = time.time()
        # A copy, since an administrator ends a session, and with it such a key, in another thread.
        ended = [key for key, known in list(self._lent.items()) if known.expires <= now]
        for key in ended or ([next(iter(self._lent))] if len(self._lent) >= MOST_LENT else []):
            self._lent.pop(key, None)
        identity, secret = secrets.token_hex(ID_BYTES), secrets.token_hex(SECRET_BYTES)
        bucket = Bucket(LENT_RATE, time.monotonic())
        self._lent[identity] = _Known(caller, secret_digest(secret), now + seconds, bucket, identity)
        return f"{PREFIX}{identity}_{secret}"

    def take_back(self, key: str) -> None:
        """End a key that was lent; no other one."""
        self._lent.pop(key.removeprefix(PREFIX).partition("_")[0], None)

    def _count(self, known: _Known, now: float) -> float:
        shared = None if known.id in self._lent else self._shared
        wait = shared.take(known.id, known.bucket.rate, now) if shared else None
        return known.bucket.take(now) if wait is None else wait

    def _find(self, authorization: str | None, of_feed: bool) -> _Known:
        if authorization is None:
            raise Unauthorized(FIELD, f'is missing; send "Authorization: Bearer {PREFIX}..." with a key')
        scheme, _, token = authorization.partition(" ")
        begin, _, rest = token.partition("_")
        identity, _, secret = rest.partition("_")
        if scheme.lower() != "bearer" or begin + "_" != PREFIX or not secret:
            raise Unauthorized(FIELD, f'is not of the form "Bearer {PREFIX}<id>_<secret>"')
        known = self._known.get(identity) or self._lent.get(identity)
        # Both digests, since their common beginning tells nothing of the secrets; and the same words for every failure.
        digest = known.digest if known else NOBODY
        given, wanted = (secret.encode(), feed_secret(digest).encode()) if of_feed else (secret_digest(secret), digest)
        if not hmac.compare_digest(given, wanted) or known is None:
            raise Unauthorized(FIELD, "holds no key that counts here: it is unknown, or was revoked")
        return known

    def _begin(self, path: Path) -> None:
        self._stamp = _stamp(path)
        try:
            self._take(read_keys(path))
        except OSError as error:
            raise ParamsError(f"{path}: cannot be read: {error.strerror}; it holds the API keys") from None
        self._warn(path)
        if not self._known:
            logger.warning(
                "%s: holds no key that counts; every call is refused until `foretwin keys new` made one", path
            )

    def _look(self, path: Path) -> None:
        """Reload the keys of a file that has changed; log once that it cannot be read."""
        stamp = _stamp(path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._take(read_keys(path))
        except (OSError, ParamsError) as error:
            logger.error("the API keys stay as they were, since their file cannot be read: %s", error)
            return
        logger.info("%s: read again; keys that count: %d", path, len(self._known))
        self._warn(path)

    def _warn(self, path: Path) -> None:
        if self._stamp and self._stamp.mode & EXPOSED:
            logger.warning("%s: others on this machine may read or change it; `chmod 600 %s`", path, path)

    def _take(self, keys: tuple[Key, ...]) -> None:
        """Replace the keys; the used part of each key's rate stays."""
        now, before = time.monotonic(), self._known
        self._known, self._used = {}, {key.id: self._used[key.id] for key in keys if key.id in self._used}
        for key in keys:
            if key.revoked_at is None:
                old = before.get(key.id)
                bucket = old.bucket if old and old.bucket.rate == key.rate else Bucket(key.rate, now)
                expires = key.expires_at.timestamp() if key.expires_at else float("inf")
                caller = Caller(key.name, frozenset(key.scopes), key.bounds)
                self._known[key.id] = _Known(caller, bytes.fromhex(key.digest), expires, bucket, key.id)


def _refuse_expired(known: _Known) -> NoReturn:
    moment = datetime.fromtimestamp(known.expires, UTC)
    raise Unauthorized(FIELD, f"key {known.caller.name} expired on {moment:%Y-%m-%d %H:%M} UTC; another one is needed")


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        return _Stamp(error.errno or -1, 0, 0, 0)
    return _Stamp(found.st_ctime_ns, found.st_size, found.st_ino, found.st_mode)
