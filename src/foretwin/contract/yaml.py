"""YAML files as content and nodes, refused where YAML would guess or drop something without a word."""

from pathlib import Path
from typing import Any

import yaml

from foretwin.errors import ForetwinError


def read_yaml(path: Path, wrong: type[ForetwinError]) -> tuple[Any, yaml.Node | None]:
    """The content of a YAML file, and its nodes, which know their lines; `wrong` where it is not YAML."""
    try:
        text = path.read_text(encoding="utf-8")
        content, root = yaml.safe_load(text), yaml.compose(text, yaml.SafeLoader)
    except (ValueError, yaml.YAMLError) as error:  # ValueError: not UTF-8, or a date that does not exist
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        reason = " ".join(str(getattr(error, "problem", error)).split())
        raise wrong(f"{path}{line}: not YAML: {reason}") from None
    twice = _repeated_key(root)
    if twice:
        raise wrong(f"{path}:{twice.start_mark.line + 1}: {twice.value}: stands twice in one place; keep one of them")
    return content, root


def _repeated_key(root: yaml.Node | None) -> yaml.ScalarNode | None:
    """A key that its mapping has already: YAML would keep the last value and drop the others unseen."""
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.SequenceNode):
            waiting += [item for item in node.value if id(item) not in seen]
        elif isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in node.value:
                if key.value in keys:
                    return key  # type: ignore[no-any-return]  # the nodes' content is not typed
                keys.add(key.value)
                waiting += [value] if id(value) not in seen else []
        seen.add(id(node))
    return None
