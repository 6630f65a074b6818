"""Where the shared test pictures are, for the tests that can use them."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared"
CORPUS = SHARED / "corpus"
VECTORS = SHARED / "vectors"

needs_shared = pytest.mark.skipif(
    not CORPUS.is_dir(),
    reason="the folder ../shared with its test pictures is absent: nothing was compared with it",
)
