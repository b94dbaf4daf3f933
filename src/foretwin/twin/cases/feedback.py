"""Feedback of technicians: verdicts and maintenance. Verdicts become training labels."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput, Conflict, NotFound
from foretwin.twin.cases.rules import DEPARTURE, DRIFT, END_OF_LIFE, faults_of, remedy_of
from foretwin.twin.store import Connection, Store, assets
from foretwin.twin.store.casework import audit, cases, maintenance, verdicts
from foretwin.twin.store.casework.cases import Case
from foretwin.twin.store.casework.maintenance import Maintenance
from foretwin.twin.store.casework.outbox import emit
from foretwin.twin.store.casework.verdicts import GivenVerdict
from foretwin.twin.store.scoring.own_offsets import forget_channel
from foretwin.twin.store.telemetry.readings import newest_times

Answer = dict[str, Any]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]  # PostgreSQL has no NUL
Note = Annotated[str, StringConstraints(max_length=4000, pattern=r"^[^\x00]*$")]
Time = Annotated[float, Field(ge=0)]
OF_A_SENSOR = ("sensor_replaced", "sensor_recalibrated")  # what it told of the machine's own baseline is forgotten
NEW_RUN = ("part_replaced", "run_ended")  # what comes after them is another run
OF_A_FLEET = ("confirmed", "no_fault_found")


class Told(BaseModel):
    """Base of request bodies: exactly these fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    serial_number: Text | None = Field(default=None, description="of the new part, where one was fitted")
    provenance: Text | None = Field(default=None, description="of the new part: supplier, batch, works order")
    time: Time | None = Field(default=None, description="since the run began; that of its last reading where absent")
    note: Note | None = None


class Verdict(Told):
    """A technician's verdict on a case."""

    verdict: Literal["confirmed", "other_fault", "no_fault_found", "sensor_fault", "part_replaced", "run_ended"]
    fault: Text | None = Field(default=None, description="what was found, <axis>.<class>, where it is not the case's")


class Work(Told):
    """Maintenance without a case."""

    kind: Literal["inspection", "part_replaced", "run_ended", "sensor_replaced", "sensor_recalibrated"]
    part: Text | None = Field(default=None, description="as the contract's remedies name it")
    channel: Text | None = Field(default=None, description="whose sensor was replaced or recalibrated")


def give_verdict(
    store: Store, contracts: Mapping[str, Twin], case_id: int, verdict: Verdict, actor: str, now: datetime
) -> Answer:
    """Store the verdict on a case and close it, with the maintenance done and the new run where one begins.

    After `part_replaced` and `run_ended` the asset's next reading belongs to its next run. The same verdict again
    changes nothing and has the same answer; another one is a Conflict. BadInput names the field that does not fit the
    case, NotFound says that there is no such case. A fleet's drift is confirmed, or no fault was found; its digest has
    no verdict.
    """
    with store.write() as connection:
        given = verdicts.verdict_of_case(connection, case_id)
        case = cases.find_case(connection, case_id)
        if case.asset is None or case.run is None:
            return _give_fleet(connection, case, verdict, actor, now)
        contract = _contract(contracts, case.twin)
        asset = assets.by_id(connection, [case.asset])[case.asset]
        found = _found(verdict, case, contract)
        if given is None:
            given = GivenVerdict(
                case=case_id,
                asset=asset.id,
                run=case.run,
                time=_time_of(verdict, _last_time(connection, asset.id, case.run), contract),
                at=now,
                verdict=verdict.verdict,
                fault=found,
                note=verdict.note,
                actor=actor,
            )
            _keep(connection, contract, case, verdict, given)
        elif not _is_same(connection, verdict, found, given):
            raise Conflict("verdict", f"case {case_id} has one since {_moment(given.at)}: {given.verdict}")
        return _answer(connection, asset.name, given)


