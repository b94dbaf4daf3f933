"""Schemas of answers about who may call: keys, sessions, and the provider at which people sign in."""

from datetime import datetime

from pydantic import BaseModel


class BoundedAnswer(BaseModel):
    """Whoever is bound: patterns of machine types, assets and owners; of a kind without any, anything."""

    twins: list[str]
    assets: list[str]
    owners: list[str]


class CallerAnswer(BoundedAnswer):
    """Whose key it is, what it may, and what it is bound to."""

    name: str
    scopes: list[str]


class KeyAnswer(BoundedAnswer):
    """A key without its secret; `role` is null where its scopes are no role's, `rate` is in calls a second.

    `last_used_at` is null where the process that answers has not seen it since it began.
    """

    id: str
    name: str
    role: str | None
    scopes: list[str]
    rate: float
    state: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    last_used_at: datetime | None


class KeysAnswer(BaseModel):
    """Every key, in the order in which they were made; `is_open` where nobody needs one."""

    items: list[KeyAnswer]
    is_open: bool


class MadeKey(KeyAnswer):
    """A key that was just made, with `key`, which is stored nowhere."""

    key: str


class SessionAnswer(BoundedAnswer):
    """Somebody who is signed in to the pages; `at_provider` where they signed in at one."""

    id: str
    name: str
    role: str | None
    scopes: list[str]
    at_provider: bool
    began_at: datetime
    ends_at: datetime


class SessionsAnswer(BaseModel):
    """Who is signed in, the newest first."""

    items: list[SessionAnswer]


class EndedSession(SessionAnswer):
    """A session that has just ended."""


class RevokedKey(KeyAnswer):
    """A key that was just revoked."""


class RoleOfValue(BaseModel):
    """A value of the provider's claim, and the role that it gives."""

    value: str
    role: str


class IdentityProviderAnswer(BaseModel):
    """The provider of OpenID Connect at which people sign in; all null where there is none.

    `session_seconds` is after how long it is asked again.
    """

    issuer: str | None
    client_id: str | None
    requested_scopes: list[str] | None
    name_claim: str | None
    role_claim: str | None
    owner_claim: str | None
    roles: list[RoleOfValue]
    session_seconds: float | None
