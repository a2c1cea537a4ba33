"""
Judging a finished sprite set against its video, whoever made it.

The video is decoded once from its start to its end, nothing sought, skipped or chosen, and every frame is
scaled to the size of the tiles and compared with each of them. So what a tile shows is found by picture, not
believed. Nothing here shares code with what chooses and seeks frames for a render.

Memory holds one frame, one sheet, and of each tile a small copy and the frames that look like it.
"""

from __future__ import annotations

import warnings
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from itertools import chain, pairwise
from math import ceil, sqrt
from pathlib import Path
from urllib.parse import unquote, urlsplit

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vodsprite.errors import FailureKind, InvalidInput, VideoError
from vodsprite.sprite import geometry, probe, vttfile
from vodsprite.sprite.geometry import Rectangle, Size
from vodsprite.sprite.opening import Damaged, Opened, Packet, opened, raise_if_out_of_memory, try_decode
from vodsprite.sprite.spec import Accuracy, Fill
from vodsprite.sprite.tile import Tiler, display_size
from vodsprite.sprite.vttfile import WrittenCue

SHEET_LIMIT_PX = 225_000_000
TILE_SIZES_MOST = 8
FRAME_SIZES_MOST = 8

_COPY_PX = 1296  # of one tile, at most
_COPIES_BYTES = 48 * 1024 * 1024  # of all tiles together, for one way to lay a picture into its tile
_CANDIDATES_MOST = 400_000  # of all tiles together
_BATCH = 32

# A tile further than this from every frame (root mean square, of 255) shows none of them.
_STRANGE = 30.0

_SPLICING = frozenset({"mpegts", "mpeg"})
_LEAP_S = 10
_FALL_S = 1  # damage puts frames out of their order by less


class ProblemKind(Enum):
    """What can be wrong with a sprite set, but for what its tiles show."""

    VTT = "vtt"  # the file is no WebVTT with cues of tiles
    COVERAGE = "coverage"  # a gap, an overlap, or an end before that of the video
    SHEET = "sheet"  # missing, unreadable, or of another size than the others
    RECTANGLE = "rectangle"  # not on its sheet


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong."""

    kind: ProblemKind
    message: str
    cue: int | None = None  # from 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedTile:
    """What one tile shows. Times are seconds from the first frame."""

    index: int
    start_s: float
    end_s: float
    sheet: str
    rectangle: Rectangle | None  # None: there is no such picture
    pts_s: float | None  # of the frame it shows; None: it shows no frame of the video
    equal_frames: int  # how many frames look like the tile; more than 1: the nearest to its instant is told
    distance: float  # root mean square of the difference between tile and frame, of 255
    in_cue: bool  # the frame is on screen some time in [start, end)
    exact: bool  # it is the one on screen at the start
    keyframe: bool  # it is the last keyframe at or before the start
    error_s: float | None  # its PTS less that of the exact frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be said of a sprite set."""

    accuracy: Accuracy
    vtt: str
    duration_s: float
    frames: int
    tiles: tuple[JudgedTile, ...]
    problems: tuple[Problem, ...]

    @property
    def right(self) -> int:
        """How many tiles are what the accuracy asks for."""
        return sum(is_right(tile, self.accuracy) for tile in self.tiles)

    @property
    def passed(self) -> bool:
        """Whether nothing at all is wrong."""
        return not self.problems and self.right == len(self.tiles) > 0

    @property
    def largest_error_s(self) -> float | None:
        """The largest distance between a shown and the exact frame; None if no tile was recognised."""
        return max(map(abs, self._errors()), default=None)

    @property
    def mean_error_s(self) -> float | None:
        """The mean distance; None if no tile was recognised."""
        errors = self._errors()
        return sum(map(abs, errors)) / len(errors) if errors else None

    def _errors(self) -> list[float]:
        return [tile.error_s for tile in self.tiles if tile.error_s is not None]


def is_right(tile: JudgedTile, accuracy: Accuracy) -> bool:
    """Tell whether *tile* is what *accuracy* asks for."""
    if accuracy is Accuracy.CUE:
        return tile.in_cue
    return tile.exact if accuracy is Accuracy.EXACT else tile.keyframe


