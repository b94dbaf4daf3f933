"""The demonstration's technician, who goes to pumps that have failed and says what the simulation knows."""

from typing import Any

import pandas as pd

from foretwin.cli.demo.client import tell
from foretwin.contract.twin import Twin
from foretwin.dataset.table import fault_column
from foretwin.twin.cases.rules import END_OF_LIFE

LEFT = 2  # failed pumps, the last ones, whose cases are left for whoever watches


def give_verdicts(api: str, contract: Twin, cases: list[dict[str, Any]], rows: pd.DataFrame) -> int:
    """Close the first case of each failed pump but the last ones with a verdict; return how many were given."""
    failed = rows[rows["failed"]].sort_values("time")[:-LEFT]
    given = 0
    for _, last in failed.iterrows():
        mine = [case for case in cases if case["asset"] == last["asset"] and case["state"] != "closed"]
        if mine:
            what = _what_was_found(contract, mine[0]["fault"], last)
            tell(f"{api}/v1/cases/{mine[0]['id']}/verdict", {"verdict": "run_ended", **what})
            given += 1
    return given


def _what_was_found(contract: Twin, fault: str, last: "pd.Series[Any]") -> dict[str, str]:
    """Return the fault at the end, `<axis>.<class>`, where it is another than the case says."""
    for axis in contract.axes:
        number = int(last[fault_column(axis)])
        found = f"{axis}.{contract.classes(axis)[number]}"
        if number > 0 and fault not in (END_OF_LIFE, found):
            return {"fault": found}
    return {}
