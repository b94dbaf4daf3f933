"""Settings from the environment: every FORETWIN_* variable, what it says, and the only functions that read them.

A variable that begins with FORETWIN_ and is none of these is an error in every process: a mistyped name would otherwise
be a default that nobody wanted.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal
from urllib.parse import urlsplit

from foretwin.errors import ParamsError

PREFIX = "FORETWIN_"
ALIKE = 0.85  # of two names, for one to be proposed in the place of the other
SERVICE_LINKS = ("_SERVICE_", "_TCP")  # in the names of variables that Kubernetes sets for each of its services

Kind = Literal["text", "secret", "url", "urls", "path", "choice", "number", "port", "networks", "zone"]


@dataclass(frozen=True)
class Setting:
    """A variable of the environment. `default` is what holds without it, as text; `otherwise` says it in words."""

    name: str
    about: str
    read_by: tuple[str, ...]
    kind: Kind = "text"
    default: str = ""
    otherwise: str = ""
    choices: tuple[str, ...] = ()


_SERVICES = ("serve", "live")
_PROCESSES = ("live", "watch", "ingest", "follow")
_TWIN = ("live", "watch", "ingest", "demo", "and every command about twins and cases")
_SHARING = ("follow", "promote", "rollback")
_LISTED = (
    Setting(
        "FORETWIN_HOST",
        "address that the scoring service listens on; `foretwin serve` sets it from `--host`",
        ("serve",),
        default="127.0.0.1",
    ),
    Setting(
        "FORETWIN_PORT", "its port; `foretwin serve` sets it from `--port`", ("serve",), kind="port", default="3000"
    ),
    Setting(
        "FORETWIN_PROJECT",
        "folder of the project whose champions answer, and that is watched for new ones; `foretwin serve` sets it",
        ("serve",),
        kind="path",
    ),
    Setting(
        "FORETWIN_BENTO",
        "folder of the Bento whose models answer, where there is no project",
        ("serve",),
        kind="path",
    ),
    Setting(
        "FORETWIN_ACCESS",
        "`open` lets everybody in, and binds to loopback alone",
        _SERVICES,
        kind="choice",
        default="keys",
        choices=("keys", "open"),
    ),
    Setting(
        "FORETWIN_KEYS",
        "file of the API keys",
        (*_SERVICES, "keys"),
        kind="path",
        otherwise="`keys.json` in the project",
    ),
    Setting(
        "FORETWIN_RATES",
        "file in which the processes of one machine count the calls of a key together",
        _SERVICES,
        "path",
    ),
    Setting("FORETWIN_TLS_CERT", "certificate, in PEM with what signed it: both services speak TLS", _SERVICES, "path"),
    Setting(
        "FORETWIN_TLS_KEY", "its private key, which others on the machine must not be able to read", _SERVICES, "path"
    ),
    Setting(
        "FORETWIN_TRUSTED_SIGNERS",
        "public keys, separated by commas: only models that one of them signed are served (docs/security.md)",
        ("serve", "watch", "live"),
    ),
    Setting("FORETWIN_KEY", "API key that a client sends", ("replay", "mcp", "foretwin.Client"), kind="secret"),
    Setting(
        "FORETWIN_LOG_REQUESTS",
        "`all` logs every call, not only those that failed or were slow",
        _SERVICES,
        kind="choice",
        choices=("all",),
    ),
    Setting(
        "FORETWIN_MAX_BODY_BYTES",
        "largest body of a call, or of an MQTT message, in bytes",
        (*_SERVICES, "ingest"),
        kind="number",
        default="8388608",
    ),
    Setting(
        "FORETWIN_CHAMPION_MEMORY",
        "MiB that [networks of champions](scoring-service.md#many-twins) may take in a process",
        ("serve", "watch"),
        kind="number",
        default="1024",
    ),
    Setting("FORETWIN_MAX_ROWS", "most rows of one call", ("serve",), kind="number", default="100000"),
    Setting(
        "FORETWIN_MAX_CONNECTIONS",
        "most connections of a service, or fewer where it may open few files",
        _SERVICES,
        kind="number",
        default="2000",
    ),
    Setting(
        "FORETWIN_MAX_CONNECTIONS_PER_ADDRESS",
        "most connections of one address, and calls at once of one client of a proxy",
        _SERVICES,
        kind="number",
        default="200",
    ),
    Setting(
        "FORETWIN_PATIENCE",
        "seconds that a client may be silent in the middle of a call, or not read its answer",
        _SERVICES,
        kind="number",
        default="10",
    ),
    Setting(
        "FORETWIN_TRUSTED_PROXIES",
        "addresses or networks whose `X-Forwarded-For` says who the client is",
        _SERVICES,
        kind="networks",
    ),
    Setting(
        "FORETWIN_STORE",
        "URL of the living twin's store: `sqlite:///PATH`, or a PostgreSQL",
        _TWIN,
        kind="url",
        otherwise="`twins.db` in the project",
    ),
    Setting(
        "FORETWIN_ARCHIVE",
        "folder of what has [aged out](retention.md) of the store",
        ("watch", "retain", "history", "export", "erase", "retrain"),
        kind="path",
        otherwise="`data/<twin>/archive/`",
    ),
    Setting(
        "FORETWIN_ZONE",
        "time zone of the moments on the pages of `foretwin live`, such as `Europe/Berlin`",
        ("live",),
        kind="zone",
        otherwise="this machine's zone",
    ),
    Setting("FORETWIN_OIDC_ISSUER", "address of [whom people sign in at](access.md#openid-connect)", ("live",), "url"),
    Setting("FORETWIN_OIDC_CLIENT_ID", "what this service is called there", ("live",)),
    Setting("FORETWIN_OIDC_CLIENT_SECRET", "its password there", ("live",), "secret", otherwise="a public client"),
    Setting("FORETWIN_OIDC_SCOPES", "scopes to ask for", ("live",), default="openid profile email"),
    Setting("FORETWIN_OIDC_NAME_CLAIM", "claim that names a person", ("live",), default="preferred_username"),
    Setting("FORETWIN_OIDC_ROLE_CLAIM", "claim whose values give roles", ("live",), default="groups"),
    Setting("FORETWIN_OIDC_ROLES", "`VALUE=ROLE; VALUE=ROLE`, which value gives which role", ("live",)),
    Setting("FORETWIN_OIDC_OWNER_CLAIM", "claim with the owners to whom a person is bound", ("live",)),
    Setting("FORETWIN_WEBHOOKS", "where events go: URLs, separated by commas", ("watch",), kind="urls"),
    Setting("FORETWIN_WEBHOOK_SECRET", "signs them", ("watch",), kind="secret"),
    Setting("FORETWIN_EVENTS_MQTT", "URL of a broker that gets them too", ("watch",), kind="url"),
    Setting("FORETWIN_EVENTS_NATS", "URL of a server of NATS JetStream that gets them too", ("watch",), kind="url"),
    Setting("FORETWIN_NATS_PASSWORD", "password of the user in it", ("watch",), kind="secret"),
    Setting("FORETWIN_EVENTS_KAFKA", "URL of brokers of Kafka that get them too", ("watch",), kind="url"),
    Setting("FORETWIN_KAFKA_PASSWORD", "password of the user in it", ("watch",), kind="secret"),
    Setting(
        "FORETWIN_MQTT_URL",
        "broker of `foretwin ingest` where no argument is given: `mqtts://user@host?ca=FILE`",
        ("ingest", "doctor"),
        kind="url",
    ),
    Setting("FORETWIN_MQTT_PASSWORD", "password of brokers", ("ingest", "watch", "replay"), kind="secret"),
    Setting(
        "FORETWIN_HEALTH_PORT",
        "port of `/livez`, `/readyz` and `/metrics` of [a process](health.md); 0 takes a free one, which the log tells",
        _PROCESSES,
        kind="port",
        otherwise="there is none",
    ),
    Setting("FORETWIN_HEALTH_HOST", "address of these; who reaches it needs no key", _PROCESSES, default="127.0.0.1"),
    Setting(
        "FORETWIN_LOG_FORMAT",
        "`json` makes each line of the log an object, as the scoring service's are",
        (*_PROCESSES, "replay", "keys"),
        kind="choice",
        default="text",
        choices=("text", "json"),
    ),
    Setting(
        "FORETWIN_DATASETS",
        "folder of downloaded archives, for twins of public data sets",
        ("the stages fetch and adapt", "benchmark"),
        kind="path",
    ),
    Setting(
        "FORETWIN_RAY",
        "Ray that [trains](scale.md#training-on-several-hosts): `auto`, `local`, `ray://HOST:PORT`, `HOST:PORT`",
        ("the stage train", "benchmark"),
        otherwise="processes on this machine",
    ),
    Setting(
        "FORETWIN_ARTIFACTS",
        "where the files of new MLflow experiments lie: `s3://bucket/prefix`, or a folder",
        ("the stages promote and publish", "follow", "promote", "rollback"),
        otherwise="`mlartifacts` in the project",
    ),
    Setting("FORETWIN_MODELS", "where [hosts share champions](scale.md#models-for-many-hosts), as a URL", _SHARING),
)
SETTINGS: Mapping[str, Setting] = {setting.name: setting for setting in _LISTED}


def read_setting(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return a setting as text: what the environment says, else the default; empty where there is neither."""
    known = SETTINGS[name]
    text = environ.get(name, "")
    return (text if known.kind == "secret" else text.strip()) or known.default


