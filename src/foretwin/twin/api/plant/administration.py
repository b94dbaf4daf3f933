"""Who may call: the keys, who is signed in, and where else people sign in; for administrators of the whole plant."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from foretwin.errors import BadInput, Conflict, NotFound, ParamsError
from foretwin.serving.access.authentication import LENT_RATE
from foretwin.serving.access.bounds import Bounds
from foretwin.serving.access.keys import ROLES, Key, KeyRequest, make_key, read_keys, revoke_key, role_of
from foretwin.twin.api.bodies import Body, read_body_json
from foretwin.twin.api.call import Call
from foretwin.twin.api.paging import read_query
from foretwin.twin.console.sessions import ASK_AGAIN, SignedIn
from foretwin.twin.store.casework import audit

LONGEST_DAYS = 36_500
FIELDS = {"NAME": "name", "--scope": "scopes", "--rate": "rate", "--twin": "twins"}  # the command's words for ours
FIELDS |= {"--asset": "assets", "--owner": "owners"}

Patterns = Annotated[list[str], Field(default=[], max_length=100)]


class KeyBody(Body):
    """A key to be made: its scopes are those of `role` and `scopes`; without `days` it is valid until revoked."""

    name: str
    role: str | None = None
    scopes: Patterns
    twins: Patterns
    assets: Patterns
    owners: Patterns
    days: Annotated[float, Field(gt=0, le=LONGEST_DAYS)] | None = None
    rate: float = LENT_RATE

    @field_validator("role")
    @classmethod
    def _is_role(cls, role: str | None) -> str | None:
        if role is not None and role not in ROLES:
            raise ValueError(f"there is {', '.join(ROLES)}")
        return role

    @model_validator(mode="after")
    def _has_scopes(self) -> Self:
        if self.role is None and not self.scopes:
            raise ValueError("a key needs a role or scopes")
        return self


def get_keys(call: Call) -> dict[str, Any]:
    """GET /v1/keys: every key, without its secret; `last_used_at` as far as this process knows."""
    read_query(call.query, {})
    path = call.living.guard.path
    if path is None:
        return {"items": [], "is_open": True}
    with _named_as_here(path):
        return {"items": [_line(call, key) for key in read_keys(path)], "is_open": False}


def post_key(call: Call) -> dict[str, Any]:
    """POST /v1/keys: make a key; `key` is told in this answer and never again."""
    read_query(call.query, {})
    wanted, path = read_body_json(call.body, KeyBody), _key_file(call)
    expires_at = call.now + timedelta(days=wanted.days) if wanted.days else None
    scopes = (*(ROLES[wanted.role] if wanted.role else ()), *wanted.scopes)
    bounds = (wanted.twins, wanted.assets, wanted.owners)
    with call.store.write() as connection:
        with _named_as_here(path):
            token = make_key(
                path, KeyRequest(wanted.name, scopes, wanted.rate, expires_at, *bounds), call.actor, call.now
            )
        made = _line(call, next(key for key in read_keys(path) if key.id == token.split("_")[1]))
        told = {name: made[name] for name in ("name", "id", "scopes", "twins", "assets", "owners")}
        told["expires_at"] = expires_at.isoformat() if expires_at else None
        audit.record(connection, call.actor, "key.made", told, call.now)
    return {**made, "key": token}


def post_key_revocation(call: Call) -> dict[str, Any]:
    """POST /v1/keys/{key}/revoke: a key counts no more; not one's own, nor the last that administers the plant."""
    read_query(call.query, {})
    name, path = call.path["key"], _key_file(call)
    if name == call.caller.name:
        raise Conflict("key", f"{name} is your own; another administrator revokes it, or `foretwin keys revoke {name}`")
    with call.store.write() as connection:
        with _named_as_here(path):
            revoked = revoke_key(path, name, call.actor, call.now, spares_last=True)
        audit.record(connection, call.actor, "key.revoked", {"name": name, "id": revoked.id}, call.now)
    return _line(call, revoked)


def get_sessions(call: Call) -> dict[str, Any]:
    """GET /v1/sessions: who is signed in to the pages, the newest first."""
    read_query(call.query, {})
    return {"items": [_session(one) for one in call.living.sessions.list_open()]}


def post_session_end(call: Call) -> dict[str, Any]:
    """POST /v1/sessions/{session}/end: sign somebody out; whom a provider still knows may come back at once."""
    read_query(call.query, {})
    with call.store.write() as connection:
        ended = call.living.sessions.end_by_id(call.path["session"])
        if ended is None:
            raise NotFound("session", f"there is none {call.path['session'][:60]}; it may have ended")
        if ended.id_token:
            call.living.guard.take_back(ended.key)
        audit.record(connection, call.actor, "session.ended", {"name": ended.name, "id": ended.id}, call.now)
    return _session(ended)


def get_identity_provider(call: Call) -> dict[str, Any]:
    """GET /v1/identity-provider: where people sign in beside the keys, and which claim gives them what; or nulls."""
    read_query(call.query, {})
    if call.living.provider is None:
        names = ("issuer", "client_id", "requested_scopes", "name_claim", "role_claim", "owner_claim")
        return {**dict.fromkeys(names), "roles": [], "session_seconds": None}
    provider, rules = call.living.provider
    return {
        "issuer": provider.client.issuer,
        "client_id": provider.client.client_id,
        "requested_scopes": provider.client.scopes.split(),
        "name_claim": rules.name_claim,
        "role_claim": rules.role_claim,
        "owner_claim": rules.owner_claim or None,
        "roles": [{"value": value, "role": role} for value, role in rules.roles.items()],
        "session_seconds": ASK_AGAIN,
    }


def _key_file(call: Call) -> Path:
    path = call.living.guard.path
    if path is None:
        raise Conflict("keys", "nobody needs one here; start `foretwin live` without --open")
    return path


@contextmanager
def _named_as_here(path: Path) -> Iterator[None]:
    """Name a refusal's field as the body does; Conflict where the file is damaged, or cannot be read or written."""
    try:
        yield
    except BadInput as error:
        raise type(error)(FIELDS.get(error.field, error.field), error.reason) from None
    except ParamsError as error:
        raise Conflict("keys", str(error)) from error
    except OSError as error:
        advice = "make and revoke keys with `foretwin keys` where it can"
        raise Conflict("keys", f"{path} cannot be read or written: {error.strerror}; {advice}") from error


def _line(call: Call, key: Key) -> dict[str, Any]:
    """A key as it is told: never its digest."""
    names = ("id", "name", "rate", "created_at", "created_by", "expires_at", "revoked_at", "revoked_by")
    return {
        **{name: getattr(key, name) for name in names},
        "role": role_of(key.scopes),
        "scopes": list(key.scopes),
        **show_bounds(key.bounds),
        "state": key.state(call.now),
        "last_used_at": call.living.guard.last_used(key.id),
    }


def _session(one: SignedIn) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "role": role_of(one.scopes),
        "scopes": sorted(one.scopes),
        **show_bounds(one.caller.bounds),
        "at_provider": bool(one.id_token),
        "began_at": one.began_at,
        "ends_at": one.ends_at,
    }


def show_bounds(bounds: Bounds) -> dict[str, list[str]]:
    """The patterns of a key's bounds, by kind; without any of a kind anything is within."""
    return {kind: list(getattr(bounds, kind)) for kind in Bounds.model_fields}
