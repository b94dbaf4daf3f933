"""The settings of a Kafka client from a URL: its brokers, TLS and SASL; and which of its errors are refusals.

`kafka://host:9092,host2` or `kafkas://...?ca=FILE&cert=FILE&key=FILE&sasl=SCRAM-SHA-512`.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from confluent_kafka import KafkaError

from foretwin.errors import BrokerError
from foretwin.twin.connectors.connections.addresses import split_url

PORT = 9092
FILES = {"ca": "ssl.ca.location", "cert": "ssl.certificate.location", "key": "ssl.key.location"}
SCRAM = ("SCRAM-SHA-512", "SCRAM-SHA-256")  # the first one unless another is named
PLAIN = "PLAIN"
ANSWER = 4000  # ms that a broker may take to answer
SILENT = logging.getLogger("foretwin.kafka.client")  # our own modules tell what matters, in their own words
REFUSALS = (
    KafkaError._AUTHENTICATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
)
UNTRUSTED = ("certificate verify failed", "PLAINTEXT broker listener")  # of errors of TLS those that do not pass


def client_settings(name: str, url: str, root: Path, user: str | None, password: str | None) -> dict[str, Any]:
    """Return librdkafka's settings; `name` is whose they are, files are relative to `root`.

    BrokerError where the URL cannot be used, and where a password would go over the wire in clear.
    """
    parts = split_url(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    is_secure = parts.scheme == "kafkas"
    known = ("sasl", *(FILES if is_secure else ()))
    unknown = [one for one in query if one not in known]
    if unknown or parts.path not in ("", "/"):
        what = unknown[0] if unknown else parts.path
        raise BrokerError(
            f"{name}: url: {what} is not known; kafkas:// knows {', '.join(FILES)} and sasl, kafka:// sasl"
        )
    settings: dict[str, Any] = {
        "bootstrap.servers": _brokers(parts.netloc.rpartition("@")[2]),
        "client.id": "foretwin",
        "security.protocol": ("SASL_" if user else "") + ("SSL" if is_secure else "PLAINTEXT"),
        "socket.timeout.ms": ANSWER,
        "socket.keepalive.enable": True,
        "log_level": 0,
    }
    for one, setting in FILES.items():
        if one in query:
            settings[setting] = _file(name, root / query[one])
    return settings | _sasl(name, query, is_secure, user, password)


def is_refusal(error: KafkaError) -> bool:
    """Whether the brokers refuse us for good, so that trying again is of no use."""
    is_untrusted = error.code() == KafkaError._SSL and any(one in error.str() for one in UNTRUSTED)
    return error.code() in REFUSALS or is_untrusted


def refused(name: str, error: KafkaError) -> BrokerError:
    """Return the error that tells that the brokers refuse us."""
    advice = "correct user and password, or what the user may do"
    if error.code() == KafkaError._SSL:
        advice = "name the brokers' authority as ?ca=FILE, or write kafka:// where they know no TLS"
    return BrokerError(f"{name}: the brokers refuse: {error.str()}; {advice}")


def _brokers(hosts: str) -> str:
    with_port = (host if ":" in host.rpartition("]")[2] else f"{host}:{PORT}" for host in hosts.split(",") if host)
    return ",".join(with_port)


def _file(name: str, path: Path) -> str:
    try:
        with path.open("rb"):
            return str(path)
    except OSError as error:
        raise BrokerError(f"{name}: url: {path}: {error.strerror}; name a file in PEM that can be read") from None


def _sasl(
    name: str, query: Mapping[str, str], is_secure: bool, user: str | None, password: str | None
) -> dict[str, Any]:
    if not user:
        if "sasl" in query:
            raise BrokerError(f"{name}: user: is missing, but sasl is not; name it, and its password_from")
        return {}
    mechanism = query.get("sasl", SCRAM[0])
    if mechanism not in (*SCRAM, PLAIN):
        raise BrokerError(f"{name}: url: sasl={mechanism} is not known; there is {', '.join((*SCRAM, PLAIN))}")
    if mechanism == PLAIN and not is_secure:
        raise BrokerError(f"{name}: url: sasl=PLAIN would send the password in clear; use kafkas://, or {SCRAM[0]}")
    return {"sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": password or ""}
