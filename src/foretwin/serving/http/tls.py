"""TLS of both services, by setting: FORETWIN_TLS_CERT and FORETWIN_TLS_KEY name the files."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from foretwin.errors import ParamsError
from foretwin.project.files import OTHERS
from foretwin.project.settings import read_setting

CERTIFICATE, KEY = "FORETWIN_TLS_CERT", "FORETWIN_TLS_KEY"


@dataclass(frozen=True)
class TlsFiles:
    """Files in PEM: the certificate with what signed it, and its private key."""

    certificate: Path
    key: Path

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self | None:
        """Read both variables; None where neither is set.

        ParamsError where one is missing, a file is none, they do not belong together, or others may read the key.
        """
        certificate, key = read_setting(CERTIFICATE, environ), read_setting(KEY, environ)
        if not certificate and not key:
            return None
        if not certificate or not key:
            missing, there = (CERTIFICATE, KEY) if key else (KEY, CERTIFICATE)
            raise ParamsError(f"{missing}: is missing, and {there} is set; set both, or neither")
        files = cls(Path(certificate), Path(key))
        files._check()
        return files

    def _check(self) -> None:
        try:
            if self.key.stat().st_mode & OTHERS:
                raise ParamsError(f"{KEY}: everybody on this machine may read {self.key}; `chmod 600 {self.key}`")
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key)
        except ssl.SSLError as error:
            reason = error.reason or "no PEM"
            raise ParamsError(f"{CERTIFICATE}, {KEY}: no certificate with its private key: {reason}") from None
        except OSError as error:
            raise ParamsError(f"{CERTIFICATE}, {KEY}: {error.filename or self.key}: {error.strerror}") from None

    def settings(self) -> dict[str, str]:
        """Return uvicorn's settings for them."""
        return {"ssl_certfile": str(self.certificate), "ssl_keyfile": str(self.key)}


def scheme(environ: Mapping[str, str]) -> str:
    """Return how the services' URLs begin: https where TLS is set."""
    return "https" if read_setting(CERTIFICATE, environ) else "http"
