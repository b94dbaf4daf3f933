"""Names of columns: which ones mean something, and how they become names of a contract."""

import re
import unicodedata
from collections.abc import Iterable
from itertools import product

from foretwin.contract.twin import RESERVED

# Names in order of preference, without spaces, underscores, case and accents.
ASSET_NAMES = (
    *("asset", "assetid", "machine", "machineid", "equipment", "equipmentid", "device", "deviceid"),
    *("unit", "unitid", "unitnumber", "unitnr", "engine", "engineid", "pump", "pumpid", "turbine", "turbineid"),
    *("motor", "motorid", "vehicle", "vehicleid", "serial", "serialnumber", "productid", "id"),
    *("maschine", "maschinennr", "anlage", "anlagennr", "gerat", "geratenr", "equipo", "maquina", "equipement"),
)
TIME_NAMES = (
    *("timestamp", "datetime", "time", "ts", "date", "cycle", "cycles", "timecycles", "timeincycles"),
    *("operatinghours", "hour", "hours", "minute", "minutes", "second", "seconds", "day", "days", "age", "step", "t"),
    *("zeitstempel", "zeit", "datumzeit", "datum", "horodatage", "fecha", "fechahora", "betriebsstunden", "zyklus"),
    *("betriebsstunde", "laufzeit", "uhrzeit", "heure", "hora", "ora", "uur", "tijd", "dataora"),
)
RUN_NAMES = ("run", "runid", "runnumber", "life", "lifeid", "lifenumber", "trajectory", "episode")
FAILURE_NAMES = (
    "failure",
    "failed",
    "fail",
    "isfailure",
    "machinefailure",
    "breakdown",
    "brokendown",
    "broken",
    "ausfall",
    "panne",
    "fallo",
    "guasto",
    "falha",
)
RUL_NAMES = (
    *("rul", "remainingusefullife", "timetofailure", "ttf", "cyclestofailure", "hourstofailure"),
    *("rulcycles", "rulhours", "remaininglife"),
)
INDEX_NAMES = {"index", "unnamed", "unnamed0", "rownumber", "rownr", "rowid"}
# Words of a name that make it a label: English, German, French, Spanish.
LABEL_WORDS = {
    *("fault", "faults", "faulty", "failure", "failures", "failed", "fail", "label", "labels", "anomaly", "anomalies"),
    *("anomalous", "changepoint", "broken", "breakdown", "target", "defect", "defective", "outlier"),
    *("abnormal", "malfunction", "attack", "alarm", "alarms"),
    *("fehler", "storung", "ausfall", "defekt", "schaden", "anomalie"),
    *("defaut", "panne", "fallo", "falla", "averia", "anomalia"),
}
PLANNED_WORDS = {"planned", "scheduled", "preventive", "geplant", "planmassig", "planifie", "planificado"}
# Beginnings of such words, as in faulttype and Fehlercode.
LABEL_STEMS = ("fault", "anomal", "fehler", "storung", "stoerung", "ausfall", "defekt", "schaden")
LABEL_NAMES = {*FAILURE_NAMES, "class", "y", "groundtruth"}
# Names of what is left of a life, or of the share that is used up.
LIFE_LEFT = re.compile(
    r".*(rul|remaining(useful)?life|restlaufzeit|restlebensdauer|lifeleft|stateofhealth|stateoflife|soh)"
    r"|(cycles?|hours?|days?|minutes?|seconds?|time|steps|runs)(left|remaining|to(failure|end|eol))"
    r"|(remaining|left)(cycles?|hours?|days?|time)|lifetime(left|used|share|pct|percent)?"
    r"|(used)?life(pct|percent|percentage|share|fraction|used|consumed)|ttf|eol"
)
UNITS_BY_NAME = {
    "sourcerow": "row",
    **dict.fromkeys(("cycle", "cycles", "timecycles", "timeincycles"), "cycle"),
    **dict.fromkeys(("hour", "hours", "operatinghours", "betriebsstunde", "betriebsstunden"), "h"),
    **dict.fromkeys(("heure", "hora", "ora", "uur"), "h"),
    **dict.fromkeys(("minute", "minutes"), "min"),
    **dict.fromkeys(("second", "seconds"), "s"),
    **dict.fromkeys(("day", "days"), "d"),
}


def squashed(column: str) -> str:
    """Return the column's name without unit, case, accents, spaces and signs: `Machine-ID [1]` is machineid."""
    return plain_name(column).replace("_", "")


def plain_name(column: str) -> str:
    """Return the column's name in lower snake case ASCII, without the unit in brackets."""
    without_unit = re.sub(r"[\[(][^\[\]()]*[\])]\s*$", "", column) or column
    ascii_only = unicodedata.normalize("NFKD", without_unit).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", ascii_only).strip("_")


def unit_of(column: str) -> str | None:
    """Return the unit in brackets at the end of a column's name, if there is one."""
    found = re.search(r"[\[(]([^\[\]()]{1,20})[\])]\s*$", column)
    return found[1].strip() or None if found else None


def channel_names(columns: Iterable[str]) -> dict[str, str]:
    """Return a name that the contract accepts for each column: name -> column, in the columns' order."""
    names: dict[str, str] = {}
    for column in columns:
        names[_free(_word(column, "channel"), names)] = column
    return names


def class_names(values: Iterable[str], healthy: str) -> dict[str, str]:
    """Return a name of a class for each value of a label: value -> name; `healthy` is the value of the healthy one."""
    names, taken = {healthy: "healthy"}, {"healthy", "unknown"}
    for value in values:
        if value not in names:
            names[value] = _free(_word(value, "class"), taken)
            taken.add(names[value])
    return names


def _word(text: str, kind: str) -> str:
    """Return text as a word of a contract, with `kind` before it where it would be none."""
    plain = plain_name(text)[:50].strip("_")
    if not plain or not plain[0].isalpha() or plain in RESERVED or plain.startswith("fault_"):
        plain = f"{kind}_{plain}".rstrip("_")
    return plain


def _free(name: str, taken: Iterable[str]) -> str:
    known, number, free = set(taken), 2, name
    while free in known:
        free, number = f"{name}_{number}", number + 1
    return free


def side_by_side(columns: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the words before, and those after, a mark in all of these names, where each stands with each other.

    So are machines beside each other, as in `M1.temp`, `M1.flow`, `M2.temp`, `M2.flow`. Nothing where it is otherwise.
    """
    names = list(columns)
    for mark in ".:/|\\_ -":
        parts = [name.partition(mark)[::2] for name in names]
        before, after = list(dict.fromkeys(p[0] for p in parts)), list(dict.fromkeys(p[1] for p in parts))
        if all(after) and min(len(before), len(after)) > 1 and set(parts) == set(product(before, after)):
            return before, after
    return [], []