def verify(
    video: Path,
    sprites: Path,
    *,
    accuracy: Accuracy = Accuracy.CUE,
    progress: Callable[[float], None] | None = None,
) -> Verdict:
    """
    Judge the sprite set in *sprites* against *video*.

    Args:
        sprites: A folder with one WebVTT file, or the WebVTT file; sheets are looked for beside it, and
            those with a URL or an absolute path by their last name.
        progress: Called now and then with the seconds of the video that were compared.

    Raises:
        InvalidInput: There is no WebVTT file, or several.
        VideoError: *video* is no usable video (messages complete "<the file> ..." and name no path).
    """
    vtt = _find_vtt(sprites)
    cues, faults = vttfile.parse(vtt.read_bytes())
    set_ = _WrittenSet(vtt=vtt, cues=cues, faults=faults, accuracy=accuracy)
    try:
        return _compared(video, set_, progress or (lambda _: None), threads=0)
    except _UndecodableError:
        # Where a packet can't be decoded, several threads lose good frames beside it.
        return _compared(video, set_, progress or (lambda _: None), threads=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _WrittenSet:
    """The sprite set to be judged."""

    vtt: Path
    cues: Sequence[WrittenCue]
    faults: Sequence[str]
    accuracy: Accuracy


class _UndecodableError(Exception):
    """A packet can't be decoded."""


def _compared(video: Path, made: _WrittenSet, progress: Callable[[float], None], *, threads: int) -> Verdict:
    """Decode all of *video* with so many *threads*, 0 for as many as there are cores, and judge *made*."""
    problems = [Problem(kind=ProblemKind.VTT, message=each) for each in made.faults]
    folder = made.vtt.parent
    with opened(video) as source:
        if threads != 1:
            source.context.thread_type, source.context.thread_count = "AUTO", threads
        times = _Times(source, bears_damage=threads == 1)
        frames = times.watch(progress)
        first = next(frames, None)
        if first is None:
            raise VideoError(FailureKind.MALFORMED, "has a video stream, but not one frame can be decoded")
        tiles = _read_tiles(made.cues, folder, _View(first, source.pixel_aspect), problems)
        by_shape: dict[tuple[int, int], list[_Comparison]] = {}
        for number, frame in enumerate(chain([first], frames)):
            shape = (frame.width, frame.height)
            if shape not in by_shape and len(by_shape) < FRAME_SIZES_MOST:
                # Frames of another shape lie elsewhere in the tiles, so the sheets have to be read anew.
                view = _View(frame, source.pixel_aspect)
                by_shape[shape] = _comparisons(_read_tiles(made.cues, folder, view, []), view)
            for comparison in by_shape.get(shape, ()):
                comparison.add(number, times.rough_s, frame)
    times.settle()
    looks = _looks([comparison for each in by_shape.values() for comparison in each])
    problems += _coverage(made.cues, times.duration)
    return Verdict(
        accuracy=made.accuracy,
        vtt=made.vtt.name,
        duration_s=float(times.duration),
        frames=len(times.at),
        tiles=tuple(_judge(index, tile, looks.get(index), times) for index, tile in enumerate(tiles)),
        problems=tuple(problems),
    )


def _find_vtt(sprites: Path) -> Path:
    if sprites.is_file():
        return sprites
    found = sorted(sprites.glob("*.vtt")) if sprites.is_dir() else []
    if len(found) != 1:
        count = f"holds {len(found)} WebVTT files; name one of them" if found else "holds no WebVTT file"
        raise InvalidInput(str(sprites), count if sprites.is_dir() else "does not exist")
    return found[0]


def _coverage(cues: Sequence[WrittenCue], duration: Fraction) -> Iterator[Problem]:
    """Find what keeps the cues from covering `[0, duration)` once, to the millisecond."""
    end_ms = 0
    for index, cue in enumerate(cues):
        if cue.start_ms != end_ms:
            what = "a gap" if cue.start_ms > end_ms else "an overlap"
            yield Problem(
                kind=ProblemKind.COVERAGE,
                message=f"{what} between {end_ms / 1000:.3f} s and {cue.start_ms / 1000:.3f} s",
                cue=index,
            )
        if cue.end_ms <= cue.start_ms:
            yield Problem(kind=ProblemKind.COVERAGE, message="lasts no time", cue=index)
        end_ms = max(end_ms, cue.end_ms)
    length_ms = ceil(duration * 1000)
    if end_ms < length_ms:
        yield Problem(
            kind=ProblemKind.COVERAGE,
            message=f"the cues end at {end_ms / 1000:.3f} s, the video at {length_ms / 1000:.3f} s",
        )
    for index, cue in enumerate(cues):
        # An instant that is less than 1 ms before the end may have a cue that starts where the video ends.
        if cue.start_ms > length_ms:
            yield Problem(kind=ProblemKind.COVERAGE, message="starts after the end of the video", cue=index)


Picture = NDArray[np.uint8]
Vectors = NDArray[np.float64]


class _View:
    """How frames are seen: upright, with square pixels; and in which two ways they lie in a tile."""

    def __init__(self, first: av.VideoFrame, pixel_aspect: Fraction) -> None:
        self.orientation = probe.orientation_of(first)
        self.pixel_aspect = pixel_aspect
        self._display = display_size(first.width, first.height, pixel_aspect, self.orientation)

    def layouts(self, tile: Size) -> dict[Fill, Rectangle]:
        """Return where a frame may lie in a tile: in its own shape amid a border, or stretched."""
        return {fill: geometry.fit(self._display, tile, fill) for fill in (Fill.BLACK, Fill.STRETCH)}

    def scaler(self, size: Size) -> Tiler:
        """Return what makes frames *size*."""
        return Tiler(size, Fill.STRETCH, orientation=self.orientation, pixel_aspect=self.pixel_aspect)


@dataclass(slots=True, kw_only=True)
class _Tile:
    """A tile as its cue names it, and what is left of its pixels."""

    cue: WrittenCue
    sheet: str
    rectangle: Rectangle | None = None
    vectors: dict[Fill, Vectors] = field(default_factory=dict)  # by layout; none: it could not be had


def _read_tiles(
    cues: Sequence[WrittenCue], folder: Path, view: _View, problems: list[Problem]
) -> list[_Tile]:
    """Read every sheet once; of each tile a small copy is kept."""
    tiles = [_Tile(cue=cue, sheet=_sheet_name(cue.target)) for cue in cues]
    by_sheet: dict[str, list[int]] = defaultdict(list)
    for index, tile in enumerate(tiles):
        by_sheet[tile.sheet].append(index)
    pixels_most = _copy_px(len(tiles))
    sizes: dict[str, tuple[int, int]] = {}
    for name, indexes in by_sheet.items():
        try:
            sheet = _read_sheet(folder, name)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
            problems.append(Problem(kind=ProblemKind.SHEET, message=f"sheet {name} {reason}"))
            continue
        sizes[name] = (sheet.shape[1], sheet.shape[0])
        for index in indexes:
            pixels = _cut(tiles[index], index, sheet, problems)
            if pixels is not None:
                tiles[index].vectors = _vectors(pixels, view, pixels_most)
    problems += _odd_sizes(sizes)
    return tiles


def _odd_sizes(sizes: dict[str, tuple[int, int]]) -> Iterator[Problem]:
    """All sheets have one size; the last one may be smaller, since some tools cut it."""
    names = list(sizes)
    for name in names[1:]:
        (width, height), (usual_width, usual_height) = sizes[name], sizes[names[0]]
        is_cut = name == names[-1] and width <= usual_width and height <= usual_height
        if (width, height) != (usual_width, usual_height) and not is_cut:
            message = f"sheet {name} is {width} x {height} px, {names[0]} {usual_width} x {usual_height} px"
            yield Problem(kind=ProblemKind.SHEET, message=message)


def _sheet_name(target: str) -> str:
    """Return what a cue's *target* is called beside the WebVTT file: a relative path, or a bare name."""
    parts = urlsplit(target)
    path = unquote(parts.path)
    pieces = [piece for piece in path.split("/") if piece not in ("", ".")]
    is_elsewhere = parts.scheme or parts.netloc or path.startswith("/") or ".." in pieces
    return "/".join(pieces[-1:] if is_elsewhere else pieces)


def _read_sheet(folder: Path, name: str) -> Picture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit here is our own
        with Image.open(folder / name, formats=("JPEG", "PNG", "WEBP")) as image:
            if image.width * image.height > SHEET_LIMIT_PX:
                raise ValueError(f"{image.width} x {image.height} px are too many")
            return np.asarray(image.convert("RGB"))


def _cut(tile: _Tile, index: int, sheet: Picture, problems: list[Problem]) -> Picture | None:
    """Return the pixels of *tile*, if its rectangle lies on *sheet*."""
    height, width = sheet.shape[:2]
    box = tile.cue.rectangle or Rectangle(x=0, y=0, width_px=width, height_px=height)
    tile.rectangle = box
    right, bottom = box.x + box.width_px, box.y + box.height_px
    if box.width_px > 0 and box.height_px > 0 and right <= width and bottom <= height:
        return sheet[box.y : bottom, box.x : right]
    message = (
        f"{box.width_px} x {box.height_px} px at {box.x},{box.y} are not on sheet {tile.sheet} "
        f"of {width} x {height} px"
    )
    problems.append(Problem(kind=ProblemKind.RECTANGLE, message=message, cue=index))
    return None


def _copy_px(tiles: int) -> int:
    """Return how many pixels the copy of one tile may have."""
    return max(64, min(_COPY_PX, _COPIES_BYTES // (max(1, tiles) * 3 * 8)))


def _vectors(pixels: Picture, view: _View, pixels_most: int) -> dict[Fill, Vectors]:
    height, width = pixels.shape[:2]
    return {
        fill: _reduced(pixels[box.y : box.y + box.height_px, box.x : box.x + box.width_px], pixels_most)
        for fill, box in view.layouts(Size(width_px=width, height_px=height)).items()
    }


def _reduced(pixels: Picture, pixels_most: int) -> Vectors:
    """Average blocks of *pixels* until at most about *pixels_most* are left; return them as one vector."""
    height, width = pixels.shape[:2]
    shrink = min(1.0, sqrt(pixels_most / (height * width)))
    down, across = max(1, int(height * shrink)), max(1, int(width * shrink))
    tops = np.arange(down) * height // down
    lefts = np.arange(across) * width // across
    sums = np.add.reduceat(np.add.reduceat(pixels.astype(np.float64), tops, axis=0), lefts, axis=1)
    counts = np.diff([*tops, height])[:, None] * np.diff([*lefts, width])[None, :]
    # About zero, where the squares of a comparison lose the least.
    centred: Vectors = sums / counts[..., None] - 128
    return centred.ravel()


@dataclass(slots=True, kw_only=True)
class _Looks:
    """The frames that one tile looks like."""

    square: float  # mean square of the difference to the nearest
    frames: list[tuple[float, int, float]]  # mean square, number and rough time (s) of each


class _Comparison:
    """All tiles of one size, with frames of one size laid into them in one way."""

    def __init__(
        self, tiles: Sequence[_Tile], indexes: list[int], layout: Fill, box: Size, view: _View
    ) -> None:
        self.indexes = indexes
        self.layout = layout
        self.view = view
        self.looks = [_Looks(square=np.inf, frames=[]) for _ in indexes]
        self._scaler = view.scaler(box)
        self._pixels_most = _copy_px(len(tiles))
        self._tiles = np.array([tiles[index].vectors[layout] for index in indexes])
        self._squares = np.einsum("ij,ij->i", self._tiles, self._tiles)
        self._starts_s = [tiles[index].cue.start_ms / 1000 for index in indexes]
        self._most = max(64, _CANDIDATES_MOST // len(tiles))
        self._batch: list[tuple[int, float, Vectors]] = []

    def add(self, number: int, at_s: float, frame: av.VideoFrame) -> None:
        """Compare the frame with this number, at about *at_s*, with every tile."""
        self._batch.append((number, at_s, _reduced(self._scaler.tile(frame), self._pixels_most)))
        if len(self._batch) == _BATCH:
            self.flush()

    def flush(self) -> None:
        """Compare what waits."""
        if not self._batch:
            return
        frames = np.array([vectors for _, _, vectors in self._batch])
        crossed = self._tiles @ frames.T
        sums = self._squares[:, None] + np.einsum("ij,ij->i", frames, frames)[None, :] - 2 * crossed
        means = np.maximum(0, sums) / self._tiles.shape[1]
        nearest = means.min(axis=1)
        for row, looks in enumerate(self.looks):
            looks.square = min(looks.square, float(nearest[row]))
        limits = np.array([_as_good_as(looks.square) for looks in self.looks])
        for row, column in zip(*np.nonzero(means <= limits[:, None]), strict=True):
            number, at_s, _ = self._batch[column]
            self.looks[row].frames.append((float(means[row, column]), number, at_s))
        self._batch.clear()
        for row, looks in enumerate(self.looks):
            _prune(looks, self._starts_s[row], self._most)


def _prune(looks: _Looks, start_s: float, most: int) -> None:
    """Leave what can't be told from the nearest; of too many (a still picture) those about the cue."""
    limit = _as_good_as(looks.square)
    looks.frames = [each for each in looks.frames if each[0] <= limit]
    if len(looks.frames) > most:
        looks.frames.sort(key=lambda each: abs(each[2] - start_s))
        del looks.frames[most:]


def _as_good_as(square: float) -> float:
    """Return up to which mean square a frame can't be told from one at *square*."""
    return square + max(0.01, 0.02 * square)


def _comparisons(tiles: Sequence[_Tile], view: _View) -> list[_Comparison]:
    by_size: dict[Size, list[int]] = defaultdict(list)
    for index, tile in enumerate(tiles):
        if tile.vectors and tile.rectangle is not None:
            size = Size(width_px=tile.rectangle.width_px, height_px=tile.rectangle.height_px)
            by_size[size].append(index)
    comparisons = []
    for size, indexes in sorted(by_size.items(), key=lambda each: -len(each[1]))[:TILE_SIZES_MOST]:
        boxes = view.layouts(size)
        for layout, box in boxes.items():
            inner = Size(width_px=box.width_px, height_px=box.height_px)
            comparisons.append(_Comparison(tiles, indexes, layout, inner, view))
            if box == boxes[Fill.STRETCH]:  # then the two are one
                break
    return comparisons


def _looks(comparisons: Sequence[_Comparison]) -> dict[int, _Looks]:
    """Return what each tile looks like, by the layout that explains the tiles of its size best."""
    found: dict[Fill, dict[int, _Looks]] = {Fill.BLACK: {}, Fill.STRETCH: {}}
    stretched = {(id(each.view), each.indexes[0]) for each in comparisons if each.layout is Fill.STRETCH}
    groups: dict[int, list[int]] = {}
    for comparison in comparisons:
        comparison.flush()
        groups[comparison.indexes[0]] = comparison.indexes
        layouts = [comparison.layout]
        if (id(comparison.view), comparison.indexes[0]) not in stretched:
            layouts = [Fill.BLACK, Fill.STRETCH]
        for layout in layouts:
            for index, looks in zip(comparison.indexes, comparison.looks, strict=True):
                found[layout][index] = _merged(found[layout].get(index), looks)
    chosen: dict[int, _Looks] = {}
    for indexes in groups.values():
        best = min(found.values(), key=lambda looks: sum(looks[index].square for index in indexes))
        chosen.update({index: best[index] for index in indexes})
    return chosen


def _merged(one: _Looks | None, other: _Looks) -> _Looks:
    if one is None:
        return other
    square = min(one.square, other.square)
    frames = [each for each in one.frames + other.frames if each[0] <= _as_good_as(square)]
    return _Looks(square=square, frames=frames)


def _judge(index: int, tile: _Tile, looks: _Looks | None, times: _Times) -> JudgedTile:
    start, end = Fraction(tile.cue.start_ms, 1000), Fraction(tile.cue.end_ms, 1000)
    # The instant was rounded down to the millisecond of the start.
    exact = range(times.on_screen(start), times.before(start + Fraction(1, 1000)) + 1)
    equal = [] if looks is None or looks.square > _STRANGE**2 else [frame for _, frame, _ in looks.frames]
    told = min(equal, key=lambda frame: _steps(frame, exact), default=None)
    error: Fraction | None = None
    if told is not None:
        error = times.at[told] - times.at[min(max(told, exact.start), exact.stop - 1)]
    keys = {key for frame in exact for key in times.last_keys(frame)}
    return JudgedTile(
        index=index,
        start_s=float(start),
        end_s=float(end),
        sheet=tile.sheet,
        rectangle=tile.rectangle if tile.vectors else None,
        pts_s=None if told is None else float(times.at[told]),
        equal_frames=len(equal),
        distance=0.0 if looks is None else sqrt(looks.square),
        in_cue=any(exact.start <= frame and times.is_before(frame, end) for frame in equal),
        exact=any(frame in exact for frame in equal),
        keyframe=any(frame in keys for frame in equal),
        error_s=None if error is None else float(error),
    )


def _steps(frame: int, exact: range) -> int:
    """Return how many frames *frame* is away from *exact*."""
    return max(exact.start - frame, frame - exact.stop + 1, 0)


class _Times:
    """Decodes a stream from its start to its end, and knows in the end when each frame was on screen."""

    def __init__(self, source: Opened, *, bears_damage: bool) -> None:
        self._source = source
        self._bears_damage = bears_damage
        self._tick = max(1, round(1 / (source.rate * source.time_base)))
        self._pts: list[int | None] = []
        self._dts: list[int | None] = []
        self._durations: list[int] = []
        self._key_packets: set[int] = set()
        self._key_frames: list[bool] = []
        self._keys: tuple[list[int], list[int]] = ([], [])
        self.at: list[Fraction] = []  # s from the first frame
        self.duration = Fraction(0)
        self.rough_s = 0.0  # about when the latest frame is shown

    def watch(self, progress: Callable[[float], None]) -> Iterator[av.VideoFrame]:
        """
        Yield every frame, nothing sought or left out.

        Raises:
            _UndecodableError: A packet can't be decoded, unless damage is borne.
        """
        try:
            for packet in self._source.packets():
                if packet.is_keyframe and packet.pts is not None:
                    self._key_packets.add(packet.pts)
                yield from self._noted(self._decode(packet))
                progress(self.rough_s)
        except Damaged:
            pass
        yield from self._noted(self._decode(None))

    def _decode(self, packet: Packet | None) -> list[av.VideoFrame]:
        if self._bears_damage:
            return try_decode(self._source.context, packet)
        try:
            return self._source.context.decode(packet)
        except av.FFmpegError as error:
            raise_if_out_of_memory(error)
            raise _UndecodableError from error

    def _noted(self, frames: list[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        for frame in frames:
            self._pts.append(frame.pts)
            self._dts.append(frame.dts)
            self._durations.append(frame.duration or 0)
            self._key_frames.append(frame.key_frame)
            first, now = self._pts[0], frame.pts
            if now is not None and first is not None:
                self.rough_s = float((now - first) * self._source.time_base)
            yield frame

    def settle(self) -> None:
        """Put all frames on one line of time."""
        base = self._source.time_base
        is_spliced = self._source.demuxer in _SPLICING
        leap, fall = round(_LEAP_S / base), round(_FALL_S / base)
        ticks: list[int] = []
        offset = 0
        believed = _believed(self._pts, self._dts)
        for number, each in enumerate(believed):
            if not ticks:
                ticks.append(each or 0)
                continue
            usual = ticks[-1] + self._lasts(number - 1, is_timed=each is not None)
            now = usual if each is None else each + offset
            if is_spliced and not ticks[-1] - fall <= now <= ticks[-1] + leap:
                offset += usual - now
                now = usual
            ticks.append(max(now, ticks[-1]))
        self.at = [(each - ticks[0]) * base for each in ticks]
        last = self._lasts(len(believed) - 1, is_timed=believed[-1] is not None)
        self.duration = self.at[-1] + last * base
        by_packets = [pts in self._key_packets for pts in self._pts]
        self._keys = (_true(by_packets), _true(self._key_frames))

    def _lasts(self, frame: int, *, is_timed: bool) -> int:
        """Return how long *frame* is shown; what decoders say of it where there are no times is made up."""
        return (self._durations[frame] if is_timed else 0) or self._tick

    def on_screen(self, instant: Fraction) -> int:
        """Return the frame on screen at *instant*; the first one if none is yet."""
        return max(0, bisect_right(self.at, instant) - 1)

    def before(self, instant: Fraction) -> int:
        """Return the frame on screen just before *instant*."""
        return max(0, bisect_left(self.at, instant) - 1)

    def is_before(self, frame: int, end: Fraction) -> bool:
        """Whether *frame* appears before *end*, an instant that was rounded down to the millisecond."""
        return self.at[frame] < end or end < self.at[frame] < end + Fraction(1, 1000)

    def last_keys(self, frame: int) -> list[int]:
        """
        Return the last keyframe up to *frame*, *frame* itself if there is none.

        There may be two: containers and decoders don't agree everywhere on what a keyframe is.
        """
        last = []
        for keys in self._keys:
            after = bisect_right(keys, frame)
            if after:
                last.append(keys[after - 1])
        return last or [frame]


def _believed(pts: Sequence[int | None], dts: Sequence[int | None]) -> list[int | None]:
    """Of two times that contradict each other, return those that fail to rise less often."""
    first, second = (pts, dts) if _failures(pts) <= _failures(dts) else (dts, pts)
    return [other if one is None else one for one, other in zip(first, second, strict=True)]


def _failures(times: Sequence[int | None]) -> int:
    known = [each for each in times if each is not None]
    return sum(after <= before for before, after in pairwise(known))


def _true(flags: Sequence[bool]) -> list[int]:
    return [number for number, flag in enumerate(flags) if flag]
