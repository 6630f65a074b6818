"""Bytes to pixels, within limits; whatever is wrong with a file is an `ItemError`.

Pixels are as stored: ICC profiles and EXIF orientation are left alone, because PDQ ignores colour
and a query looks for all eight orientations. Transparency is composited on white.
"""

from egide.media.decode import Frame, Picture, decode, decode_image
from egide.media.read import read_bytes

__all__ = ["Frame", "Picture", "decode", "decode_image", "read_bytes"]
