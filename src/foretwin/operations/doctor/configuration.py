"""Settings, API keys and champions."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from foretwin.champion.champion import load_champion
from foretwin.errors import ForetwinError, RegistryError
from foretwin.operations.doctor.finding import DoctorFinding, Installation
from foretwin.project.contracts import load_contracts
from foretwin.project.settings import (
    SETTINGS,
    read_choice,
    read_number,
    read_port,
    read_setting,
    unknown_names,
)
from foretwin.serving.access.keys import keys_path, read_keys
from foretwin.serving.http.uvicorn_settings import trusted_proxies
from foretwin.twin.console.wording import site_zone
from foretwin.twin.outbox.dispatcher import targets_from
from foretwin.twin.outbox.routes.routes_file import check_routes
from foretwin.twin.store.database import parse_store_url, store_url

SOON = timedelta(days=14)  # before a key expires
READERS: Mapping[str, Callable[[str, Mapping[str, str]], object]] = {
    "number": read_number,
    "port": read_port,
    "choice": read_choice,
}


def check_settings(place: Installation) -> Iterator[DoctorFinding]:
    """Check names and values of all settings."""
    wrong = list(unknown_names(place.environ))
    attempts: list[Callable[[], object]] = [
        *(
            lambda name=name, reader=READERS[setting.kind]: reader(name, place.environ)
            for name, setting in SETTINGS.items()
            if setting.kind in READERS
        ),
        lambda: trusted_proxies(place.environ),
        lambda: site_zone(place.environ),
        lambda: targets_from(place.environ),
        lambda: check_routes(place.root, place.environ),
        lambda: parse_store_url(store_url(place.root, place.environ)),
    ]
    for attempt in attempts:
        try:
            attempt()
        except ForetwinError as error:
            wrong.append(str(error))
    yield from (DoctorFinding("fail", "settings", line) for line in wrong)
    if not wrong:
        count = sum(1 for name in SETTINGS if place.environ.get(name))
        yield DoctorFinding("ok", "settings", f"{count} of {len(SETTINGS)} are set, none is unknown or wrong")


def check_keys(place: Installation) -> Iterator[DoctorFinding]:
    """Check that somebody may call, and whose key ends soon."""
    if read_setting("FORETWIN_ACCESS", place.environ) == "open":
        yield DoctorFinding("warn", "keys", "FORETWIN_ACCESS is open: everybody on this machine may do everything")
        return
    path, now = keys_path(place.root, place.environ), datetime.now(UTC)
    try:
        keys = [key for key in read_keys(path) if key.state(now) == "valid"]
    except (ForetwinError, OSError) as error:
        yield DoctorFinding("fail", "keys", str(error))
        return
    ending = [key for key in keys if key.expires_at and key.expires_at - now < SOON]
    for key in ending:
        yield DoctorFinding(
            "warn", "keys", f"{key.name} ends on {key.expires_at:%Y-%m-%d}; `foretwin keys new` makes another"
        )
    if not keys:
        yield DoctorFinding(
            "warn", "keys", f"{path} holds none that counts; `foretwin keys new NAME --scope read` makes one"
        )
    elif not ending:
        yield DoctorFinding("ok", "keys", f"{len(keys)} count in {path}")


def check_champions(place: Installation) -> Iterator[DoctorFinding]:
    """Load the champion of each twin, as the processes do."""
    try:
        contracts = load_contracts(place.root)
    except ForetwinError as error:
        yield DoctorFinding("fail", "champions", str(error))
        return
    if not contracts:
        yield DoctorFinding("fail", "champions", "data/*/twin.yaml: there is none; run this from the project's folder")
    for twin in contracts:
        try:
            identity = load_champion(place.root, twin).identity
        except RegistryError as error:
            yield DoctorFinding("warn", "champions", f"{error}; its readings are stored, and not scored")
        except ForetwinError as error:
            yield DoctorFinding("fail", "champions", str(error))
        else:
            yield DoctorFinding("ok", "champions", f"{twin}: version {identity.version} is there and whole")