def record_maintenance(
    store: Store, contracts: Mapping[str, Twin], name: str, work: Work, actor: str, now: datetime
) -> Answer:
    """Record maintenance without a case; the end of a run, or a new part, begins the asset's next run.

    A sensor that is replaced or recalibrated has the machine's own baseline of its channel learnt anew.

    NotFound where there is no such asset, BadInput for a part that the contract does not know, and for the end of a
    run that has no reading yet.
    """
    with store.write() as connection:
        asset = assets.find_asset(connection, name)
        contract = _contract(contracts, asset.twin)
        part, channel = _part_of(work, contract), _channel_of(work, contract)
        last = _last_time(connection, asset.id, asset.run)
        if work.kind == "run_ended" and last is None:
            raise BadInput("kind", f"is run_ended, but run {asset.run} of {name} has no reading yet")
        time = _time_of(work, last, contract)
        ends = work.kind in NEW_RUN and last is not None
        where, said = (asset.id, asset.run, time, now), (work.kind, part, work.serial_number, work.note)
        maintenance.add_maintenance(connection, Maintenance(*where, *said, case=None, actor=actor, channel=channel))
        if channel is not None:
            forget_channel(connection, asset.id, channel, last)
        if part is not None:
            assets.fit_part(connection, asset, part, work.serial_number, work.provenance, now)
        if ends:
            assets.begin_run(connection, asset, asset.run + 1)
        place = {"asset": name, "run": asset.run, "time": time, "at": _moment(now)}
        next_run = asset.run + 1 if ends else None
        answer = {**place, **work.model_dump(exclude={"time"}), "actor": actor, "next_run": next_run}
        audit.record(connection, actor, "maintenance.recorded", answer, now, asset=asset.id)
        return answer


def _give_fleet(connection: Connection, case: Case, verdict: Verdict, actor: str, now: datetime) -> Answer:
    """Store the verdict on a fleet's drift case; it belongs to no run and labels nothing."""
    if case.fault != DRIFT:
        raise BadInput("case", f"{case.id} is a case of the whole fleet: give the cases of its assets a verdict")
    if verdict.verdict not in OF_A_FLEET:
        raise BadInput("verdict", f"{verdict.verdict} is about one asset; a drift is {' or '.join(OF_A_FLEET)}")
    answer = {"case": case.id, "verdict": verdict.verdict, "note": verdict.note, "actor": actor, "at": _moment(now)}
    cases.close(connection, case, "verdict", actor, now)
    audit.record(connection, actor, "verdict.given", answer, now, case=case.id)
    return answer


def _keep(connection: Connection, contract: Twin, case: Case, verdict: Verdict, given: GivenVerdict) -> None:
    """Store everything that a verdict implies."""
    verdicts.add_verdict(connection, given)
    asset = assets.by_id(connection, [given.asset])[given.asset]
    if given.verdict in NEW_RUN:
        part = _replaced(verdict, case, contract) if given.verdict == "part_replaced" else None
        done = Maintenance(
            asset=given.asset,
            run=given.run,
            time=given.time,
            at=given.at,
            kind=given.verdict,
            part=part,
            serial_number=verdict.serial_number,
            note=given.note,
            case=case.id,
            actor=given.actor,
        )
        maintenance.add_maintenance(connection, done)
        if part is not None:
            assets.fit_part(connection, asset, part, verdict.serial_number, verdict.provenance, given.at)
        if asset.run <= given.run:  # else a later run has come already
            assets.begin_run(connection, asset, given.run + 1)
    answer = _answer(connection, asset.name, given)
    audit.record(connection, given.actor, "verdict.given", answer, given.at, asset=asset.id, case=case.id)
    emit(connection, "verdict.given", case.twin, asset, f"cases/{case.id}", answer, given.at)
    if case.state != "closed":
        cases.close(connection, case, "verdict", given.actor, given.at)


def _answer(connection: Connection, name: str, given: GivenVerdict) -> Answer:
    """Build the answer from the stored verdict, so that repeating the call gives the same answer."""
    done = maintenance.maintenance_of_case(connection, given.case)
    return {
        "case": given.case,
        "asset": name,
        "verdict": given.verdict,
        "fault": given.fault,
        "run": given.run,
        "time": given.time,
        "at": _moment(given.at),
        "part": done.part if done else None,
        "serial_number": done.serial_number if done else None,
        "note": given.note,
        "actor": given.actor,
        "next_run": given.run + 1 if given.verdict in NEW_RUN else None,
    }


