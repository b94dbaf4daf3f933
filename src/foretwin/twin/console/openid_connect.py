"""Sign-in at a provider of OpenID Connect by authorization code with PKCE; the only importer of Authlib, an extra.

OpenID Connect Core, Discovery and RP-Initiated Logout 1.0; RFC 6749, 7636 (PKCE), 9207 (who answers).
"""

import asyncio
import hashlib
import hmac
import secrets
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, unquote, urlsplit

import httpx
import orjson
from authlib.common.errors import AuthlibBaseError
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from foretwin.twin.console.inner_calls import Refused

PATIENCE = 10.0  # s for an answer of the provider
LARGEST = 1024 * 1024  # bytes of one
ATTEMPT_LASTS = 600.0  # s from leaving for the provider to coming back
RELOAD_AFTER = 3600.0  # s after which addresses and keys of the provider are asked for again
LEEWAY = 60  # s by which two clocks may differ
SIGNED_BY = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
USUAL = "RS256"  # where the provider does not say; none of these is signed by a secret that both know
NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
PLACES = (*NEEDED, "userinfo_endpoint", "end_session_endpoint")
LOOPBACK = ("127.0.0.1", "::1", "localhost")
FORM = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
MUST_ASK = ("login_required", "interaction_required", "consent_required", "account_selection_required")
LONGEST_PLACE = 1000  # characters of the address to come back to, which a cookie holds
FIELD = "provider"


class SignedInPerson(NamedTuple):
    """What the provider says of somebody, and the token by which they sign out there."""

    claims: dict[str, Any]
    id_token: str


@dataclass(frozen=True)
class Registration:
    """What this service is at the provider; without a secret it is a public client."""

    issuer: str
    client_id: str
    secret: str = field(repr=False)
    scopes: str


