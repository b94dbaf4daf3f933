"""Which schema the answer of each operation has."""

from pydantic import BaseModel

from foretwin.twin.api.schemas import access_answers as access
from foretwin.twin.api.schemas import asset_answers as assets
from foretwin.twin.api.schemas import passport_answers as passports
from foretwin.twin.api.schemas import plan_answers as plans
from foretwin.twin.api.schemas import plant_answers as plant
from foretwin.twin.api.schemas import receipt_answers as receipts
from foretwin.twin.api.schemas import retention_answers as retention
from foretwin.twin.series import Series
from foretwin.twin.spectrum import Spectra

BY_OPERATION: dict[str, type[BaseModel]] = {
    "get_fleet": assets.FleetAnswer,
    "get_twin": assets.AssetDetail,
    "put_twin": assets.AssetDetail,
    "delete_twin": assets.ErasureCertificate,
    "get_readings": assets.ReadingsAnswer,
    "post_readings": receipts.ReceiptAnswer,
    "post_events": receipts.EventsAnswer,
    "get_scores": assets.ScoresAnswer,
    "get_series": Series,
    "get_spectrum": Spectra,
    "get_contract": assets.ContractAnswer,
    "get_thread": assets.ThreadAnswer,
    "get_shell": passports.ShellAnswer,
    "get_end_of_life": passports.EndOfLifeAnswer,
    "post_maintenance": assets.MaintenanceAnswer,
    "post_what_if": assets.WhatIfAnswer,
    "post_explanation": assets.ExplanationAnswer,
    "get_overview": plant.OverviewAnswer,
    "get_cases": plant.CasesAnswer,
    "get_case": plant.CaseAnswer,
    "get_service_request": plant.ServiceRequestAnswer,
    "post_acknowledge": plant.CaseAnswer,
    "post_move": plant.CaseAnswer,
    "post_assignment": plant.CaseAnswer,
    "post_rest": plant.CaseAnswer,
    "post_comment": plant.CommentAnswer,
    "get_comments": plant.CommentsAnswer,
    "post_photo": plant.PhotoAnswer,
    "get_photos": plant.PhotosAnswer,
    "get_similar": plant.SimilarAnswer,
    "post_verdict": plant.VerdictAnswer,
    "get_calendar": plans.CalendarAnswer,
    "get_parts": plans.PartsAnswer,
    "get_quarantine": plant.QuarantineAnswer,
    "post_release": plant.ReleaseAnswer,
    "get_deliveries": plant.DeliveriesAnswer,
    "post_revival": plant.RevivalAnswer,
    "post_work_order_state": passports.WorkOrderState,
    "get_monitor_report": plant.MonitorAnswer,
    "get_twin_models": plans.ModelsAnswer,
    "get_model": plans.ChampionAnswer,
    "get_ledger": plans.LedgerAnswer,
    "post_rollback": plans.ModelHead,
    "get_kpis": plant.KpisAnswer,
    "get_usage": plans.UsageAnswer,
    **dict.fromkeys(
        (
            "get_type_job",
            "post_type_file",
            "post_type_columns",
            "post_type_draft",
            "post_type_build",
            "post_type_discard",
        ),
        plans.TypeJobAnswer,
    ),
    "get_keys": access.KeysAnswer,
    "post_key": access.MadeKey,
    "post_key_revocation": access.RevokedKey,
    "get_sessions": access.SessionsAnswer,
    "post_session_end": access.EndedSession,
    "get_identity_provider": access.IdentityProviderAnswer,
    "get_retention": retention.RetentionAnswer,
    "get_holds": retention.HoldsAnswer,
    "post_hold": retention.HeldAnswer,
    "post_hold_lift": retention.LiftedAnswer,
    "get_caller": access.CallerAnswer,
    "get_ready": plant.ReadyAnswer,
}
