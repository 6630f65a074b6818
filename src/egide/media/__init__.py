"""Decode bytes to pixels within limits; anything wrong with a file is an `ItemError`.

Pixels are as stored: ICC profiles and EXIF orientation are not applied, because PDQ ignores colour
and a query covers all eight orientations. Transparency is composited on white.
"""

from egide.media.decode import decode, decode_image, is_image
from egide.media.picture import Frame, Picture
from egide.media.read import read_bytes

__all__ = ["Frame", "Picture", "decode", "decode_image", "is_image", "read_bytes"]
