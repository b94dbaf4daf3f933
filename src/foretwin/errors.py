"""Every deliberate exception, as one tree; the edges turn it into an exit code or an HTTP status.

ForetwinError
├── ContractError       a twin.yaml is wrong: file, line, field
├── ParamsError         params.yaml, a setting or the file of API keys is wrong: file, field
├── SourceError         raw data is missing, damaged or not what the contract describes
│   └── DigestError     a file is there, but its bytes are not the expected ones
├── RowsError           a table breaks the rules of the canonical table
├── ExpectationsFailed  data that can be read, but that the contract forbids
├── TrainingError       there is nothing to learn from, or training was stopped
├── BundleError         a bundle is missing, incomplete or altered
├── RegistryError       the registry has no such model, or refuses one
├── StoreError          the twins' store refuses: full, read-only, of another version
│   └── StoreAway       it cannot be reached just now; trying again may help
├── BrokerError         the MQTT broker refuses, or cannot be reached at the start
└── BadInput            a call breaks the contract: which field, and why
    ├── UnknownTwin     no champion serves that twin
    ├── NotFound        no asset, case or message of that name or number
    ├── Conflict        what is asked for contradicts what has happened already
    ├── TooLarge        the call asks for more than one call may
    ├── NotAcceptable   the answer is wanted in a form that there is not
    ├── Unauthorized    nobody knows who calls
    ├── Forbidden       who calls may not do this
    └── TooMany         the caller has used up what its key allows for now
"""


class ForetwinError(Exception):
    """Base of every error that Foretwin raises on purpose; its text is one line for the user."""


class ContractError(ForetwinError):
    """A twin.yaml that cannot be read: names the file, the line and the field."""


class ParamsError(ForetwinError):
    """A params.yaml, a setting of the environment or a file of API keys that cannot be read: names it and the field."""


class SourceError(ForetwinError):
    """Raw data that is missing, damaged or not what the contract describes."""


class DigestError(SourceError):
    """A file whose bytes are not the expected ones."""


class RowsError(ForetwinError):
    """A table that breaks the rules of the canonical table."""


class ExpectationsFailed(ForetwinError):
    """Readable data that the contract forbids; the text lists each broken rule."""


class TrainingError(ForetwinError):
    """Nothing to learn from, or training was stopped before its end."""


class BundleError(ForetwinError):
    """A bundle that is missing, incomplete or altered."""


class RegistryError(ForetwinError):
    """A model that the registry does not have, or does not accept."""


class StoreError(ForetwinError):
    """The twins' store refuses: its disk is full, it is read-only, or another version of Foretwin made it."""


class StoreAway(StoreError):
    """The twins' store cannot be reached just now, or is busy; trying again may help."""


class BrokerError(ForetwinError):
    """An MQTT broker that refuses us, or that cannot be reached at the start."""


class BadInput(ForetwinError):
    """A call that breaks the contract."""

    def __init__(self, field: str, reason: str) -> None:
        """`field` is the path of the offending value, such as `assets[0].channels.flow`."""
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class UnknownTwin(BadInput):
    """A call for a twin that no champion serves."""


class NotFound(BadInput):
    """A call about an asset, a case or a message that is not there."""


class Conflict(BadInput):
    """A call that contradicts what has happened already."""


class TooLarge(BadInput):
    """A call with more bytes or rows than the service takes at once."""


class NotAcceptable(BadInput):
    """A call that wants its answer in a form that the service does not write."""


class Unauthorized(BadInput):
    """A call that shows no key, or one that does not count."""


class Forbidden(BadInput):
    """A call whose key does not have the scope that it needs."""


class TooMany(BadInput):
    """A call beyond the rate that its key allows."""

    def __init__(self, field: str, reason: str, retry_after: float) -> None:
        """`retry_after` is in seconds: when a call will be let through again."""
        super().__init__(field, reason)
        self.retry_after = retry_after
