"""All checks, one after the other."""

from collections.abc import Iterator

from foretwin.errors import ForetwinError
from foretwin.operations.doctor.backends import check_broker, check_database
from foretwin.operations.doctor.configuration import check_champions, check_keys, check_settings
from foretwin.operations.doctor.finding import DoctorFinding, Installation
from foretwin.operations.doctor.host import check_clock, check_disk, check_permissions, check_versions

CHECKS = {
    "settings": check_settings,
    "versions": check_versions,
    "permissions": check_permissions,
    "clock": check_clock,
    "disk": check_disk,
    "database": check_database,
    "broker": check_broker,
    "keys": check_keys,
    "champions": check_champions,
}


def examine_installation(place: Installation) -> Iterator[DoctorFinding]:
    """Yield what each check finds; a wrong setting fails the check that needs it, and no other."""
    for name, check in CHECKS.items():
        try:
            yield from check(place)
        except ForetwinError as error:
            yield DoctorFinding("fail", name, str(error))
