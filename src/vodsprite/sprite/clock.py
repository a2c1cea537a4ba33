"""
Measuring a video: its first picture, and how all of its pictures lie in time.

The header's word is not taken. Where the container has a complete index (ordinary MP4), its head and its tail
are read; elsewhere every packet is looked at once; and where packets don't tell when their pictures are
shown, every picture is decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
from av.index import IndexEntries

from vodsprite.errors import FailureKind, VideoError
from vodsprite.sprite.opening import Damaged, Opened, Packet, Source, opened, try_decode
from vodsprite.sprite.timeline import UNTIMED, PacketTable, PictureTable, Row

_SPLICING = frozenset({"mpegts", "mpeg"})

# These containers keep one time per packet, and it isn't the one at which a reordered picture is shown.
_WITHOUT_PRESENTATION_TIMES = frozenset({"avi", "asf"})
_ALWAYS_REORDERED = frozenset({"vc1", "wmv3"})

# Keyframes of these don't decode alone.
_WITHOUT_RANDOM_ACCESS = frozenset({"dirac"})

_HEAD_PACKETS = 64
_TAIL_PACKETS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """
    How the pictures of a video lie in time.

    Times are ticks of `time_base`. At most one table is there: `packets` where the container has no index to
    trust, `pictures` where its packets don't tell their times.
    """

    time_base: Fraction
    origin: int  # PTS of the first picture
    end: int  # when the last picture ends
    packets: PacketTable | None = None
    pictures: PictureTable | None = None
    is_damaged: bool = False  # packets are damaged or missing

    @property
    def duration(self) -> Fraction:
        """The length of the picture track in seconds."""
        return (self.end - self.origin) * self.time_base

    def seconds(self, pts: int) -> Fraction:
        """Return *pts* as seconds from the first picture."""
        return (pts - self.origin) * self.time_base


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What measuring found: the clock, the first picture, and the first packet for decoders that need it."""

    clock: Clock
    first_frame: av.VideoFrame
    first_packet: Packet


def packet_table(source: Source) -> PacketTable:
    """Look at every packet of *source* once."""
    with opened(source) as video:
        rows, _ = _rows(video, None)
        return PacketTable(rows, video.time_base, splices=video.demuxer in _SPLICING)


def _has_whole_index(video: Opened, size_bytes: int) -> bool:
    """Whether the container lists every packet, and all that it lists is there."""
    index = video.stream.index_entries
    if video.demuxer != "mov" or len(index) < 1 or len(index) != video.stream.frames:
        return False
    last = index[-1]
    return bool(last.pos + last.size <= size_bytes) and _is_even(index)


