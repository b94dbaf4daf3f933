"""IDTA 02011-1-1-1, hierarchical structures: the machine and the parts that are fitted to it."""

from foretwin.twin.asset_shell.content import Called, Content, Link, Thing, id_shorts
from foretwin.twin.asset_shell.machine_facts import MachineFacts

ENTRY = "EntryNode"
ONE_LEVEL = "OneDown"  # the archetype: the machine, and below it its parts


def part_structure(facts: MachineFacts) -> Content:
    """Return the structure; None where no fitted part is known."""
    if not facts.parts:
        return None
    names = id_shorts(part.part for part in facts.parts)
    nodes = {}
    for name, part in zip(names, facts.parts, strict=True):
        since = f"{part.part}, fitted {part.fitted_at:%Y-%m-%d}" + (f", {part.provenance}" if part.provenance else "")
        unnumbered = None if part.serial_number else f"{facts.global_id}:part:{name}"
        nodes[name] = Called("Node", Thing(unnumbered, part.serial_number, description=since))
    links = {f"HasPart{i:02d}": Link((ENTRY,), (ENTRY, name)) for i, name in enumerate(names, 1)}
    machine = Thing(facts.global_id, statements={**nodes, **links})
    return {ENTRY: machine, "ArcheType": ONE_LEVEL}
