"""What a key may see, as conditions of a query: the patterns of its bounds, matched by the database."""

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select, true

from foretwin.serving.access.bounds import OWNER, Bounds
from foretwin.twin.store.summaries import usage_counts
from foretwin.twin.store.tables import assets, cases, quarantine


def visible_assets(connection: Connection, bounds: Bounds) -> ColumnElement[bool]:
    """Return the condition on `assets` that one is within the bounds."""
    owned = [_matches(connection, assets.c.tags[tag].as_string(), pattern) for tag, pattern in bounds.tags()]
    return and_(
        _any_matches(connection, assets.c.twin, bounds.twins),
        _any_matches(connection, assets.c.name, bounds.assets),
        or_(*owned) if owned else true(),
    )


def visible_cases(connection: Connection, bounds: Bounds) -> ColumnElement[bool]:
    """Return the condition on `cases`, outer-joined to `assets`: those of assets within the bounds.

    A case of a twin's whole fleet names its assets, so that it needs bounds that admit the twin as a whole.
    """
    if not bounds:
        return true()
    of_assets = and_(cases.c.asset.is_not(None), visible_assets(connection, bounds))
    if not bounds.are_of_twins:
        return of_assets
    return or_(of_assets, and_(cases.c.asset.is_(None), visible_twins(connection, cases.c.twin, bounds)))


def visible_twins(connection: Connection, twin: ColumnElement[str], bounds: Bounds) -> ColumnElement[bool]:
    """Return the condition on a column of twins that one is within the bounds."""
    return _any_matches(connection, twin, bounds.twins)


def visible_quarantine(connection: Connection, bounds: Bounds) -> ColumnElement[bool]:
    """Return the condition on `quarantine`: what was sent for an asset within the bounds.

    Of a name that no asset has, what its sender said of it decides; who owns it nobody knows.
    """
    if not bounds:
        return true()
    named = exists(select(assets.c.id).where(assets.c.name == quarantine.c.asset))
    within = assets.c.name == quarantine.c.asset, visible_assets(connection, bounds)
    known = exists(select(assets.c.id).where(*within))
    if bounds.owners:
        return known
    told = (
        quarantine.c.asset.is_not(None),
        _any_matches(connection, quarantine.c.twin, bounds.twins),
        _any_matches(connection, quarantine.c.asset, bounds.assets),
    )
    return or_(known, and_(~named, *told))


def visible_usage(connection: Connection, bounds: Bounds) -> ColumnElement[bool]:
    """Return the condition on `usage_counts` that a sum is within bounds which name twins and owners alone."""
    owned = [_matches(connection, usage_counts.c.owner, pattern) for tag, pattern in bounds.tags() if tag == OWNER]
    return and_(_any_matches(connection, usage_counts.c.twin, bounds.twins), or_(*owned) if bounds.owners else true())


def is_visible(connection: Connection, name: str, bounds: Bounds) -> bool | None:
    """Whether the asset of that name is within the bounds; None where there is no such asset."""
    query = select(visible_assets(connection, bounds)).where(assets.c.name == name)
    found = connection.execute(query).scalar_one_or_none()
    known = found is not None or connection.execute(select(exists().where(assets.c.name == name))).scalar_one()
    return bool(found) if known else None


def _any_matches(connection: Connection, column: ColumnElement[str], patterns: tuple[str, ...]) -> ColumnElement[bool]:
    return or_(*(_matches(connection, column, pattern) for pattern in patterns)) if patterns else true()


def _matches(connection: Connection, column: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    """Match as `Bounds` does: with regard to case, which SQLite's LIKE has not."""
    if connection.dialect.name == "sqlite":
        return func.glob(pattern.replace("[", "[[]"), column)
    signs = {"*": "%", "?": "_", "%": r"\%", "_": r"\_", "\\": r"\\"}
    return column.like("".join(signs.get(sign, sign) for sign in pattern), escape="\\")
