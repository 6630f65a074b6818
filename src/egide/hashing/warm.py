"""Load what the first picture would otherwise wait for."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from egide.domain.model import Mode
from egide.hashing.fingerprint import fingerprint

_SIDES = (480, 640)
_FORMATS = ("JPEG", "PNG", "WEBP")


def warm_up() -> None:
    """Fingerprint a drawing in the commonest formats and both modes, which loads their readers."""
    rows, columns = np.indices(_SIDES)
    waves = np.sin(rows / 31) + np.sin(columns / 47) + np.sin((rows + 2 * columns) / 90)
    drawing = Image.fromarray((waves * 40 + 128).astype(np.uint8)).convert("RGB")
    for kind in _FORMATS:
        stream = io.BytesIO()
        drawing.save(stream, kind)
        for mode in Mode:
            fingerprint(stream.getvalue(), name="a drawing", mode=mode)
