"""How values look on a page, in the language of whoever reads it: numbers, moments, faults, health."""

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup

from foretwin.errors import ParamsError
from foretwin.predictor.health.warning_kinds import lone_channel
from foretwin.project.settings import read_setting
from foretwin.twin.console.german import GERMAN

LANGUAGES = ("en", "de")
ZONE = "FORETWIN_ZONE"
MONTHS = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "de": ("Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez."),
}
HEALTH = {  # NAMUR NE 107, each with its sign
    "failure": ("Failure", "✕"),
    "maintenance_required": ("Maintenance required", "◆"),
    "off_specification": ("Off specification", "?"),
    "check_function": ("Check function", "…"),
    "good": ("Good", "✓"),
}
FAULTS = {
    "end_of_life": "Near the end of its life",
    "digest": "Digest of many machines",
    "drift": "Drift of the fleet",
    "none": "No fault",
    "healthy": "No fault",
    "unknown": "Unclear",
}
WARNINGS = {  # of scores, by what they begin with
    "out_of_training_range": "Outside of what the machines of the training showed: {about}",
    "short_history": "Few readings so far: {about}",
    "cadence": "Readings at another pace than the model learnt from: {about}",
    "standstill": "Stood still: {about}",
    "window_coverage": "Readings are missing: {about}",
    "channel_missing": "No value lately of {about}",
    "unknown_category": "A word that the contract does not know, in {about}",
    "off": "Stands still, nothing is said of its health: {about}",
    "unknown_regime": "Runs at settings at which no machine was seen, nothing is said of its health: {about}",
    "check_function": "A sensor fails rather than the machine: {about}",
    "lone_channel": "Its sensor, or the part that it watches: {about}",  # check_function without a sensor's signature
    "rul_at_cap": "As long as remaining lives are told apart, or longer",
}
DUE = (
    (86400, "in {n} d", "over for {n} d"),
    (3600, "in {n} h", "over for {n} h"),
)
SHIFT = 6  # o'clock at which a day of work begins
UNITS = {"degC": "°C", "m3/h": "m³/h", "m3": "m³"}  # as they are printed, where that is not how they are typed


def site_zone(environ: Mapping[str, str] = os.environ) -> tzinfo | None:
    """Return the zone of FORETWIN_ZONE; None, which means this machine's, without it. ParamsError for no such zone."""
    name = read_setting(ZONE, environ)
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ParamsError(f"{ZONE}: {name[:60]!r} is no time zone; Europe/Berlin is one") from None


def preferred_language(header: str) -> str:
    """Return the language of LANGUAGES that an Accept-Language header likes best, English without any."""
    liked = []
    for part in header.split(","):
        tag, _, quality = part.strip().partition(";q=")
        language = tag.split("-")[0].strip().lower()
        if language in LANGUAGES:
            liked.append((_weight(quality), language))
    return max(liked, key=lambda one: one[0], default=(0, LANGUAGES[0]))[1]


