"""Change what a table's rows are checked for, without copying the table."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


def replace_check(table: str, check: str, *, old: str, new: str) -> None:
    """Replace a check by another that every row of the table passes.

    SQLite's text of the table is replaced in place: no row changes its format, other tables may
    refer to this one, and copying ten million rows took minutes.

    Args:
        table: its name.
        check: the constraint's full name.
        old: the condition that is replaced, as SQL.
        new: the other one.

    Raises:
        AssertionError: the table has no such check.

    Source: https://www.sqlite.org/lang_altertable.html, section 7.
    """
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.drop_constraint(op.f(check), table, type_="check")
        op.create_check_constraint(op.f(check), table, new)
        return
    version = connection.execute(sa.text("PRAGMA schema_version")).scalar_one()
    connection.execute(sa.text("PRAGMA writable_schema = ON"))
    done = connection.execute(
        sa.text(
            "UPDATE sqlite_master SET sql = replace(sql, :old, :new)"
            " WHERE type = 'table' AND name = :name AND instr(sql, :old) > 0"
        ),
        {"old": old, "new": new, "name": table},
    )
    if done.rowcount != 1:
        raise AssertionError(f"the table of {table} differs from the version before")
    connection.execute(sa.text(f"PRAGMA schema_version = {int(version) + 1}"))
    connection.execute(sa.text("PRAGMA writable_schema = OFF"))
