"""Find keypoints with ORB in many sizes, spread evenly over the picture.

Source: Rublee, Rabaud, Konolige, Bradski: ORB, an efficient alternative to SIFT or SURF, 2011, as
OpenCV implements it. docs/decisions/0007-patches.md has the measurements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from egide.domain.model import KEYPOINT_BYTES, KeypointQuery, KeypointSet
from egide.errors import KeypointsUnavailable
from egide.hashing import keypoint_set
from egide.hashing.keypoint_parts import small_parts
from egide.hashing.keypoint_set import SIGN_GRID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from egide.domain.model import Rectangle
    from egide.media import Frame

MIN_SCALED_SIDE = 768
"""Least short side, in samples, of a scaled decode for keypoints: with 400, a phone's screenshot
was halved, and 7 of 10 collages were found in it instead of 8."""
MAX_KEYPOINTS = 1400
"""The most for a query picture: each part of a collage needs its own."""
REGISTERED_KEYPOINTS = 600
"""The most for a registered picture."""
PART_KEYPOINTS = 1200
"""The most further ones for all parts of a query picture together."""

_MIN_PIXELS = 640 * 480
_MAX_PIXELS = 800 * 750
_MAX_ENLARGEMENT = 2.0
_MAX_SIDE = 4096
_MIN_SIDE = 32
# Pictures are scaled to a size between these, so that a phone's picture matches its thumbnail.
_MIN_PART_PIXELS = 480 * 400
_MAX_PART_PIXELS = 700_000
# The first is for one part, the second for all parts together and bounds their time.

_LEVELS = 9
_STEP = 1.25
_LEVELS_A_BAND = 3
# Three bands of sizes get equal shares of the keypoints: the finest represent the picture at its
# own size, the coarsest the picture as a ninth of a collage.

_FAST_THRESHOLD = 8
# ORB's default, 20, leaves soft pictures without keypoints.
_CANDIDATES = 4000
_CANDIDATES_EACH = 8
# Corners to choose from: more corners of a small part take time and are not chosen.
_EDGE = 12
# ORB's default, 31, loses a third of a small picture; OpenCV mirrors pixels beyond the edge.

_CELLS = 8
_CLEAR_LEVELS = 3.0


class _Found(NamedTuple):
    """Keypoints with their descriptors, in samples of their picture or in stored pixels."""

    points: NDArray[np.float32]
    sizes: NDArray[np.float32]
    angles: NDArray[np.float32]
    descriptors: NDArray[np.uint8]


def extract(frame: Frame, parts: Sequence[Rectangle] = ()) -> KeypointQuery:
    """Find the keypoints of a frame, the most useful first.

    A picture with little detail or a very short side has few keypoints or none, which is no error.

    Args:
        frame: any.
        parts: regions of the frame that tier 0 found, in stored pixels. Small ones are searched
            again, enlarged. Their keypoints come after those that are registered.

    Raises:
        KeypointsUnavailable: OpenCV is not installed.
    """
    cv2 = _opencv()
    grey = _normalise(cv2, frame.pixels, _MIN_PIXELS, _MAX_PIXELS)
    straight, mirrored = _both_sides(cv2, grey, MAX_KEYPOINTS)
    ratio = _ratio(grey, (frame.columns, frame.rows))
    straight, mirrored = _placed(straight, ratio, (0, 0)), _placed(mirrored, ratio, (0, 0))
    closer = _of_parts(cv2, frame, small_parts(parts, frame.columns, frame.rows))
    if closer:
        straight = _insert(straight, [side for side, _ in closer])
        mirrored = _insert(mirrored, [side for _, side in closer])
    height, width = grey.shape
    mirror = np.ascontiguousarray(grey[:, ::-1])
    return KeypointQuery(
        straight=_pack(straight, frame, _signs(cv2, grey)),
        mirrored=_pack(mirrored, frame, _signs(cv2, mirror)),
        luma=grey.tobytes(),
        luma_width=width,
        luma_height=height,
    )


def registered(query: KeypointQuery) -> KeypointSet:
    """The keypoints of an extracted picture to register: the most useful ones, unmirrored."""
    return keypoint_set.first(query.straight, REGISTERED_KEYPOINTS)


def require_opencv() -> None:
    """Check early that `extract` is possible.

    Raises:
        KeypointsUnavailable: OpenCV is not installed.
    """
    _opencv()


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise KeypointsUnavailable from error
    return cv2


def _normalise(
    cv2: Any, pixels: NDArray[Any], min_pixels: int, max_pixels: int
) -> NDArray[np.uint8]:
    """Convert a picture to grey and scale its area into the given range, whatever its shape."""
    pixels = np.ascontiguousarray(pixels)
    rows, columns = pixels.shape[:2]
    area = min(max(rows * columns, min_pixels), max_pixels)
    factor = min((area / (rows * columns)) ** 0.5, _MAX_ENLARGEMENT, _MAX_SIDE / max(rows, columns))
    size = (max(round(columns * factor), 1), max(round(rows * factor), 1))
    if size != (columns, rows):
        method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        pixels = cv2.resize(pixels, size, interpolation=method)
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    levels: NDArray[np.uint8] = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return levels


def _both_sides(cv2: Any, grey: NDArray[np.uint8], limit: int) -> tuple[_Found, _Found]:
    """The keypoints of a picture and of its mirror image, at most `limit` of each."""
    height, width = grey.shape
    if min(width, height) < _MIN_SIDE:
        return _NOTHING, _NOTHING
    orb = cv2.ORB_create(
        nfeatures=min(_CANDIDATES, _CANDIDATES_EACH * limit),
        scaleFactor=_STEP,
        nlevels=_LEVELS,
        edgeThreshold=_EDGE,
        fastThreshold=_FAST_THRESHOLD,
    )
    chosen = _choose(orb.detect(grey, None), width, height, limit)
    mirror = np.ascontiguousarray(grey[:, ::-1])
    # Reuse the mirrored corners: finding them again would take most of the time.
    mirrored = [_mirror(cv2, point, width) for point in chosen]
    return _describe(orb, grey, chosen), _describe(orb, mirror, mirrored)


def _of_parts(cv2: Any, frame: Frame, parts: Sequence[Rectangle]) -> list[tuple[_Found, _Found]]:
    """The keypoints of parts of a frame and of their mirror images, in stored pixels."""
    rows, columns = frame.pixels.shape[:2]
    across, down = columns / frame.columns, rows / frame.rows
    found = []
    for part in parts:
        left, right = round(part.left * across), round((part.left + part.width) * across)
        top, bottom = round(part.top * down), round((part.top + part.height) * down)
        if min(right - left, bottom - top) < _MIN_SIDE:
            continue
        most = _MAX_PART_PIXELS // len(parts)
        grey = _normalise(
            cv2, frame.pixels[top:bottom, left:right], min(_MIN_PART_PIXELS, most), most
        )
        straight, mirrored = _both_sides(cv2, grey, PART_KEYPOINTS // len(parts))
        ratio = _ratio(grey, ((right - left) / across, (bottom - top) / down))
        found.append(
            (
                _placed(straight, ratio, (left / across, top / down)),
                _placed(mirrored, ratio, ((columns - right) / across, top / down)),
            )
        )
    return found


def _ratio(grey: NDArray[np.uint8], size: tuple[float, float]) -> NDArray[np.float32]:
    """Stored pixels per sample, horizontally and vertically."""
    height, width = grey.shape
    return np.array([size[0] / width, size[1] / height], np.float32)


def _placed(found: _Found, ratio: NDArray[np.float32], corner: tuple[float, float]) -> _Found:
    """Convert samples to stored pixels of the frame."""
    return found._replace(
        points=(found.points + np.float32(0.5)) * ratio + np.array(corner, np.float32),
        sizes=found.sizes * ratio.mean(),
    )


def _insert(whole: _Found, parts: list[_Found]) -> _Found:
    """Insert the parts' keypoints, best of each part first, after those that are registered."""
    turn = np.concatenate([np.arange(len(part.sizes)) for part in parts])
    order = np.argsort(turn, kind="stable")
    return _Found(
        *(
            np.concatenate(
                [
                    own[:REGISTERED_KEYPOINTS],
                    np.concatenate(others)[order],
                    own[REGISTERED_KEYPOINTS:],
                ]
            )
            for own, *others in zip(whole, *parts, strict=True)
        )
    )


