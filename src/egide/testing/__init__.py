"""The contract of each seam, as tests for an implementation of your own.

See docs/reference/testing.md. Needs the extra `egide[testing]`. Nothing else in Egide imports it.
"""

import pytest

# Before they are imported: a failed assertion then shows its values, as in a test file.
for _module in ("databases", "kernels", "searched", "sources"):
    pytest.register_assert_rewrite(f"egide.testing.{_module}")

from egide.testing.databases import DatabaseContract  # noqa: E402
from egide.testing.kernels import KernelContract  # noqa: E402
from egide.testing.searched import SearchedContract  # noqa: E402
from egide.testing.sources import ArchiveContract, SourceContract  # noqa: E402

__all__ = [
    "ArchiveContract",
    "DatabaseContract",
    "KernelContract",
    "SearchedContract",
    "SourceContract",
]
