"""IDTA 02048-1-0, predictive maintenance: remaining useful life with its interval, its conditions, and the cases."""

from typing import Any

from foretwin.contract.channels import Channel
from foretwin.twin.asset_shell.content import Content
from foretwin.twin.asset_shell.machine_facts import MachineFacts
from foretwin.twin.store.casework.cases import Case

TIME, USAGES, OTHER = "Time", "NumberOfUsages", "Other"  # the first two as OPC UA for Devices calls them
CYCLES = ("cycle", "cycles", "stroke", "strokes", "shot", "shots", "start", "starts")
DATA_DRIVEN = "data-driven methods"  # as the template enumerates them


def predictive_maintenance(facts: MachineFacts) -> Content:
    """Return the prediction; None without a score that has an RUL, since the template demands one."""
    score, clock = facts.score, facts.contract.clock
    if score is None or score.rul is None or score.rul_low is None or score.rul_high is None:
        return None
    kind = TIME if clock.seconds is not None else USAGES if clock.unit.lower() in CYCLES else OTHER
    level = "" if facts.model is None or facts.model.level is None else f", which covers {facts.model.level:.0%}"
    cap = "" if facts.contract.rul is None else f" Values are not told apart above {facts.contract.rul.cap:g}."
    prediction = {
        "RemainingUsefulLifetime": {
            "IndicationType": kind,
            "DurationValue": score.rul,
            "EngineeringUnit": clock.unit,
            "StartValue": score.time,
            "StartDateTime": facts.read_at,
            "Description": f"From the reading at {score.time:g} {clock.unit} of run {score.run};"
            f" the confidence interval is in {clock.unit}{level}.{cap}",
        },
        "RemainingUsfulLifeDateTime": facts.after_reading(score.rul),
        "ConfidenceInterval": (score.rul_low, score.rul_high),
        "ListRULBoundaryConditions": [_condition(name, one) for name, one in facts.contract.channels.items()],
        "PredictionModelInformation": {
            "ModelType": DATA_DRIVEN,
            "ModelDescription": _model(facts),
        },
        "ListPreAlerts": [_alert(facts, case) for case in facts.open_cases] or None,
        "AlertAfterExceedingRemainingUsableLife": {
            "AlertMessage": facts.contract.rul and facts.contract.rul.remedy.instruction,
            "MaintenanceRequired": bool(facts.open_cases),
        },
    }
    return {"RemainingUsefulLifePrediction": prediction}


def _model(facts: MachineFacts) -> str | None:
    model = facts.model
    return None if model is None else f"{model.name}, version {model.version}, run {model.run}, digest {model.digest}"


def _condition(name: str, channel: Channel) -> dict[str, Any]:
    """Return a channel with what physics allows; the template has one number for the range, which is its width."""
    words = channel.categories is not None
    limits = "words" if words else f"from {channel.min:g} to {channel.max:g} {channel.unit}"
    return {
        "ConditionName": name,
        "IsBoundaryConditionUsedInModel": True,
        "BoundaryValueRange": None if words else channel.max - channel.min,
        "BoundaryEngineeringUnit": channel.unit,
        "BoundaryDescription": f"{channel.description or name}: {channel.role}, {limits}; others are refused",
    }


def _alert(facts: MachineFacts, case: Case) -> dict[str, Any]:
    remedy = facts.remedy(case)
    what = case.fault.replace(".", ": ").replace("_", " ")
    part = f"; part {remedy.part}" if remedy else ""
    return {
        "PreAlertMessage": f"Case {case.id}: {what}, {case.severity}, {case.state.replace('_', ' ')}{part}",
        "PreAlertValue": remedy.lead_time if remedy else facts.contract.cases.open_below,
    }