def _is_same(connection: Connection, verdict: Verdict, found: str | None, given: GivenVerdict) -> bool:
    if (verdict.verdict, found, verdict.note) != (given.verdict, given.fault, given.note):
        return False
    done = maintenance.maintenance_of_case(connection, given.case)
    part = done.part if done else None
    fitted = [one for one in assets.fitted_parts(connection, given.asset, given.at) if one.part == part]
    new = (fitted[0].serial_number, fitted[0].provenance) if fitted else (None, None)
    return verdict.time in (None, given.time) and new == (verdict.serial_number, verdict.provenance)


def _found(verdict: Verdict, case: Case, contract: Twin) -> str | None:
    """Return the fault that the verdict names or implies; None for none, and for an end of life."""
    kind, fault = verdict.verdict, verdict.fault
    own = case.fault if case.fault in faults_of(contract) else None
    if kind != "part_replaced":
        _refuse_part(verdict, kind)
    if fault is not None and fault not in faults_of(contract):
        raise BadInput("fault", f"{fault} is none of {contract.name}; there is {', '.join(faults_of(contract))}")
    if kind in ("no_fault_found", "sensor_fault") and fault is not None:
        raise BadInput("fault", f"is {fault}, but the verdict is {kind}: leave it out, or give other_fault")
    if kind == "confirmed" and fault not in (None, own) and case.fault != DEPARTURE:
        raise BadInput("fault", f"is {fault}, but the case is about {case.fault}: give other_fault")
    if kind == "other_fault" and fault is None:
        raise BadInput("fault", f"is missing; there is {', '.join(faults_of(contract))}")
    if kind == "other_fault" and fault == own:
        raise BadInput("fault", f"{fault} is the case's own: give confirmed")
    return own if fault is None and kind in ("confirmed", "part_replaced") else fault


def _replaced(verdict: Verdict, case: Case, contract: Twin) -> str:
    """Return the part that repairs the fault."""
    remedy = remedy_of(contract, verdict.fault or case.fault)
    if remedy is None:
        raise BadInput("fault", f"is missing; {contract.name} no longer knows {case.fault}")
    return remedy.part


def _part_of(work: Work, contract: Twin) -> str | None:
    if work.kind != "part_replaced":
        _refuse_part(work, work.kind)
        if work.part is not None:
            raise BadInput("part", f"goes with part_replaced, not with {work.kind}")
        return None
    known = {remedy.part for fault in (END_OF_LIFE, *faults_of(contract)) if (remedy := remedy_of(contract, fault))}
    if work.part not in known:
        which = "is missing" if work.part is None else f"{work.part} is none of {contract.name}"
        raise BadInput("part", f"{which}; there is {', '.join(sorted(known))}")
    return work.part


def _channel_of(work: Work, contract: Twin) -> str | None:
    """Return the channel whose sensor was replaced or recalibrated; None of other work."""
    if work.kind not in OF_A_SENSOR:
        if work.channel is not None:
            raise BadInput("channel", f"goes with {' or '.join(OF_A_SENSOR)}, not with {work.kind}")
        return None
    sensors = [name for name, one in contract.channels.items() if one.role == "sensor"]
    if work.channel not in sensors:
        which = "is missing" if work.channel is None else f"{work.channel} is no sensor of {contract.name}"
        raise BadInput("channel", f"{which}; there is {', '.join(sensors)}")
    return work.channel


def _refuse_part(told: Told, kind: str) -> None:
    for field in ("serial_number", "provenance"):
        if getattr(told, field) is not None:
            raise BadInput(field, f"is of a new part, and goes with part_replaced, not with {kind}")


def _time_of(told: Told, last: float | None, contract: Twin) -> float:
    """Return the given time, else that of the run's last reading. A time far beyond it would label future readings."""
    if told.time is None:
        return last or 0.0
    if told.time > (last or 0.0) + contract.clock.longest_jump:
        unit = contract.clock.unit
        raise BadInput("time", f"is {told.time:g} {unit}, but the run's last reading is of {last or 0:g}")
    return told.time


def _last_time(connection: Connection, asset_id: int, run: int) -> float | None:
    """Return the time of the run's newest reading; None without readings."""
    newest = float(newest_times(connection, np.array([asset_id]), np.array([run]))[0])
    return None if math.isnan(newest) else newest


def _contract(contracts: Mapping[str, Twin], twin: str) -> Twin:
    if twin not in contracts:
        raise NotFound("twin", f"{twin} has no contract here any more")
    return contracts[twin]


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