class Provider:
    """One provider. What belongs to an attempt is made of its cookie and a secret of this process: nothing is kept."""

    def __init__(self, client: Registration) -> None:
        self.client = client
        self._secret = secrets.token_bytes(32)
        self._known: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._asked_at = 0.0
        self._context: ssl.SSLContext | None = None

    @property
    def host(self) -> str:
        """The name by which people know it."""
        return urlsplit(self.client.issuer).hostname or ""

    async def way_there(self, attempt: str, back: str, is_silent: bool = False) -> str:
        """Return the address at which somebody signs in, to come `back` then; `attempt` is their cookie.

        With `is_silent` the provider may ask them nothing: it answers at once, with who it is or that it must ask.
        """
        await self._ask_addresses()
        verifier = self._derived(attempt, "verifier")
        return str(
            prepare_grant_uri(
                self._known["authorization_endpoint"],
                self.client.client_id,
                "code",
                redirect_uri=back,
                scope=self.client.scopes,
                state=self._derived(attempt, "state"),
                nonce=self._derived(attempt, "nonce"),
                code_challenge=create_s256_code_challenge(verifier),
                code_challenge_method="S256",
                **({"prompt": "none"} if is_silent else {}),
            )
        )

    async def take_answer(self, attempt: str, answer: Mapping[str, str], back: str) -> SignedInPerson:
        """Return who came back; Refused where the answer is not to this attempt, or proves nobody."""
        self._check_attempt(attempt, answer)
        if "error" in answer:
            word = "".join(sign for sign in answer["error"][:60] if sign.isalnum() or sign == "_")
            if word in MUST_ASK:
                raise Refused(401, FIELD, "does not know you any more; sign in there again")
            raise Refused(403, FIELD, f"did not sign you in: {word}")
        if answer.get("iss", self.client.issuer) != self.client.issuer or not answer.get("code"):
            raise Refused(401, FIELD, "sent no answer of its own; begin again")
        await self._ask_addresses()
        tokens = await self._exchange(answer["code"], self._derived(attempt, "verifier"), back)
        id_token, access = tokens.get("id_token"), tokens.get("access_token")
        if not isinstance(id_token, str) or not isinstance(access, str):
            raise Refused(502, FIELD, "sent no token that says who you are; FORETWIN_OIDC_SCOPES must name openid")
        claims = await self._checked(id_token, access, self._derived(attempt, "nonce"))
        return SignedInPerson({**await self._more_claims(access, claims["sub"]), **claims}, id_token)

    async def way_out(self, id_token: str, back: str) -> str | None:
        """Return the address at which somebody signs out there, to come `back` then; None where it has none."""
        await self._ask_addresses()
        place = self._known.get("end_session_endpoint")
        asked = [("id_token_hint", id_token), ("post_logout_redirect_uri", back)]
        return str(add_params_to_uri(place, asked)) if place else None

    def _derived(self, attempt: str, part: str) -> str:
        """Return state, nonce or verifier of an attempt: 64 hexadecimal digits that only this process can make."""
        return hmac.new(self._secret, f"{part}:{attempt}".encode(), hashlib.sha256).hexdigest()

    def _check_attempt(self, attempt: str, answer: Mapping[str, str]) -> None:
        began = attempt.partition(".")[0]
        is_young = began.isascii() and began.isdigit() and 0 <= time.time() - int(began[:12]) <= ATTEMPT_LASTS
        state = self._derived(attempt, "state")
        if not is_young or not hmac.compare_digest(state.encode(), answer.get("state", "").encode()):
            raise Refused(401, FIELD, "answered something that was not asked by this browser, or too late; begin again")

    async def _exchange(self, code: str, verifier: str, back: str) -> dict[str, Any]:
        body = prepare_token_request("authorization_code", code=code, redirect_uri=back, code_verifier=verifier)
        id_, secret, method = self.client.client_id, self.client.secret, self._client_method()
        if method == "client_secret_basic":  # RFC 6749, 2.3.1: encoded as in a form
            id_, secret = quote_plus(id_), quote_plus(secret)
        place, headers, body = ClientAuth(id_, secret, method).prepare(
            "POST", self._known["token_endpoint"], dict(FORM), body
        )
        return await self._fetch("POST", place, headers=headers, content=body)

    def _client_method(self) -> str:
        if not self.client.secret:
            return "none"
        known = self._known.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return "client_secret_basic" if "client_secret_basic" in known else "client_secret_post"

    async def _checked(self, id_token: str, access: str, nonce: str) -> dict[str, Any]:
        """Return the claims of an ID token that is signed by the provider, for us, now, and for this attempt."""
        try:
            read = await self._read_signed(id_token)
            options: Any = {"iss": {"essential": True, "value": self.client.issuer}}
            options["aud"] = {"essential": True, "value": self.client.client_id}
            expected = {"nonce": nonce, "client_id": self.client.client_id, "access_token": access}
            claims = CodeIDToken(read.claims, read.header, options, expected)
            claims.validate(leeway=LEEWAY)
        except (JoseError, AuthlibBaseError, TypeError, ValueError) as error:
            raise Refused(
                401, FIELD, f"sent a token that proves nobody: {type(error).__name__}; begin again"
            ) from error
        if not isinstance(claims["sub"], str) or not claims["sub"]:
            raise Refused(401, FIELD, "sent a token of nobody; begin again")
        return dict(claims)

    async def _read_signed(self, id_token: str) -> jwt.Token:
        offered = self._known.get("id_token_signing_alg_values_supported") or [USUAL]
        registry = JWSRegistry(algorithms=[one for one in SIGNED_BY if one in offered], strict_check_header=False)
        had_keys = self._keys is not None
        try:
            return jwt.decode(id_token, await self._ask_keys(), registry=registry)
        except InvalidKeyIdError:
            if not had_keys:
                raise
            self._keys = None  # it may have changed them since
            return jwt.decode(id_token, await self._ask_keys(), registry=registry)

    async def _ask_keys(self) -> KeySet:
        if self._keys is None:
            told: Any = await self._fetch("GET", self._known["jwks_uri"])
            try:
                self._keys = KeySet.import_key_set(told)
            except (JoseError, KeyError, TypeError, ValueError) as error:
                raise Refused(502, FIELD, "has no keys by which its tokens could be told from others'") from error
        return self._keys

    async def _more_claims(self, access: str, subject: str) -> dict[str, Any]:
        """Return what the provider tells of the same person apart from the token, where it does."""
        place = self._known.get("userinfo_endpoint")
        if not place:
            return {}
        told = await self._fetch("GET", place, headers={"Authorization": f"Bearer {access}"})
        if told.get("sub") != subject:
            raise Refused(401, FIELD, "told of somebody else than who signed in; begin again")
        return told

    async def _ask_addresses(self) -> None:
        """Have the provider's addresses, as of the last hour; Refused where they are not what they should be."""
        if self._known and time.monotonic() - self._asked_at < RELOAD_AFTER:
            return
        known = await self._fetch("GET", get_well_known_url(self.client.issuer, external=True))
        if known.get("issuer") != self.client.issuer:
            called = str(known.get("issuer"))[:200]
            raise Refused(502, FIELD, f"calls itself {called}; set FORETWIN_OIDC_ISSUER to exactly that")
        for name in PLACES:
            if (name in NEEDED or known.get(name)) and not is_safe_address(str(known.get(name, ""))):
                raise Refused(502, FIELD, f"has no https address as its {name}")
        self._known, self._keys, self._asked_at = known, None, time.monotonic()

    async def _fetch(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        """Return the JSON object of an answer; Refused, in one line, where there is none in time."""
        self._context = self._context or httpx.create_ssl_context()
        body = b""
        try:
            async with (
                asyncio.timeout(PATIENCE),
                httpx.AsyncClient(verify=self._context, timeout=PATIENCE) as client,
                client.stream(method, url, **options) as answer,
            ):
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > LARGEST:
                        raise Refused(502, FIELD, f"{self.host} answers with more than {LARGEST} bytes")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise Refused(
                503, FIELD, f"{self.host} does not answer ({reason[:120]}); a key opens these pages"
            ) from error
        return _object_of(answer.status_code, body, urlsplit(url).path)


def _object_of(status: int, body: bytes, path: str) -> dict[str, Any]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = None
    if status != 200 or not isinstance(told, dict):
        word = str(told.get("error", ""))[:60] if isinstance(told, dict) else ""
        status_of_ours = 503 if status >= 500 else 502
        raise Refused(status_of_ours, FIELD, f"answers {path} with {status} {word}".rstrip())
    return told


def is_safe_address(url: str) -> bool:
    """Whether an address is one of https, or of this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))


def new_attempt(place: str = "/") -> str:
    """Return the cookie of somebody who leaves for the provider: when, what nobody can guess, and where to come back.

    All three are in what the provider sends back (`_derived`): a cookie of another place is no cookie of the attempt.
    """
    written = quote(place, safe="/")
    return f"{int(time.time())}.{secrets.token_urlsafe(32)}.{written if len(written) <= LONGEST_PLACE else '/'}"


def wanted_page(attempt: str) -> str:
    """Return where somebody wants to come back to, who left with that cookie."""
    return unquote(attempt.split(".", 2)[2]) if attempt.count(".") >= 2 else "/"
