"""The settings of the provider at which people sign in; without them nobody waits for its library."""

import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING

from foretwin.errors import ParamsError
from foretwin.project.settings import SETTINGS, read_setting
from foretwin.twin.console.person_claims import ClaimRules

if TYPE_CHECKING:
    from foretwin.twin.console.openid_connect import Provider

ISSUER, CLIENT, SECRET = "FORETWIN_OIDC_ISSUER", "FORETWIN_OIDC_CLIENT_ID", "FORETWIN_OIDC_CLIENT_SECRET"
SCOPES = "FORETWIN_OIDC_SCOPES"


def provider_from_env(environ: Mapping[str, str]) -> "tuple[Provider, ClaimRules] | None":
    """Return the provider and what its claims mean, None where there is none; ParamsError where a setting is wrong."""
    issuer, name, secret, scopes = (read_setting(one, environ) for one in (ISSUER, CLIENT, SECRET, SCOPES))
    if not issuer:
        if given := [one for one in SETTINGS if one.startswith(ISSUER.removesuffix("ISSUER")) and environ.get(one)]:
            raise ParamsError(f"{given[0]}: is set without {ISSUER}; set that too, or unset it")
        return None
    if importlib.util.find_spec("authlib") is None:
        raise ParamsError(f"{ISSUER}: needs a further library; `pip install 'foretwin[oidc]'`")
    if not name:
        raise ParamsError(f"{CLIENT}: is missing; the provider gives it when this service is registered there")
    from foretwin.twin.console.openid_connect import Provider, Registration, is_safe_address

    if not is_safe_address(issuer):
        raise ParamsError(f"{ISSUER}: {issuer[:200]}: is no https:// address")
    if "openid" not in scopes.split():
        raise ParamsError(f"{SCOPES}: does not name openid; add it")
    return Provider(Registration(issuer, name, secret, scopes)), ClaimRules.from_env(environ)