def read_number(name: str, environ: Mapping[str, str] = os.environ) -> int:
    """Return a setting that counts something; ParamsError unless it is a positive integer."""
    text = environ.get(name, SETTINGS[name].default)
    if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) < 1:
        raise ParamsError(f'{name}: is "{text[:60]}", a positive integer is needed')
    return int(text)


def read_port(name: str, environ: Mapping[str, str] = os.environ) -> int | None:
    """Return a setting that is a port, None where it is not set; ParamsError unless it is from 0 to 65535."""
    text = read_setting(name, environ)
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ParamsError(f'{name}: is "{text[:60]}", a number from 0 to 65535 is needed')
    return int(text)


def read_choice(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return a setting that is one of a few words; ParamsError for another one."""
    text, choices = read_setting(name, environ), SETTINGS[name].choices
    if text and text not in choices:
        words = " or ".join(f"`{word}`" for word in choices)
        default = SETTINGS[name].default
        without = f", as without it: {default}" if default else ", or it is not set"
        raise ParamsError(f"{name}: is {text[:60]!r}; it is {words}{without}")
    return text


def shown_value(setting: Setting, text: str) -> str:
    """Return the text of a setting as it may be shown: without a secret, a URL's password or its query."""
    if setting.kind == "secret":
        return "(set, not shown)" if text else ""
    if setting.kind in ("url", "urls"):
        return ", ".join(_without_secrets(url.strip()) for url in text.split(","))
    return text


def _without_secrets(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(no URL, not shown)"
    user, has_user, host = parts.netloc.rpartition("@")
    place = f"{user.partition(':')[0]}{':***' if ':' in user else ''}{has_user}{host}"
    shown = f"{parts.scheme}://{place}{parts.path}" if "://" in url else url
    return f"{shown}?..." if parts.query else shown


def unknown_names(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each variable that looks like a setting and is none, with the nearest name."""
    for name in sorted(environ):
        upper = name.upper()
        if name in SETTINGS or "TWIN_" not in upper:
            continue
        nearest = get_close_matches(upper, SETTINGS, 1, ALIKE)
        if not upper.startswith(PREFIX) and not nearest:
            continue
        if any(part in name for part in SERVICE_LINKS):
            yield f"{name}: is no setting but a service link of Kubernetes; set `enableServiceLinks: false` for the pod"
        else:
            advice = f"did you mean {nearest[0]}?" if nearest else "`foretwin config` lists the settings; unset it"
            yield f"{name[:80]}: there is no such setting; {advice}"


def check_names(environ: Mapping[str, str] = os.environ) -> None:
    """Check that every variable that looks like a setting is one; ParamsError names those that are none."""
    if lines := list(unknown_names(environ)):
        raise ParamsError("; ".join(lines))
