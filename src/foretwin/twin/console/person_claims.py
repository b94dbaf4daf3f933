"""What the claims of a provider say about a person: name, role, owners; by the mapping of the settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import ValidationError

from foretwin.errors import ParamsError
from foretwin.project.settings import read_setting
from foretwin.serving.access.authentication import Caller
from foretwin.serving.access.bounds import OWNER, UNBOUND, Bounds
from foretwin.serving.access.keys import ROLES
from foretwin.twin.console.inner_calls import Refused

ROLES_SETTING = "FORETWIN_OIDC_ROLES"
EVERY_OWNER = "*"  # the one value that binds to nobody
LONGEST_NAME = 100
FORBIDDEN = "/\\"  # the audit writes `key/actor`


@dataclass(frozen=True)
class ClaimRules:
    """Which claim says what; `roles` is value -> role, and nobody is bound without an `owner_claim`."""

    name_claim: str
    role_claim: str
    roles: Mapping[str, str]
    owner_claim: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings; ParamsError where a role is none, or nobody could have one."""
        names = ("FORETWIN_OIDC_NAME_CLAIM", "FORETWIN_OIDC_ROLE_CLAIM", "FORETWIN_OIDC_OWNER_CLAIM")
        name, role, owner = (read_setting(one, environ) for one in names)
        return cls(name, role, _roles(read_setting(ROLES_SETTING, environ)), owner)

    def person_of(self, claims: Mapping[str, Any], issuer: str) -> Caller:
        """Return who it is and what they may; Refused, 403, for whom no value gives a role, or who owns nothing."""
        name = self._name(claims, issuer)
        given = {self.roles[value] for value in _values(claims, self.role_claim) if value in self.roles}
        if not given:
            raise Refused(403, self.role_claim, f"gives {name} no role here; an administrator adds one at the provider")
        scopes = frozenset(scope for role in given for scope in ROLES[role])
        return Caller(name, scopes, self._bounds(claims, name))

    def _name(self, claims: Mapping[str, Any], issuer: str) -> str:
        """Return the name in the audit: with an `@`, which no key's name has."""
        name = (_values(claims, self.name_claim) or [""])[0].strip()
        if not name or not name.isprintable() or len(name) > LONGEST_NAME or any(sign in name for sign in FORBIDDEN):
            wanted = f"is no name of 1 to {LONGEST_NAME} printable characters without / and \\"
            raise Refused(403, self.name_claim, f"{wanted}; set FORETWIN_OIDC_NAME_CLAIM to a claim that is one")
        if self.name_claim == "email" and claims.get("email_verified") is not True:
            raise Refused(403, "email", "is not verified there; set FORETWIN_OIDC_NAME_CLAIM to another claim")
        return name if "@" in name else f"{name}@{urlsplit(issuer).hostname}"

    def _bounds(self, claims: Mapping[str, Any], name: str) -> Bounds:
        owners = _values(claims, self.owner_claim) if self.owner_claim else [EVERY_OWNER]
        if EVERY_OWNER in owners:
            return UNBOUND
        if not owners:
            raise Refused(403, self.owner_claim, f"names no owner for {name}, who would see no machine")
        if any(sign in owner for owner in owners for sign in "*?"):
            raise Refused(403, self.owner_claim, "holds * or ? within a name; only * alone, for all machines, counts")
        try:
            return Bounds(owners=tuple(f"{OWNER}={owner}" for owner in owners))
        except ValidationError:
            raise Refused(403, self.owner_claim, "holds a name that no owner can have") from None


def _roles(text: str) -> dict[str, str]:
    """Return value -> role of `VALUE=ROLE; VALUE=ROLE`; a value may hold `=` itself."""
    found = {}
    for part in filter(None, (one.strip() for one in text.split(";"))):
        value, mark, role = (one.strip() for one in part.rpartition("="))
        if not mark or not value or role not in ROLES:
            raise ParamsError(f'{ROLES_SETTING}: "{part[:60]}": VALUE=ROLE is needed; roles are {", ".join(ROLES)}')
        found[value] = role
    if not found:
        raise ParamsError(f"{ROLES_SETTING}: is missing, so that nobody could have a role; `plant-it=administrator`")
    return found


def _values(claims: Mapping[str, Any], path: str) -> list[str]:
    """Return the texts of a claim, which is one text or a list; a dot that is not of its name leads into an object."""
    value: Any = claims.get(path)
    if value is None:
        value = claims
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    listed = value if isinstance(value, list) else [value]
    return [one for one in listed if isinstance(one, str) and one]
