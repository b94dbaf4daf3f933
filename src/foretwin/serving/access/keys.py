"""API keys in a JSON file that holds only a digest of each key's secret.

The file is `keys.json` in the project's folder unless FORETWIN_KEYS names another one. It is replaced as a whole, under
a lock, and only its owner may read it.
"""

import hashlib
import hmac
import logging
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from filelock import FileLock
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from foretwin.errors import BadInput, Conflict, NotFound, ParamsError
from foretwin.project.files import fresh_file
from foretwin.project.settings import read_setting
from foretwin.serving.access.bounds import UNBOUND, Bounds, owner_pattern

Scope = Literal["score", "read", "ingest", "assist", "work", "plan", "operate", "admin"]
SCOPES: dict[Scope, str] = {
    "score": "ask for scores, explanations and what-if comparisons",
    "read": "look at models, twins, readings and cases",
    "ingest": "send readings",
    "assist": "acknowledge cases and give verdicts, as an assistant may on somebody's behalf",
    "work": "take cases on, comment on them, give verdicts, record maintenance",
    "plan": "move cases over the board, assign and snooze them",
    "operate": "describe machines, release from quarantine, deliver again",
    "admin": "all of work, plan and operate; erase, take a champion back",
}
ADMINISTERED: tuple[Scope, ...] = ("work", "plan", "operate")  # scopes whose calls `admin` may make too
ROLES: dict[str, tuple[Scope, ...]] = {
    "viewer": ("read",),
    "technician": ("read", "score", "work"),
    "planner": ("read", "score", "work", "plan"),
    "engineer": ("read", "score", "work", "plan", "operate"),
    "administrator": ("read", "score", "work", "plan", "operate", "admin"),
}
PREFIX = "ftw_"  # so that a scanner for leaked secrets knows one
ID_BYTES, SECRET_BYTES = 6, 32
FASTEST = 1e6  # calls per second
FIELDS = {"name": "NAME", "scopes": "--scope", "rate": "--rate"}
BOUNDS = {"twins": "--twin", "assets": "--asset", "owners": "--owner"}

logger = logging.getLogger("foretwin.access")

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Key(BaseModel):
    """One key. `digest` is the SHA-256 of its secret in hex, `rate` in calls per second.

    A plain SHA-256 is enough: the secret is 256 random bits, so nobody can try all of them, as one can with passwords.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    name: Name
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    rate: Annotated[float, Field(gt=0, le=FASTEST)]
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    created_at: AwareDatetime
    created_by: str
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None
    revoked_by: str | None = None
    bounds: Annotated[Bounds, Field(exclude_if=lambda bounds: not bounds)] = UNBOUND

    def state(self, now: datetime) -> str:
        """Return `valid`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"

    def administers(self, now: datetime) -> bool:
        """Whether it may make and revoke keys: it counts, has the scope admin, and is bound to nothing."""
        return self.state(now) == "valid" and "admin" in self.scopes and not self.bounds


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: tuple[Key, ...] = ()


class KeyRequest(NamedTuple):
    """A key to be made: `rate` in calls per second; without `expires_at` it is valid until revoked.

    `twins`, `assets` and `owners` are the patterns of its bounds; an owner may leave out the tag `owner`.
    """

    name: str
    scopes: Sequence[str]
    rate: float
    expires_at: datetime | None = None
    twins: Sequence[str] = ()
    assets: Sequence[str] = ()
    owners: Sequence[str] = ()


def keys_path(root: Path, environ: Mapping[str, str]) -> Path:
    """Return the file that FORETWIN_KEYS names, relative to the project's folder `root`, or its keys.json."""
    return root / (read_setting("FORETWIN_KEYS", environ) or "keys.json")


