"""Read YAML 1.2 files as content and nodes; ambiguous values and duplicate keys are refused."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from foretwin.errors import ForetwinError

OCTAL = re.compile(r"[-+]?0[0-7_]*[1-7][0-7_]*")  # 017 is 15 in YAML 1.1, and 17 in YAML 1.2


def read_yaml(path: Path, wrong: type[ForetwinError]) -> tuple[Any, Any]:
    """Return the content of a YAML file and its root node, which knows its lines; `wrong` where it is not YAML."""
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import YAMLError

    reader = YAML(typ="safe", pure=True)  # plain Python values
    reader.Constructor = _constructor()
    try:
        root = reader.compose(path.read_text(encoding="utf-8"))
        return reader.constructor.construct_document(root) if root else None, root
    except DuplicateKeyError as error:
        raise wrong(f"{path}:{error.problem_mark.line + 1}: {error.problem}") from None
    except (ValueError, YAMLError) as error:  # ValueError: not UTF-8, or a date that does not exist
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        reason = " ".join(str(getattr(error, "problem", error)).split())
        raise wrong(f"{path}{line}: not YAML: {reason}") from None


def find_entry(node: Any, part: str | int) -> tuple[int, Any] | None:
    """Return line and node of the entry `part` of a mapping or a sequence; None where there is none."""
    from ruamel.yaml.nodes import MappingNode, SequenceNode

    if isinstance(node, MappingNode):
        pairs = ((key.start_mark.line + 1, value) for key, value in node.value if key.value == str(part))
        return next(pairs, None)
    if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


def describe_problem(path: Path, root: Any, error: ValidationError, whole: str) -> str:
    """Format the first problem as `file:line: field: reason`, with the number of others; `whole` names the content.

    A typo in a field's name comes first: the missing field is only its consequence.
    """
    first, *others = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    more = f" (and {len(others)} more)" if others else ""
    reason = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        reason = "unknown field, perhaps a typo"
    names_last = first["type"] in ("missing", "extra_forbidden")
    return f"{place_problem(path, root, first['loc'], reason, whole, names_last)}{more}"


def place_problem(
    path: Path, root: Any, place: Sequence[str | int], reason: str, whole: str = "file", names_last: bool = False
) -> str:
    """Format a problem as `file:line: field: reason`, the line being that of the innermost part that is there."""
    node, names = root, []
    line = root.start_mark.line + 1 if root else 1
    for part in place:
        entry = find_entry(node, part)  # None for steps that are not in the file, such as a union's tag
        if entry is not None:
            line, node = entry
            names.append(str(part))
        elif part == place[-1] and names_last:
            names.append(str(part))
    return f"{path}:{line}: {'.'.join(names) or whole}: {reason}"


@cache
def _constructor() -> Any:
    """Return the class that makes Python values of nodes; created on demand, since light commands read no YAML."""
    from ruamel.yaml.constructor import ConstructorError, DuplicateKeyError, SafeConstructor

    class Constructor(SafeConstructor):  # type: ignore[misc]  # the library is not typed
        def check_mapping_key(self, _node: Any, key_node: Any, mapping: Any, key: Any, _value: Any) -> bool:
            """Refuse a key that its mapping has already."""
            if key in mapping:
                reason = f"{key}: stands twice in one place; keep one of them"
                raise DuplicateKeyError(None, None, reason, key_node.start_mark)
            return True

        def construct_yaml_int(self, node: Any) -> int:
            """Refuse the numbers that YAML 1.1 and 1.2 read differently."""
            if OCTAL.fullmatch(node.value):
                reason = f"{node.value}: is octal in YAML 1.1 and decimal in YAML 1.2; write it without the leading 0"
                raise ConstructorError(None, None, reason, node.start_mark)
            return int(super().construct_yaml_int(node))

    Constructor.add_constructor("tag:yaml.org,2002:int", Constructor.construct_yaml_int)
    return Constructor
