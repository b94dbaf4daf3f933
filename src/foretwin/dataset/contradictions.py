"""When readings contradict others: one wrong clock, or one jump, must hold no machine hostage."""

FAR = 20  # steps between readings that are in doubt and those that contradict them
FEWEST = 10  # readings that contradict others
TO_ONE = 4  # of them, for each that is in doubt


def is_contradicted(odd: int, against: int) -> bool:
    """Return whether so many readings are enough against those in doubt."""
    return against >= max(FEWEST, TO_ONE * odd)