def read_keys(path: Path) -> tuple[Key, ...]:
    """Read the keys in order of creation, none where there is no file.

    ParamsError where the file is something else, OSError where it cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ()
    try:
        return _File.model_validate_json(content).keys
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "content"
        raise ParamsError(f"{path}: {where}: {first['msg']}; repair it, or bring back a copy") from None


def make_key(path: Path, wanted: KeyRequest, by: str, now: datetime) -> str:
    """Add a key and return its token, which is stored nowhere.

    BadInput for a name, scope, rate or pattern that can be none, Conflict where a key of that name was not revoked.
    """
    secret = secrets.token_hex(SECRET_BYTES)
    key = _checked(wanted, secret_digest(secret).hex(), by, now)
    with _locked(path):
        there = read_keys(path)
        if any(one.name == key.name and one.revoked_at is None for one in there):
            raise Conflict("NAME", f"there is a key {key.name} already; `foretwin keys revoke {key.name}` ends it")
        _write(path, (*there, key))
    until = f", until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else ""
    may = f"{_of(key)}, {key.rate:g} calls a second{until}" + (f", bound to {key.bounds}" if key.bounds else "")
    logger.info("key %s (%s) made by %s: %s", key.name, key.id, by, may)
    return f"{PREFIX}{key.id}_{secret}"


def revoke_key(path: Path, name: str, by: str, now: datetime, spares_last: bool = False) -> Key:
    """Mark the key of that name as revoked; NotFound where no valid key has it.

    With `spares_last` Conflict for the last one that administers the plant, so that nobody is locked out by mistake.
    """
    with _locked(path):
        there = read_keys(path)
        key = next((one for one in there if one.name == name and one.revoked_at is None), None)
        if key is None:
            known = ", ".join(one.name for one in there if one.revoked_at is None) or "none"
            raise NotFound("NAME", f"there is no key {name[:60]} to revoke; there is {known}")
        if spares_last and [one.id for one in there if one.administers(now)] == [key.id]:
            raise Conflict("NAME", f"{key.name} is the last key that administers the plant; make another one first")
        revoked = key.model_copy(update={"revoked_at": now, "revoked_by": by})
        _write(path, [revoked if one.id == key.id else one for one in there])
    logger.info("key %s (%s) revoked by %s", key.name, key.id, by)
    return revoked


def feed_secret(digest: bytes) -> str:
    """Return the secret of a key's feed, 64 hexadecimal digits: made of the digest, it tells nothing of the key."""
    return hmac.new(digest, b"calendar feed", hashlib.sha256).hexdigest()


def feed_token(key: str) -> str:
    """Return the token by which a calendar, which sends no header, asks for what this key may see of it."""
    begin, number, secret = key.split("_")
    return f"{begin}_{number}_{feed_secret(secret_digest(secret))}"


def sufficient(scope: Scope) -> tuple[Scope, ...]:
    """Return the scopes of which a key must have one for a call that needs `scope`."""
    if scope == "assist":
        return ("assist", "work", "admin")
    return (scope, "admin") if scope in ADMINISTERED else (scope,)


def role_of(scopes: Iterable[str]) -> str | None:
    """Return the role that is exactly these scopes; None where none is."""
    wanted = set(scopes)
    return next((role for role, own in ROLES.items() if set(own) == wanted), None)


def secret_digest(secret: str) -> bytes:
    """Return the stored digest of a secret (32 bytes)."""
    return hashlib.sha256(secret.encode()).digest()


def _of(key: Key) -> str:
    return ", ".join(key.scopes)


def _checked(wanted: KeyRequest, digest: str, by: str, now: datetime) -> Key:
    bounds = {"twins": wanted.twins, "assets": wanted.assets, "owners": [owner_pattern(one) for one in wanted.owners]}
    asked = {"name": wanted.name, "rate": wanted.rate, "expires_at": wanted.expires_at}
    asked |= {"scopes": tuple(dict.fromkeys(wanted.scopes)), "bounds": bounds}
    made = {"id": secrets.token_hex(ID_BYTES), "digest": digest, "created_at": now, "created_by": by}
    try:
        return Key.model_validate({**asked, **made})
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        if field == "bounds":
            reason = "needs 1 to 200 characters without / and control characters; `*` stands for any, `?` for one"
            raise BadInput(BOUNDS[str(first["loc"][1])], reason) from None
        reason = "needs 1 to 64 letters, digits, `.`, `_` or `-`, of which it begins with a letter or digit"
        raise BadInput(FIELDS.get(field, field), reason if field == "name" else first["msg"]) from None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock the file: each writer reads it and writes it back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock"), mode=0o600):
        yield


def _write(path: Path, keys: Sequence[Key]) -> None:
    content = _File(keys=tuple(keys)).model_dump_json(indent=1, exclude_none=True)
    with fresh_file(path) as out:
        out.unlink(missing_ok=True)
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(content + "\n")
            file.flush()
            os.fsync(file.fileno())  # a power cut must not leave an empty file, with which no service starts
