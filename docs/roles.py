"""Write docs/reference/roles.md: which role may use which route."""

from __future__ import annotations

from pathlib import Path

from egide.domain.access import PERMISSIONS, Permission, Role
from egide.server.app import create_app
from egide.server.settings import ServerSettings

PATH = Path(__file__).parent / "reference" / "roles.md"
_HEAD = """\
# Roles

Who may send what to a served register. `python docs/roles.py` writes this page from the OpenAPI
document; a test tries every route with every role, and with no key, an expired, a revoked and a
wrong one, and with one that is kept to another bank, which is answered as if there were no such
bank. `export`, another radius and a key of another role than `matcher` need a second person beside
the permission; so does adding more than one person may in a day. See [keys](../operate/keys.md).

"""


def page() -> str:
    """Return the page."""
    titles = ["route", "permission", *Role]
    lines = [titles, ["---", "---", *[":-:"] * len(Role)]]
    for method, path, permission in routes():
        marks = ["✓" if permission in PERMISSIONS[role] else "" for role in Role]
        lines.append([f"`{method} {path}`", permission, *marks])
    return _HEAD + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def routes() -> list[tuple[str, str, Permission]]:
    """Return method, path and permission of every route that needs a key, in their order."""
    document = create_app(ServerSettings()).openapi()
    return [
        (method.upper(), path, Permission(operation["x-permission"]))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "x-permission" in operation
    ]


if __name__ == "__main__":
    PATH.write_text(page(), "utf-8")