def _is_even(index: IndexEntries) -> bool:
    """Whether the packets are evenly spaced in time: only then is every keyframe shown equally late."""
    first, last = index[0].timestamp, index[-1].timestamp
    steps = len(index) - 1
    return all(
        abs(index[steps * part // 8].timestamp * 8 - (first * (8 - part) + last * part)) * steps
        <= 2 * 8 * max(1, last - first)
        for part in range(1, 8)
    )


def by_index(video: Opened, size_bytes: int) -> Measured | None:
    """
    Measure a freshly opened *video* of *size_bytes* by its head, its tail and its index.

    Returns:
        None if it has no complete index, or contradicts it.

    Raises:
        VideoError: it is encrypted.
    """
    if not _has_whole_index(video, size_bytes):
        return None
    head: list[Packet] = []
    try:
        for packet in video.packets():
            head.append(packet)
            if len(head) == 1:
                _refuse_encrypted(packet)
            if len(head) == _HEAD_PACKETS or _is_past_the_first_picture(head):
                break
        if not head or not _tells_reordering(video, head[0]):
            return None
        frame = _first_of_head(video, head)
        end = _end_by_index(video, head)
    except Damaged:
        return None
    if frame is None or frame.pts is None or end is None:
        return None
    video.context.flush_buffers()
    clock = Clock(time_base=video.time_base, origin=frame.pts, end=end)
    return Measured(clock=clock, first_frame=frame, first_packet=head[0])


def _tells_reordering(video: Opened, first: Packet) -> bool:
    """Whether decoding times run ahead of presentation times, as they must where pictures are reordered."""
    if first.pts is None or first.dts is None:
        return False
    return first.pts > first.dts or video.context.reorder_depth == 0


def _is_past_the_first_picture(head: Sequence[Packet]) -> bool:
    shown = [packet.pts for packet in head if packet.pts is not None and not packet.is_discard]
    return bool(shown) and head[-1].dts is not None and head[-1].dts > min(shown)


def _first_of_head(video: Opened, head: Sequence[Packet]) -> av.VideoFrame | None:
    """Decode the first picture of all, which need not be the first packet's."""
    shown = [packet.pts for packet in head if packet.pts is not None and not packet.is_discard]
    alone = (
        head[0].is_keyframe
        and not head[0].is_discard
        and head[0].pts == min(shown, default=None)
        and video.context.field_order <= 1
    )
    if alone:
        frames = try_decode(video.context, head[0]) + try_decode(video.context, None)
        video.context.flush_buffers()
        if frames and not frames[0].interlaced_frame:
            return frames[0]
    for packet in head:
        frames = try_decode(video.context, packet)
        if frames:
            return frames[0]
    frames = try_decode(video.context, None)
    return frames[0] if frames else None


def _end_by_index(video: Opened, head: Sequence[Packet]) -> int | None:
    """Return the end of the last picture, from the last packets; None if they contradict the index."""
    index = video.stream.index_entries
    entry = index[-min(len(index), _TAIL_PACKETS)]
    delay = (head[0].pts or 0) - (head[0].dts or 0)
    video.container.seek(entry.timestamp + delay, stream=video.stream, any_frame=True)
    end: int | None = None
    for count, packet in enumerate(video.packets()):
        if count > _HEAD_PACKETS or packet.pts is None or packet.has_sidedata("new_extradata"):
            return None  # fragments follow, the seek went astray, or the decoder has to be set up anew
        if not packet.is_discard:
            end = max(end or packet.pts, packet.pts + max(packet.duration or 0, 0))
    return end


def by_reading(source: Source) -> Measured:
    """
    Measure the video in *source* by every packet, and by every picture if that isn't enough.

    Raises:
        VideoError: nothing of it can be decoded, or it is encrypted.
    """
    with opened(source) as video:
        first = _FirstPicture(video)
        rows, damaged = _rows(video, first)
        table = PacketTable(rows, video.time_base, splices=video.demuxer in _SPLICING)
        frame, packet = first.finish()
        needs_pictures = (
            not table.is_timed
            or (video.demuxer in _WITHOUT_PRESENTATION_TIMES and _reorders(video))
            or (video.demuxer == "mov" and not table.is_monotonic)
            or first.saw_new_setup
            or video.codec in _WITHOUT_RANDOM_ACCESS
        )
        tick = max(1, round(1 / (video.rate * video.time_base)))
    if needs_pictures:
        return _by_decoding(source, tick, packet, damaged=damaged)
    origin = table.pts[table.shown_at(UNTIMED)] if frame.pts is None else frame.pts
    clock = Clock(
        time_base=video.time_base,
        origin=int(origin),
        end=max(table.end(tick), int(origin) + 1),
        packets=table,
        is_damaged=damaged,
    )
    return Measured(clock=clock, first_frame=frame, first_packet=packet)


def _reorders(video: Opened) -> bool:
    return video.context.reorder_depth > 0 or video.codec in _ALWAYS_REORDERED


def _by_decoding(source: Source, tick: int, first_packet: Packet, *, damaged: bool) -> Measured:
    """Decode everything once, only for the times."""
    rows: list[Row] = []
    first: av.VideoFrame | None = None
    with opened(source) as video:
        for frame in video.frames():
            first = first or frame
            rows.append(
                Row(
                    pts=frame.pts,
                    dts=frame.dts,
                    duration=frame.duration,
                    is_key=frame.key_frame,
                    is_dropped=False,
                )
            )
    if first is None:
        raise _nothing_decodable()
    table = PictureTable(rows, tick)
    clock = Clock(
        time_base=video.time_base, origin=table.origin, end=table.end, pictures=table, is_damaged=damaged
    )
    return Measured(clock=clock, first_frame=first, first_packet=first_packet)


def _rows(video: Opened, first: _FirstPicture | None) -> tuple[list[Row], bool]:
    """Return a row for every packet, and whether some are damaged or missing; show *first* what it needs."""
    rows: list[Row] = []
    damaged = False
    try:
        for packet in video.packets():
            damaged = damaged or packet.is_corrupt
            rows.append(
                Row(
                    pts=packet.pts,
                    dts=packet.dts,
                    duration=packet.duration or 0,
                    is_key=packet.is_keyframe,
                    is_dropped=packet.is_discard,
                )
            )
            if first is not None:
                first.feed(packet)
    except Damaged:
        damaged = True
    return rows, damaged


class _FirstPicture:
    """
    Decodes packets until the first picture is out.

    `saw_new_setup` tells whether some packet sets the decoder up anew: those after it decode by it only.
    """

    def __init__(self, video: Opened) -> None:
        self._context = video.context
        self._frame: av.VideoFrame | None = None
        self._packet: Packet | None = None
        self.saw_new_setup = False

    def feed(self, packet: Packet) -> None:
        if self._packet is None:
            _refuse_encrypted(packet)
            self._packet = packet
        elif packet.has_sidedata("new_extradata"):
            self.saw_new_setup = True
        if self._frame is None:
            self._take(try_decode(self._context, packet))

    def finish(self) -> tuple[av.VideoFrame, Packet]:
        """Return the first picture and the first packet."""
        if self._frame is None:
            self._take(try_decode(self._context, None))
        if self._frame is None or self._packet is None:
            raise _nothing_decodable()
        return self._frame, self._packet

    def _take(self, frames: list[av.VideoFrame]) -> None:
        if frames:
            self._frame = frames[0]


def _refuse_encrypted(packet: Packet) -> None:
    # Decoders make garbage of it without complaint.
    if packet.has_sidedata("encryption_info"):
        raise VideoError(FailureKind.UNSUPPORTED, "is encrypted")


def _nothing_decodable() -> VideoError:
    return VideoError(FailureKind.MALFORMED, "has a video stream, but not one picture of it can be decoded")
