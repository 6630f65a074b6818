"""What is done to clips before they come back, and what of the clip is then seen when."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from video.clips import RATE, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from video.clips import Frames

    Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Edited:
    """A file made of a clip.

    Attributes:
        data: the file.
        query, clip: seconds in which the clip is seen in the file, and of the clip; the first is
            None of a still or GIF.
        speed: how much faster it runs.
    """

    data: bytes = field(repr=False)
    query: tuple[float, float] | None
    clip: tuple[float, float]
    speed: float = 1.0


def _even(frame: Picture) -> Picture:
    return frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]


def _sized(frame: Picture, columns: int, rows: int) -> Picture:
    return np.asarray(Image.fromarray(frame).resize((columns, rows), Image.Resampling.BILINEAR))


def each(change: Callable[[Picture], Picture], **how: Any) -> Any:
    """An edit that changes every frame alike."""

    def edit(frames: Frames, _others: Sequence[Frames]) -> Edited:
        whole = (0.0, len(frames) / RATE)
        return Edited(encode((_even(change(frame)) for frame in frames), **how), whole, whole)

    return edit


def part(start_s: float, end_s: float | None, **how: Any) -> Any:
    """An edit that keeps a part; a negative end counts from the end."""

    def edit(frames: Frames, _others: Sequence[Frames]) -> Edited:
        length = len(frames) / RATE
        end = length if end_s is None else end_s if end_s > 0 else length + end_s
        kept = frames[int(start_s * RATE) : int(end * RATE)]
        return Edited(encode(kept, **how), (0.0, len(kept) / RATE), (start_s, end))

    return edit


def faster(speed: Fraction) -> Any:
    """An edit that runs at another speed."""

    def edit(frames: Frames, _others: Sequence[Frames]) -> Edited:
        length = len(frames) / RATE
        data = encode(frames, rate=RATE * speed)
        return Edited(data, (0.0, length / float(speed)), (0.0, length), float(speed))

    return edit


def at_rate(rate: int, **how: Any) -> Any:
    """An edit that shows another number of frames a second."""

    def edit(frames: Frames, _others: Sequence[Frames]) -> Edited:
        length = len(frames) / RATE
        chosen = (np.arange(int(length * rate)) * RATE / rate).astype(int)
        return Edited(encode(frames[chosen], rate=rate, **how), (0.0, length), (0.0, length))

    return edit


def compilation(count: int, seconds: int) -> Any:
    """An edit that puts a part of the clip in the middle of parts of others."""

    def edit(frames: Frames, others: Sequence[Frames]) -> Edited:
        chosen = [*others[: count - 1]]
        chosen.insert(count // 2, frames)
        start = 3 * RATE  # behind an intro
        parts = [one[start : start + seconds * RATE] for one in chosen]
        at = count // 2 * seconds
        data = encode(np.concatenate(parts))
        return Edited(data, (at, at + seconds), (3.0, 3.0 + seconds))

    return edit


def beside(rows: int, columns: int, place: Callable[[Picture, Picture], Picture]) -> Any:
    """An edit that shows the clip, at this size, with another clip."""

    def edit(frames: Frames, others: Sequence[Frames]) -> Edited:
        count = min(len(frames), len(others[0]))
        shown = (
            place(_sized(frame, columns, rows), other.copy())
            for frame, other in zip(frames[:count], others[0][:count], strict=True)
        )
        whole = (0.0, count / RATE)
        return Edited(encode(shown), whole, whole)

    return edit


def still(
    second: float, change: Callable[[Image.Image], Image.Image], kind: str, **how: Any
) -> Any:
    """An edit that keeps one picture."""

    def edit(frames: Frames, _others: Sequence[Frames]) -> Edited:
        file = BytesIO()
        change(Image.fromarray(frames[int(second * RATE)])).save(file, kind, **how)
        return Edited(file.getvalue(), None, (second, second))

    return edit


def gif(start_s: int, seconds: int) -> Any:
    """An edit that makes a GIF of a part, with 64 colours and five frames a second."""

    def edit(frames: Frames, _others: Sequence[Frames]) -> Edited:
        chosen = frames[start_s * RATE : (start_s + seconds) * RATE : 2]
        images = [Image.fromarray(one).quantize(64) for one in chosen]
        file = BytesIO()
        images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=200)
        return Edited(file.getvalue(), None, (start_s, start_s + seconds))

    return edit


def _cropped(share: float, down: float = 0.5, across: float = 0.5) -> Callable[[Picture], Picture]:
    def change(frame: Picture) -> Picture:
        rows, columns = (int(side * share**0.5) for side in frame.shape[:2])
        top, left = int((frame.shape[0] - rows) * down), int((frame.shape[1] - columns) * across)
        return frame[top : top + rows, left : left + columns]

    return change


def _framed(vertical: int, horizontal: int, level: int = 0) -> Callable[[Picture], Picture]:
    sides = ((vertical, vertical), (horizontal, horizontal), (0, 0))
    return lambda frame: np.pad(frame, sides, constant_values=level)


def _drawn(draw: Callable[[ImageDraw.ImageDraw, int, int], None]) -> Callable[[Picture], Picture]:
    def change(frame: Picture) -> Picture:
        image = Image.fromarray(frame)
        draw(ImageDraw.Draw(image), *image.size)
        return np.asarray(image)

    return change


def _filtered(change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Any:
    return lambda frame: change(frame.astype(np.float32)).clip(0, 255).astype(np.uint8)


def _subtitle(draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    draw.text((width // 6, height - 22), "and then she said: no", fill="white", stroke_width=1)


def _caption(draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    draw.rectangle((0, 0, width, height // 6), fill="white")
    draw.text((6, 4), "look at this", fill="black")


def _watermark(draw: ImageDraw.ImageDraw, width: int, height: int) -> None:
    draw.text((width - 70, height // 2), "@someone", fill=(220, 220, 220))


def _corner(small: Picture, other: Picture) -> Picture:
    other[8 : 8 + small.shape[0], 8 : 8 + small.shape[1]] = small
    return other


def _reaction(clip: Picture, other: Picture) -> Picture:
    clip = clip.copy()
    clip[-48:, -64:] = _sized(other, 64, 48)
    return clip


def _side_by_side(small: Picture, other: Picture) -> Picture:
    return np.concatenate([small, other], axis=1)


def _blurred(frame: Picture) -> Picture:
    return np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(1.5)))


def _whole(image: Image.Image) -> Image.Image:
    return image


QUICK = {"deadline": "realtime", "cpu-used": "8"}
EDITS: dict[str, Any] = {
    "same pixels, crf 18": each(lambda f: f, crf="18"),
    "crf 35": each(lambda f: f, crf="35"),
    "mpeg4 avi": each(lambda f: f, codec="mpeg4", kind="avi"),
    "vp9 webm": each(lambda f: f, codec="libvpx-vp9", kind="webm", **QUICK),
    "mpeg2 ts": at_rate(25, codec="mpeg2video", kind="mpegts"),
    "half size": each(lambda f: _sized(f, 96, 72)),
    "twice the size": each(lambda f: _sized(f, 384, 288)),
    "wider by a quarter": each(lambda f: _sized(f, 240, 144)),
    "crop 80 %": each(_cropped(0.8)),
    "crop 60 %": each(_cropped(0.6)),
    "crop 60 % off centre": each(_cropped(0.6, 0.2, 0.8)),
    "mirror": each(lambda f: f[:, ::-1]),
    "turned by 90 degrees": each(np.rot90),
    "upside down": each(lambda f: f[::-1, ::-1]),
    "letterbox": each(_framed(24, 0)),
    "pillarbox": each(_framed(0, 40)),
    "white frame": each(_framed(16, 16, 255)),
    "vertical with bars": each(_framed(96, 0)),
    "subtitles": each(_drawn(_subtitle)),
    "caption over it": each(_drawn(_caption)),
    "watermark": each(_drawn(_watermark)),
    "grey": each(lambda f: np.asarray(Image.fromarray(f).convert("L").convert("RGB"))),
    "brighter": each(_filtered(lambda f: f * 1.2 + 15)),
    "darker": each(_filtered(lambda f: f * 0.7)),
    "less contrast": each(_filtered(lambda f: f * 0.5 + 64)),
    "warm filter": each(_filtered(lambda f: f * np.array([1.15, 1.0, 0.8], np.float32))),
    "blur": each(_blurred),
    "excerpt of 3 s": part(4, 7),
    "excerpt of 3 s, off the grid": part(5.3, 8.3),
    "excerpt of 5 s, crf 32": part(3, 8, crf="32"),
    "first 2 s cut": part(2, None),
    "last 2 s cut": part(0, -2),
    "both ends cut": part(1.7, -1.7),
    "speed 0.8": faster(Fraction(4, 5)),
    "speed 0.9": faster(Fraction(9, 10)),
    "speed 1.1": faster(Fraction(11, 10)),
    "speed 1.25": faster(Fraction(5, 4)),
    "12 frames a second": at_rate(12),
    "5 frames a second": at_rate(5),
    "compilation of 10": compilation(10, 4),
    "compilation of 5": compilation(5, 6),
    "picture in picture": beside(84, 112, _corner),
    "reaction in a corner": beside(144, 192, _reaction),
    "side by side": beside(144, 192, _side_by_side),
    "still": still(4.2, _whole, "JPEG", quality=85),
    "small still": still(5.7, lambda image: image.resize((128, 96)), "JPEG", quality=60),
    "still as PNG": still(7.1, _whole, "PNG"),
    "GIF": gif(4, 3),
}
"""By name; each makes a file of a clip, with other clips beside it."""


def edited(name: str, frames: Frames, others: Sequence[Frames]) -> Edited:
    """Make one edit of a clip.

    Args:
        name: in `EDITS`.
        frames: of the clip.
        others: at least nine other clips.
    """
    made: Edited = EDITS[name](frames, others)
    return made
