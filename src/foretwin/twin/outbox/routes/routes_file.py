"""`routes.yaml` of a project: to whom service requests go, by name, checked like a contract."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, field_validator, model_validator

from foretwin.contract.parts import ContractPart, zone_of
from foretwin.contract.yaml import describe_problem, read_yaml
from foretwin.errors import ConnectionsError
from foretwin.serving.access.bounds import Bounds, owner_pattern

FILE = "routes.yaml"
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=100)]
HELD = timedelta(
    minutes=1
)  # after which what is held back is looked at again: something urgent may have come behind it


class QuietHours(ContractPart):
    """Hours of each day in which only what is urgent is sent; they may go over midnight."""

    begin: time
    end: time
    zone: Text = Field(default="UTC", description="such as Europe/Berlin")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        zone_of(self.zone)
        if self.begin == self.end:
            raise ValueError("end: is the same as `begin`; leave `quiet` out, or let it end later")
        return self

    def end_after(self, now: datetime) -> datetime | None:
        """Return when the quiet hours of a moment end; None outside of them."""
        local = now.astimezone(zone_of(self.zone))
        at = local.time().replace(tzinfo=None)
        over_midnight = self.begin > self.end
        inside = at >= self.begin or at < self.end if over_midnight else self.begin <= at < self.end
        if not inside:
            return None
        day = local.date() + timedelta(days=1 if over_midnight and at >= self.begin else 0)
        return datetime.combine(day, self.end, tzinfo=local.tzinfo)


class Route(ContractPart):
    """One receiver of service requests. Exactly one of `work_orders`, `mail` and `chat_from` says what it is."""

    work_orders: Text | None = Field(default=None, description="the file of a template, relative to routes.yaml")
    mail: Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(default=None, description="addresses")
    chat_from: Variable | None = Field(default=None, description="variable that holds a URL of Apprise")
    url: Text | None = Field(
        default=None, description="of the system, or of the SMTP server: smtp://host, smtps://host"
    )
    sender: Text | None = Field(default=None, description="the address from which mail comes")
    user: Text | None = None
    password_from: Variable | None = Field(default=None, description="variable that holds the SMTP server's password")
    headers_from: dict[Text, Variable] = Field(default={}, description="headers, and the variables that hold them")
    values: dict[Text, Text] = Field(default={}, description="what the template calls {values.NAME}")
    values_from: dict[Text, Variable] = Field(default={}, description="the same, from variables: what is secret")
    twins: tuple[Text, ...] = ()
    assets: tuple[Text, ...] = ()
    owners: tuple[Text, ...] = Field(default=(), description="TAG=PATTERN, or a pattern of the tag `owner`")
    severity: Literal["planned", "urgent"] = Field(default="planned", description="the least that is sent")
    quiet: QuietHours | None = None

    @field_validator("owners")
    @classmethod
    def _with_tags(cls, owners: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(owner_pattern(one) for one in owners)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [name for name in ("work_orders", "mail", "chat_from") if getattr(self, name) is not None]
        if len(kinds) != 1:
            raise ValueError("say one of work_orders, mail and chat_from: a route has one receiver")
        parts = urlsplit(self.url or "")
        wanted = {"work_orders": ("http", "https"), "mail": ("smtp", "smtps"), "chat_from": ()}[kinds[0]]
        if wanted and (parts.scheme not in wanted or not parts.hostname):
            raise ValueError(f"url: is none that begins with {'://, '.join(wanted)}://")
        if parts.password or parts.username:
            raise ValueError("url: holds a user; write `user`, and name the variable of the password")
        if not wanted and self.url is not None:
            raise ValueError("url: a chat's URL holds secrets; name its variable in chat_from, and leave this out")
        if self.mail is not None and self.sender is None:
            raise ValueError("sender: is missing; say from which address the mail comes")
        return self

    @property
    def bounds(self) -> Bounds:
        """Return which machines it is about."""
        return Bounds(twins=self.twins, assets=self.assets, owners=self.owners)


@dataclass(frozen=True)
class NamedRoute:
    """A route by its name. `root` is the folder of routes.yaml, `environ` holds its secrets."""

    name: str
    settings: Route
    root: Path
    environ: Mapping[str, str]

    def secret(self, variable: str) -> str:
        """Return what a variable holds; ConnectionsError where it is not set."""
        if not self.environ.get(variable):
            raise ConnectionsError(f"{FILE}: {self.name}: {variable} is not set; set it in the environment")
        return self.environ[variable]

    def check_secrets(self) -> None:
        """Raise ConnectionsError where a variable that it names is not set."""
        own = self.settings
        named = [*own.headers_from.values(), *own.values_from.values(), own.password_from, own.chat_from]
        for variable in named:
            if variable is not None:
                self.secret(variable)


def load_routes(root: Path, environ: Mapping[str, str] = os.environ) -> list[NamedRoute]:
    """Read routes.yaml of a project; none without such a file. ConnectionsError names file, line and field."""
    path = root / FILE
    try:
        content, node = read_yaml(path, ConnectionsError)
    except FileNotFoundError:
        return []
    try:
        found = _ADAPTER.validate_python(content)
    except ValidationError as error:
        raise ConnectionsError(describe_problem(path, node, error, "routes")) from None
    return [NamedRoute(name, settings, root, environ) for name, settings in found.items()]


def check_routes(root: Path, environ: Mapping[str, str] = os.environ) -> int:
    """Return how many routes there are; ConnectionsError where one is wrong, or a variable that it names is not set."""
    found = load_routes(root, environ)
    for route in found:
        route.check_secrets()
    return len(found)


_Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=60)]
_ADAPTER: TypeAdapter[Any] = TypeAdapter(Annotated[dict[_Name, Route], Field(min_length=1)])