class Wording:
    """Texts and values in one language and one zone; its methods are what templates call."""

    def __init__(self, language: str, zone: tzinfo | None) -> None:
        self.language, self.zone, self.units = language, zone, UNITS

    def text(self, english: str, **values: object) -> str:
        """Return a text in the language, with its values."""
        found = GERMAN.get(english, english) if self.language == "de" else english
        return found.format(**values) if values else found

    def number(self, value: float | None, digits: int = 3) -> str:
        """Return a number with its significant digits; a whole one as it is."""
        if value is None:
            return "–"
        rounded = float(f"{value:.{digits}g}") if abs(value) < 10**digits else round(value)
        shown = f"{rounded:,.0f}" if rounded == round(rounded) else f"{rounded:,g}"
        return shown.translate(str.maketrans(",.", ".,")) if self.language == "de" else shown

    def life(self, value: float | None) -> str:
        """Return a remaining life as exactly as it can be known: tenths only of what is short."""
        return self.number(value if value is None else round(value, 0 if abs(value) >= 10 else 1), 6)

    def share(self, value: float | None) -> str:
        """Return a probability in per cent."""
        return "–" if value is None else f"{value:.0%}"

    def unit(self, name: str) -> str:
        """Return a unit as it is printed."""
        return UNITS.get(name, name)

    def moment(self, written: str | None) -> Markup:
        """Return a moment of the API as the site's clock shows it, with UTC on hover; a dash for none."""
        if not written:
            return Markup("–")
        at, shown = datetime.fromisoformat(written).astimezone(UTC), self.plain_moment(written)
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            at.isoformat(timespec="seconds"), f"{at:%Y-%m-%d %H:%M} UTC", shown
        )

    def plain_moment(self, written: str | None) -> str:
        """Return a moment as the site's clock shows it, as plain text; a dash for none."""
        if not written:
            return "–"
        here = datetime.fromisoformat(written).astimezone(self.zone)
        return f"{self.plain_day(here)}, {here:%H:%M}"

    def plain_day(self, day: date) -> str:
        """Return a day as people write it."""
        dot = "." if self.language == "de" else ""
        return f"{day.day}{dot} {MONTHS[self.language][day.month - 1]} {day.year}"

    def form_day(self, written: str | None) -> str:
        """Return the day of a moment by the site's clock, as a form holds it."""
        return datetime.fromisoformat(written).astimezone(self.zone).date().isoformat() if written else ""

    def ago(self, seconds: float | None) -> str:
        """Return how long ago something was, in its largest unit."""
        if seconds is None:
            return self.text("never")
        for size, one in ((86400, "{n} d ago"), (3600, "{n} h ago"), (60, "{n} min ago")):
            if seconds >= size:
                return self.text(one, n=int(seconds // size))
        return self.text("just now")

    def due(self, written: str | None, now: datetime) -> str:
        """Return how far ahead a moment is, or that it is over, in its largest unit; nothing for none."""
        if not written:
            return ""
        seconds = (datetime.fromisoformat(written) - now).total_seconds()
        size, ahead, past = next(
            (one for one in DUE if abs(seconds) >= one[0]), (1, "within the hour", "over since a moment ago")
        )
        return self.text(ahead if seconds >= 0 else past, n=int(abs(seconds) // size))

    def is_over(self, written: str, now: datetime) -> bool:
        """Whether a moment lies in the past."""
        return datetime.fromisoformat(written) < now

    def day(self, text: str) -> str:
        """Return the start of the day shift on a day, `2026-12-01`, of the site's clock; other texts as they are."""
        try:
            begin = datetime.fromisoformat(text).replace(hour=SHIFT, minute=0, second=0, tzinfo=self.zone)
            return (begin if self.zone else begin.astimezone()).isoformat()
        except (ValueError, OverflowError):
            return text

    def site_moment(self, text: str) -> str:
        """Return a moment of the site's clock, `2026-12-01T14:30` of a form, with its zone; other texts as they are."""
        try:
            here = datetime.fromisoformat(text)
            aware = here if here.tzinfo else here.replace(tzinfo=self.zone) if self.zone else here.astimezone()
            return aware.isoformat()
        except (ValueError, OverflowError):
            return text

    def band(self, name: str) -> str:
        """Return a band of remaining lives, such as `8 to 16`."""
        return name.replace(" to ", " – ")

    def health(self, word: str) -> Markup:
        """Return a word of NAMUR NE 107 with its sign, as a badge."""
        name, sign = HEALTH[word]
        return Markup('<span class="health {}"><span aria-hidden="true">{}</span> {}</span>').format(
            word.replace("_", "-"), sign, self.text(name)
        )

    def fault(self, name: str | None) -> str:
        """Return a fault in words: `mode.thrust_bearing` is a thrust bearing."""
        if name is None:
            return "–"
        return self.text(FAULTS[name]) if name in FAULTS else name.rpartition(".")[2].replace("_", " ").capitalize()

    def warning(self, written: str) -> str:
        """Return a warning of a score in words; one that is not known here as it is."""
        kind, _, about = written.partition(": ")
        kind = "lone_channel" if lone_channel([written]) else kind
        return self.text(WARNINGS[kind], about=about.replace("_", " ")) if kind in WARNINGS else written

    def diagnosis(self, score: Mapping[str, Any] | None) -> str:
        """Return what a score says is failing, of all axes."""
        said = (score or {}).get("diagnosis") or {}
        return ", ".join(self.fault(name) for name in said.values()) or "–"


def _weight(quality: str) -> float:
    try:
        return float(quality or 1)
    except ValueError:
        return 0.0
