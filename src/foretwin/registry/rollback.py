"""Roll back to an earlier champion: move the alias, record why, update the served folder."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from foretwin.champion import ledger
from foretwin.champion.ledger import LedgerEntry
from foretwin.errors import BundleError, ForetwinError, RegistryError
from foretwin.predictor.bundle import Bundle
from foretwin.project.paths import Paths
from foretwin.registry.locations import BUNDLE, model_name
from foretwin.registry.restore import CAME
from foretwin.registry.sync import keep_named
from foretwin.registry.tracking_store import connect_mlflow, mlflow_errors
from foretwin.registry.versions import (
    GATE,
    RegisteredChampion,
    aliased,
    as_champion,
    bundle_folder,
    numbered,
    set_champion,
    version_of,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

ROLLED_BACK: Final = "rolled_back"
REASON = "foretwin.rolled_back"  # the tag of a version that was left: when, by whom and why


@mlflow_errors()
def rollback(root: Path, twin: str, reason: str, actor: str, to: str | None = None) -> RegisteredChampion:
    """Make the champion before the present one, or the former champion of version `to`, active again; return it.

    Its bundle is found and verified before anything moves. Done twice, it goes back to the champion before that one.
    RegistryError where `reason` is empty, where there is no champion to go back to, or where its bundle is lost.
    """
    name, paths = model_name(twin), Paths(root, twin)
    if not reason.strip():
        raise RegistryError(f"{name}: a roll-back needs a reason, which the ledger keeps")
    client, decisions = connect_mlflow(root), ledger.read(paths.ledger)
    left = aliased(client, twin)
    if left is None:
        raise RegistryError(f"{name}: has no champion, so none can be rolled back")
    wanted = _wanted(paths, decisions, str(left.version), to)
    found, back = _at_hand(client, paths, decisions, wanted)
    if back.version == str(left.version):
        raise RegistryError(f"{name} version {back.version}: is the champion already")
    now = datetime.now(UTC)
    entry = LedgerEntry(
        at=now,
        action=ROLLED_BACK,
        version=str(left.version),
        bundle=left.tags.get(BUNDLE, ""),
        run=str(left.run_id),
        champion_before=str(left.version),
        champion=back.version,
        reasons=(),
        actor=actor,
        reason=reason.strip(),
    )
    ledger.append(paths.ledger, entry)  # first, so that no champion is without its entry
    set_champion(root, twin, back.version)
    _tell(client, left, found, decisions, entry)
    _keep(client, paths, back)
    return back


def former(decisions: Sequence[LedgerEntry], present: str) -> str | None:
    """Return the champion that `present` replaced; rolled-back ones are skipped for the one before."""
    wanted, left = present, ledger.taken_back(decisions)
    for decision in reversed(decisions):
        before = decision.champion_before
        if decision.action in CAME and decision.champion == wanted and before != wanted:
            if before is None or before not in left:
                return before
            wanted = before
    return None


def _wanted(paths: Paths, decisions: Sequence[LedgerEntry], present: str, to: str | None) -> str:
    """Return the version to go back to; RegistryError where the ledger knows none, or not the requested one."""
    name = model_name(paths.twin)
    were = {version for one in decisions for version in (one.champion_before, one.champion) if version}
    if to is not None:
        if to not in were:
            known = f"those that were: {', '.join(sorted(were, key=int))}" if were else "the ledger knows none that was"
            raise RegistryError(f"{name} version {to}: was never champion; {known}")
        return to
    wanted = former(decisions, present)
    if wanted is None:
        others = sorted(were - {present}, key=int)
        advice = f"; version {', '.join(others)} can be named" if others else ""
        raise RegistryError(f"{name}: the ledger knows no champion before version {present}{advice}")
    return wanted


def _at_hand(
    client: "MlflowClient", paths: Paths, decisions: Sequence[LedgerEntry], wanted: str
) -> tuple[Any, RegisteredChampion]:
    """Return the version from the registry with its verified bundle; by the digest that the ledger has of it.

    A restored registry may number its versions otherwise.
    """
    name = model_name(paths.twin)
    digest = next((one.bundle for one in reversed(decisions) if one.version == wanted), None)
    found = version_of(client, paths.twin, digest) if digest else numbered(client, paths.twin).get(wanted)
    if found is None:
        advice = "check out a commit at which it was champion, then `dvc pull` and `foretwin publish`"
        raise RegistryError(f"{name} version {wanted}: is not in this registry; {advice}")
    folder = bundle_folder(client, paths.root, paths.twin, found)
    try:
        twin = Bundle.load(folder).contract.name
    except BundleError as error:
        raise RegistryError(f"{name} version {wanted}: cannot answer: {error}") from None
    if twin != paths.twin:
        raise RegistryError(f"{name} version {wanted}: is a model of {twin}")
    return found, as_champion(paths.twin, found, folder)


def _tell(client: "MlflowClient", left: Any, back: Any, decisions: Sequence[LedgerEntry], entry: LedgerEntry) -> None:
    """Describe the roll-back on both versions, above their descriptions."""
    moment = f"{entry.at:%Y-%m-%d %H:%M} UTC by {entry.actor}: {entry.reason}"
    client.set_model_version_tag(left.name, left.version, GATE, ROLLED_BACK)
    client.set_model_version_tag(left.name, left.version, REASON, moment)
    if back.tags.get(GATE) == ROLLED_BACK:
        came = (one.action for one in reversed(decisions) if one.action in CAME and one.bundle == back.tags[BUNDLE])
        client.set_model_version_tag(back.name, back.version, GATE, next(came, CAME[0]))
    gone = f"**Rolled back** on {moment}\n\nVersion {back.version} is the champion again."
    again = f"**Champion again** since version {left.version} was rolled back on {moment}"
    for version, text in ((left, gone), (back, again)):
        client.update_model_version(version.name, version.version, f"{text}\n\n{version.description or ''}".strip())


def _keep(client: "MlflowClient", paths: Paths, back: RegisteredChampion) -> None:
    """Write the restored champion to models/<twin>/champion/."""
    try:
        keep_named(client, paths)
    except ForetwinError as error:
        again = f"{back.name} version {back.version} is the champion again, but models/{paths.twin}/champion is not"
        raise RegistryError(f"{again}: {error}; `foretwin follow` tries once more") from None
