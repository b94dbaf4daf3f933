"""Exceptions of Foretwin, as one tree; entry points convert them to an exit code or an HTTP status.

ForetwinError
├── ContractError       a twin.yaml is invalid: file, line, field
├── ConnectionsError    a connections.yaml is invalid: file, line, field
├── ParamsError         params.yaml, a setting or the file of API keys is invalid: file, field
├── SourceError         raw data are missing, damaged or not as the contract describes
│   └── DigestError     a file does not have the expected digest
├── RowsError           a table breaks the rules of the canonical table
├── ExpectationsFailed  data break the contract's validation rules
├── TrainingError       no data to train on, or training was stopped
├── BundleError         a bundle is missing, incomplete or altered
├── RegistryError       the registry has no such model, or rejects one
├── StoreError          the twins' store fails: full, read-only, of another version
│   └── StoreAway       the store is temporarily unavailable; retry
├── ServiceError        a service that a client asks cannot be reached, or fails
├── BrokerError         a broker or server rejects the connection, or is unreachable at the start
└── BadInput            a request is invalid: field and reason
    ├── UnknownTwin     no champion serves that twin
    ├── NotFound        no asset, case or message of that name or number
    ├── Conflict        the request conflicts with the present state
    ├── TooLarge        the request exceeds a size limit
    ├── NotAcceptable   the requested response format is not supported
    ├── Unauthorized    missing or unknown API key
    ├── Forbidden       the API key lacks the required scope
    └── TooMany         the API key's rate limit is exceeded
"""


class ForetwinError(Exception):
    """Base of every error that Foretwin raises deliberately; its text is one line for the user."""


class ContractError(ForetwinError):
    """An invalid twin.yaml: names the file, the line and the field."""


class ConnectionsError(ForetwinError):
    """An invalid connections.yaml: names the file, the line and the field."""


class ParamsError(ForetwinError):
    """An invalid params.yaml, environment variable or file of API keys: names it and the field."""


class SourceError(ForetwinError):
    """Raw data that are missing, damaged or not as the contract describes."""


class DigestError(SourceError):
    """A file without the expected digest."""


class RowsError(ForetwinError):
    """A table that breaks the rules of the canonical table."""


class ExpectationsFailed(ForetwinError):
    """Data that break validation rules of the contract; the text lists each broken rule."""


class TrainingError(ForetwinError):
    """No data to train on, or training was stopped before its end."""


class BundleError(ForetwinError):
    """A bundle that is missing, incomplete or altered."""


class RegistryError(ForetwinError):
    """A model that the registry does not have or rejects."""


class StoreError(ForetwinError):
    """A failure of the twins' store: disk full, read-only, or made by another version of Foretwin."""


class StoreAway(StoreError):
    """The twins' store is temporarily unreachable or busy; retry."""


class ServiceError(ForetwinError):
    """A service that a client cannot reach, or that fails on a call."""


class BrokerError(ForetwinError):
    """A broker or server that rejects the connection, or is unreachable at the start."""


class BadInput(ForetwinError):
    """An invalid request: a field and the reason."""

    def __init__(self, field: str, reason: str) -> None:
        """`field` is the path of the offending value, such as `assets[0].channels.flow`."""
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class UnknownTwin(BadInput):
    """A request for a twin without a champion."""


class NotFound(BadInput):
    """A request for an asset, a case or a message that does not exist."""


class Conflict(BadInput):
    """A request that conflicts with the present state."""


class TooLarge(BadInput):
    """A request with more bytes or rows than the service accepts at once."""


class NotAcceptable(BadInput):
    """A request for a response format that the service does not support."""


class Unauthorized(BadInput):
    """A request without an API key, or with an unknown or expired one."""


class Forbidden(BadInput):
    """A request whose API key lacks the required scope."""


class TooMany(BadInput):
    """A request beyond the rate limit of its API key."""

    def __init__(self, field: str, reason: str, retry_after: float) -> None:
        """`retry_after` is the time in seconds until a request is accepted again."""
        super().__init__(field, reason)
        self.retry_after = retry_after
