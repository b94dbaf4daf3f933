"""Address of an MQTT broker, from a URL.

`mqtt://user:password@host:port` or `mqtts://...?ca=FILE&cert=FILE&key=FILE`.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from foretwin.errors import BadInput
from foretwin.project.settings import read_setting

PASSWORD = "FORETWIN_MQTT_PASSWORD"  # noqa: S105 - the name of the variable
PORTS = {"mqtt": 1883, "mqtts": 8883}
FILES = ("ca", "cert", "key")


@dataclass(frozen=True)
class Address:
    """Address and credentials of a broker. As text it shows neither user nor password."""

    host: str
    port: int
    secure: bool
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    files: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{'mqtts' if self.secure else 'mqtt'}://{self.host}:{self.port}"

    def tls_context(self) -> ssl.SSLContext:
        """Return a TLS context: the system's authorities or `ca`, our own certificate; BadInput for unusable files."""
        try:
            context = ssl.create_default_context(cafile=self.files.get("ca"))
            if "cert" in self.files:
                context.load_cert_chain(self.files["cert"], self.files.get("key"))
        except OSError as error:  # ssl's errors are among them, and name no file
            reason = error.strerror or str(error)
            raise BadInput("url", f"{', '.join(self.files.values())}: no usable certificate: {reason}") from None
        return context


def check_no_password(option: str, url: str) -> None:
    """Check the URL that a command was given; BadInput where it holds a password."""
    user = url.partition("?")[0].rpartition("@")[0].partition("://")[2]
    if ":" in user:
        seen = "holds a password, which everybody on this machine can read in the list of processes"
        raise BadInput(option, f"{seen}; leave it out, as in mqtts://user@host, and set {PASSWORD}")


def parse_address(url: str, environ: Mapping[str, str]) -> Address:
    """Parse a URL; the password may be in FORETWIN_MQTT_PASSWORD instead. BadInput where it is invalid."""
    try:
        parts = urlsplit(url)
        port, query = parts.port, dict(parse_qsl(parts.query, keep_blank_values=True))
        (parts.hostname or "").encode("idna")  # as the name will be looked up
    except ValueError as error:
        raise BadInput("url", f"is none of a broker: {error}") from None
    if parts.scheme not in PORTS or not parts.hostname or parts.path not in ("", "/"):
        raise BadInput("url", "is none of a broker, such as mqtt://host:1883 or mqtts://user@host:8883?ca=FILE")
    unknown = [name for name in query if name not in FILES or parts.scheme == "mqtt"]
    if unknown:
        raise BadInput("url", f"{unknown[0]} is not known; mqtts:// knows {', '.join(FILES)}, mqtt:// nothing")
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password is not None else (read_setting(PASSWORD, environ) or None)
    secure = parts.scheme == "mqtts"
    return Address(parts.hostname, port or PORTS[parts.scheme], secure, user, password if user else None, query)
