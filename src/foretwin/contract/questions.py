"""The questions of a contract: the RUL, and each fault axis; and the contract that asks only some of them.

A twin that asks for health may ask further questions of which no label tells anything yet. Until verdicts do, its
model is trained under the contract without them.
"""

from collections.abc import Collection

from foretwin.contract.source import TableSource
from foretwin.contract.twin import HEALTH, Twin

RUL = "rul"


def questions_of(contract: Twin) -> tuple[str, ...]:
    """Return `rul`, where it is asked for, and the fault axes in the order of the network's heads."""
    return (*((RUL,) if contract.rul else ()), *contract.axes)


def is_health(question: str, contract: Twin) -> bool:
    """Return whether it is the question that a twin answers without labels; an axis may have that name in another."""
    return contract.health is not None and question == HEALTH


def labelled_questions(contract: Twin) -> tuple[str, ...]:
    """Return the questions that only labels answer: all but health."""
    return tuple(name for name in questions_of(contract) if not is_health(name, contract))


def asking(contract: Twin, questions: Collection[str]) -> Twin:
    """Return the contract that asks these of its questions alone; the contract itself where that is all.

    What says how a source's columns become the labels of the others is left out with them, and so are limits of the RUL
    at which cases open. ValueError where nothing is left to predict.
    """
    if set(questions_of(contract)) <= set(questions):
        return contract
    content = contract.model_dump(exclude_unset=True)
    content["window"] = contract.window.model_dump()  # the shortest does not change with what is left
    content["faults"] = {name: axis for name, axis in content.get("faults", {}).items() if name in questions}
    if HEALTH not in questions:
        content.pop("health", None)
    if RUL not in questions:
        limits = ("open_below", "close_above")
        cases = {name: value for name, value in content.get("cases", {}).items() if name not in limits}
        content |= {"rul": None, "cases": cases}
    if isinstance(contract.source, TableSource):
        content["source"] = _without_axes(contract.source, questions).model_dump(exclude_unset=True)
    own = {name: getattr(contract, name) for name in ("runs", "costs", "retention")}  # which no dump has
    return Twin.model_validate(content).model_copy(update=own)


def _without_axes(source: TableSource, kept: Collection[str]) -> TableSource:
    changes: dict[str, object] = {"faults": {name: one for name, one in source.faults.items() if name in kept}}
    if source.failures is not None and source.failures.axis not in (None, *kept):
        unnamed: dict[str, object] = {"mode": None, "axis": None, "values": {}, "holds_before": None}
        changes["failures"] = source.failures.model_copy(update=unnamed)
    return source.model_copy(update=changes)