def _choose(found: Any, width: int, height: int, limit: int) -> list[Any]:
    """The keypoints to keep, numbered by their usefulness in `class_id`."""
    if not found:
        return []
    points = np.array([point.pt for point in found])
    response = np.array([point.response for point in found])
    bands = np.array([point.octave for point in found]) // _LEVELS_A_BAND
    cells = (points * _CELLS / (width, height)).astype(np.int64)
    order = spread(bands, cells[:, 1] * _CELLS + cells[:, 0], response)[:limit]
    chosen = [found[index] for index in order]
    for place, point in enumerate(chosen):
        point.class_id = place
    return chosen


def spread(
    bands: NDArray[np.int64], cells: NDArray[np.int64], response: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Order keypoints so that the first n, for any n, are spread over sizes and places.

    Bands take turns. Within a band, the strongest keypoint of every cell comes first, then the
    second of every cell.

    Args:
        bands: which band of sizes each is in.
        cells: which part of the picture each is in, under 64.
        response: how strong a corner each is.
    """
    keys = bands * _CELLS * _CELLS + cells
    in_cell = _rank(np.lexsort((-response, keys)), keys)
    in_band = _rank(np.lexsort((-response, in_cell, bands)), bands)
    return np.lexsort((bands, in_band))


def _rank(order: NDArray[np.intp], keys: NDArray[np.int64]) -> NDArray[np.intp]:
    """For each key, the number of equal keys before it; `order` sorts by key."""
    ordered = keys[order]
    rank = np.empty(len(keys), np.intp)
    rank[order] = np.arange(len(keys)) - np.searchsorted(ordered, ordered)
    return rank


def _mirror(cv2: Any, point: Any, width: int) -> Any:
    across, down = point.pt
    turned = (540 - point.angle) % 360
    return cv2.KeyPoint(
        width - 1 - across,
        down,
        point.size,
        turned,
        point.response,
        point.octave,
        point.class_id,
    )


def _describe(orb: Any, grey: NDArray[np.uint8], chosen: list[Any]) -> _Found:
    # OpenCV sorts keypoints by size, and drops those too close to the edge.
    points, descriptors = orb.compute(grey, chosen)
    if not points:
        return _NOTHING
    order = np.argsort([point.class_id for point in points])
    return _Found(
        np.array([point.pt for point in points], np.float32)[order],
        np.array([point.size for point in points], np.float32)[order],
        np.array([point.angle for point in points], np.float32)[order],
        descriptors[order],
    )


def _pack(
    found: _Found, frame: Frame, signs: tuple[NDArray[np.bool_], NDArray[np.bool_]]
) -> KeypointSet:
    brighter, clear = signs
    return keypoint_set.build(
        (frame.columns, frame.rows),
        points=found.points,
        sizes=found.sizes,
        angles=found.angles,
        descriptors=found.descriptors,
        brighter=brighter,
        clear=clear,
    )


def _signs(cv2: Any, grey: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Compare the brightness of neighbouring cells of the coarse grid."""
    levels = cv2.resize(
        grey.astype(np.float32), (SIGN_GRID, SIGN_GRID), interpolation=cv2.INTER_AREA
    )
    rise = np.zeros((2, SIGN_GRID, SIGN_GRID), np.float32)
    rise[0, :, :-1] = np.diff(levels, axis=1)
    rise[1, :-1] = np.diff(levels, axis=0)
    return rise > 0, np.abs(rise) > _CLEAR_LEVELS


_NOTHING = _Found(
    np.empty((0, 2), np.float32),
    np.empty(0, np.float32),
    np.empty(0, np.float32),
    np.empty((0, KEYPOINT_BYTES), np.uint8),
)
