"""IDTA 02010-1-0-1, service request notification: one for each open case."""

from foretwin.twin.asset_shell.content import Content, Thing
from foretwin.twin.asset_shell.machine_facts import MachineFacts
from foretwin.twin.cases.rules import URGENT
from foretwin.twin.store.casework.cases import Case

# Words of the template's value lists.
STATUS = {"open": "sent", "acknowledged": "received"}
IN_PROGRESS, HIGH, MEDIUM, MAINTENANCE = "in progress", "High", "Medium", "Preventive Maintenance"


def service_notifications(facts: MachineFacts) -> Content:
    """Return the notifications, in the order in which the cases opened; None without any."""
    if not facts.open_cases:
        return None
    told = [_told(facts, case) for case in facts.open_cases]
    found = {f"ServiceRequestNotification{i:02d}": one for i, one in enumerate(told, 1)}
    return {"NumberOfServiceRequestNotifications": len(found), **found}


def _told(facts: MachineFacts, case: Case) -> Content:
    remedy = facts.remedy(case)
    what = case.fault.replace(".", ": ").replace("_", " ")
    return {
        "ReportedBy": {"SenderSystem": Thing(description="Foretwin"), "ContactInformation01": {}},
        "ServiceRequestNotificationId": f"SR-{case.id}-{case.severity}",
        "Status": STATUS.get(case.state, IN_PROGRESS),
        "Priority": HIGH if case.severity == URGENT else MEDIUM,
        "RelatedAsset": Thing(facts.global_id),
        "ShortText": f"{facts.asset.name}: {what}",
        "ServiceType": MAINTENANCE,
        "DetailedInformation": {
            "LongText": None if remedy is None else f"{remedy.instruction} Part: {remedy.part}.",
            "StartOfFault": case.opened_at,
            "ErrorCode": case.fault,
        },
    }
