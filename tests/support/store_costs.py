"""What work costs a store, in counts that no clock and no other load changes."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event

STEP = 20  # of SQLite's virtual machine: how finely its instructions are counted


class Cost:
    """What was counted: statements sent, and instructions of SQLite's virtual machine."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.instructions = 0


@contextmanager
def counted(store) -> Iterator[Cost]:
    """Count what the block does to a store; instructions only of SQLite."""
    cost = Cost()

    def tick() -> int:
        cost.instructions += STEP
        return 0

    def begin(connection) -> None:
        if store.is_sqlite:
            connection.connection.driver_connection.set_progress_handler(tick, STEP)

    def see(connection, cursor, statement, *_) -> None:
        cost.statements.append(statement)

    event.listen(store.engine, "begin", begin)
    event.listen(store.engine, "before_cursor_execute", see)
    try:
        yield cost
    finally:
        event.remove(store.engine, "begin", begin)
        event.remove(store.engine, "before_cursor_execute", see)
        store.engine.dispose()  # the next connections count nothing
