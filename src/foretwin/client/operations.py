"""What both clients can ask, written once: the blocking one returns what the asynchronous one awaits."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import pandas as pd

from foretwin.client import plans
from foretwin.client.exchange import Plan

Table = TypeVar("Table")  # a DataFrame, or an awaitable of one
Content = TypeVar("Content")  # a dict, or an awaitable of one
Moment = datetime | str | None


class Operations(ABC, Generic[Table, Content]):
    """The calls of the scoring service (`foretwin serve`) and of the living twin (`foretwin live`)."""

    @abstractmethod
    def _table(self, plan: Plan) -> Table:
        """Carry out a plan that ends with a table."""

    @abstractmethod
    def _content(self, plan: Plan) -> Content:
        """Carry out a plan that ends with what an answer holds."""

    # The scoring service

    def score(self, rows: pd.DataFrame, twin: str) -> Table:
        """Score the last row of each asset: canonical rows in, a row per asset out.

        `rows` has `asset`, `time` in the unit of the contract's clock, a column per channel in the contract's unit, and
        perhaps `run` and `observed_at` (UTC). Large tables go in several calls, each asset whole. The columns of the
        answer are those of `Bundle.score`; its `attrs["model"]` says which model answered the last call.
        """
        return self._table(plans.scoring(rows, twin))

    def models(self) -> Table:
        """Read which champion answers for each twin, with its figures."""
        return self._table(plans.reading_table("/v1/models", "models"))

    # The living twin

    def send(self, readings: pd.DataFrame, twin: str | None = None) -> Table:
        """Send readings of any number of assets; `twin` registers those that are not known.

        Columns as in `score`. Sending a reading again changes nothing. Returns a row per asset: stored, duplicates,
        late, gaps, quarantined, and what was `rejected` with field and detail.
        """
        return self._table(plans.sending(readings, twin))

    def report_events(self, asset: str, events: Sequence[Mapping[str, Any]]) -> Content:
        """Report alarms, errors and the like: each has `code` and `time`, and `run` where it is not the present one.

        For a machine type of which a contract makes channels of events: its next reading has them. Sending an event
        again changes nothing. Returns how many were stored, duplicates, late, or ignored.
        """
        return self._content(plans.changing(plans.asset_path(asset, "events"), {"events": [*events]}, repeatable=True))

    def assets(self, most: int | None = None, **filters: Any) -> Table:
        """List assets with their last score: `twin`, `stale`, `location`, `health`, `search`, `tag`, `sort`."""
        return self._table(plans.listing("/v1/twins", filters, most))

    def asset(self, asset: str) -> Content:
        """Read description, parts, counters, last score and open cases of an asset."""
        return self._content(plans.reading(plans.asset_path(asset)))

    def describe(self, asset: str, **description: Any) -> Content:
        """Set what is told of an asset: `twin`, `serial_number`, `location`, `tags`, `parts`."""
        return self._content(plans.changing(plans.asset_path(asset), description, "PUT", repeatable=True))

    def readings(
        self, asset: str, run: int | None = None, since: Moment = None, until: Moment = None, most: int | None = None
    ) -> Table:
        """Read an asset's readings in order of time, of one run or of a period of receipt."""
        period = {"run": run, "since": since, "until": until}
        return self._table(plans.listing(plans.asset_path(asset, "readings"), period, most))

    def scores(
        self, asset: str, run: int | None = None, since: Moment = None, until: Moment = None, most: int | None = None
    ) -> Table:
        """Read what models said of an asset."""
        period = {"run": run, "since": since, "until": until}
        return self._table(plans.listing(plans.asset_path(asset, "scores"), period, most))

    def explain(self, asset: str) -> Content:
        """Ask what each channel contributes to the present score of an asset."""
        return self._content(plans.changing(plans.asset_path(asset, "explain"), {}, repeatable=True))

    def what_if(self, asset: str, options: Sequence[Mapping[str, Any]]) -> Content:
        """Ask how long an asset lasts under other settings; each option as `POST /v1/twins/{asset}/what-if` has it."""
        return self._content(plans.asking_what_if(asset, options))

    def cases(self, most: int | None = None, **filters: Any) -> Table:
        """List cases: `state`, `severity`, `twin`, `asset`, `fault`, `tag`, `assignee`, `snoozed`, `sort`."""
        return self._table(plans.listing("/v1/cases", filters, most))

    def case(self, number: int) -> Content:
        """Read one case."""
        return self._content(plans.reading(f"/v1/cases/{number}"))

    def service_request(self, number: int) -> Content:
        """Read what a technician needs for the repair: part, instruction, skills, latest safe date."""
        return self._content(plans.reading(f"/v1/cases/{number}/service-request"))

    def acknowledge(self, number: int) -> Content:
        """Say that somebody has seen a case."""
        return self._content(plans.changing(f"/v1/cases/{number}/acknowledge", {}, repeatable=True))

    def move(self, number: int, state: str, planned_for: Moment = None) -> Content:
        """Move a case over the board: `open`, `acknowledged`, `planned` (with its moment), `waiting_for_part`."""
        return self._content(plans.moving(number, state, planned_for))

    def assign(self, number: int, person: str | None) -> Content:
        """Give a case to a person, or to nobody."""
        return self._content(plans.assigning(number, person))

    def snooze(self, number: int, until: Moment = None, reason: str | None = None) -> Content:
        """Let a case rest until a moment, for a reason; without both it wakes."""
        return self._content(plans.resting(number, until, reason))

    def comment(self, number: int, text: str) -> Content:
        """Say something of a case."""
        return self._content(plans.changing(f"/v1/cases/{number}/comments", {"text": text}))

    def comments(self, number: int) -> Table:
        """Read what was said of a case, the oldest first."""
        return self._table(plans.reading_table(f"/v1/cases/{number}/comments", "items"))

    def similar_cases(self, number: int) -> Table:
        """Read how cases of the same fault ended, the newest first."""
        return self._table(plans.reading_table(f"/v1/cases/{number}/similar", "items"))

    def give_verdict(self, number: int, verdict: str, **found: Any) -> Content:
        """Close a case by what was found.

        That is `confirmed`, `other_fault`, `no_fault_found`, `sensor_fault`, `part_replaced` or `run_ended`.
        `found` may hold `fault`, and what else `POST /v1/cases/{case}/verdict` takes.
        """
        return self._content(plans.changing(f"/v1/cases/{number}/verdict", {"verdict": verdict, **found}))

    def call(self, path: str, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None) -> Content:
        """Call an end point that has no method of its own here, and answers JSON: GET, or POST with a body."""
        return self._content(plans.calling(path, query or {}, body))

    def record_maintenance(self, asset: str, kind: str, **done: Any) -> Content:
        """Record work without a case: `inspection`, `part_replaced` (with `part`), `run_ended`, or of a sensor.

        `sensor_replaced` and `sensor_recalibrated` name its `channel`.
        """
        return self._content(plans.changing(plans.asset_path(asset, "maintenance"), {"kind": kind, **done}))

    def key_figures(self, **asked: Any) -> Table:
        """Read the key figures, a row per twin: `twin`, `period`, `since`, `until`."""
        return self._table(plans.reading_table("/v1/kpis", "twins", asked))
