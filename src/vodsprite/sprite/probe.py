"""
What a source is: its facts, how its pictures are to be seen, and how its clock runs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, SupportsBytes, cast

import av
from av.container import InputContainer

from vodsprite.sprite import clock
from vodsprite.sprite.clock import Clock
from vodsprite.sprite.geometry import Orientation
from vodsprite.sprite.opening import Opened, Packet, Source, size_of
from vodsprite.sprite.tile import display_size
from vodsprite.video import AudioStream, VideoMetadata, VideoStream


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """
    A measured source, open for reading.

    It stands at its start, unless it has an index (then `clock` holds no table): that one is to be sought in.
    """

    source: Source
    opened: Opened
    clock: Clock
    first_frame: av.VideoFrame
    first_packet: Packet
    orientation: Orientation
    metadata: VideoMetadata

    @property
    def display(self) -> tuple[Fraction, Fraction]:
        """Width and height of the first picture as viewers see it: turned, and with square pixels."""
        frame = self.first_frame
        return display_size(frame.width, frame.height, self.opened.pixel_aspect, self.orientation)

    @property
    def is_interlaced(self) -> bool:
        """Whether its pictures consist of two fields, which may come in packets of their own."""
        return self.first_frame.interlaced_frame or self.opened.context.field_order > 1


def probe(source: Source) -> VideoMetadata:
    """
    Return the facts of the video in *source*; the duration is that of its pictures, measured.

    Raises:
        VideoError: it is no usable video. Messages complete "<the file> ..." and name no path.
    """
    with open_video(source) as video:
        return video.metadata


@contextmanager
def open_video(source: Source) -> Iterator[Video]:
    """
    Measure *source* and open it for reading.

    Args:
        source: A path, or a seekable binary file; the latter stays open.

    Raises:
        VideoError: as `probe`.
    """
    opened = Opened(source)
    try:
        size_bytes = size_of(source)
        measured = clock.by_index(opened, size_bytes)
        if measured is None:
            measured = clock.by_reading(source)
            opened.close()
            opened = Opened(source)
        orientation = orientation_of(measured.first_frame)
        yield Video(
            source=source,
            opened=opened,
            clock=measured.clock,
            first_frame=measured.first_frame,
            first_packet=measured.first_packet,
            orientation=orientation,
            metadata=_metadata(opened.container, measured, orientation, size_bytes),
        )
    finally:
        opened.close()


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Read the display matrix of *frame*; a turn by other than quarters counts as the nearest of them."""
    try:
        matrices: Mapping[str, SupportsBytes] = cast(Any, frame).side_data
        return _orientation_of_matrix(struct.unpack("=9i", bytes(matrices["DISPLAYMATRIX"])[:36]))
    except KeyError:
        return Orientation()
    except ValueError:
        # PyAV 18.1 lists no side data at all when one kind is unknown to it (stereo video has such); the
        # angle alone it can still tell.
        return _TURNS[round(-frame.rotation / 90) % 4]


_TURNS = (
    Orientation(),
    Orientation(transposed=True, flipped_across=True),
    Orientation(flipped_across=True, flipped_down=True),
    Orientation(transposed=True, flipped_down=True),
)


def _orientation_of_matrix(matrix: tuple[int, ...]) -> Orientation:
    # x' = a x + c y and y' = b x + d y, with y pointing down.
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    if abs(a * d) >= abs(b * c):
        return Orientation(flipped_across=a < 0, flipped_down=d < 0)
    return Orientation(transposed=True, flipped_across=c < 0, flipped_down=b < 0)


def _metadata(
    container: InputContainer, measured: clock.Measured, orientation: Orientation, size_bytes: int
) -> VideoMetadata:
    duration_s = float(measured.clock.duration)
    pictures = [stream for stream in container.streams.video if stream.codec_context is not None]
    videos = tuple(
        VideoStream(
            codec=_codec(stream.codec_context),
            codec_tag=_tag(stream.codec_context),
            width_px=stream.codec_context.width,
            height_px=stream.codec_context.height,
            fps=_rounded(stream.average_rate),
            bitrate_bps=stream.codec_context.bit_rate or 0,
        )
        for stream in pictures
        if not stream.disposition & av.stream.Disposition.attached_pic
    )
    sounds = [stream for stream in container.streams.audio if stream.codec_context is not None]
    return VideoMetadata(
        container=container.format.name,
        size_bytes=size_bytes,
        duration_s=duration_s,
        bitrate_bps=container.bit_rate or (round(size_bytes * 8 / duration_s) if duration_s else 0),
        width_px=max(stream.width_px for stream in videos),
        height_px=max(stream.height_px for stream in videos),
        rotation_deg=orientation.rotation_deg,
        video_streams=videos,
        audio_streams=tuple(
            AudioStream(
                codec=_codec(stream.codec_context),
                sampling_rate_hz=stream.codec_context.sample_rate,
                bitrate_bps=stream.codec_context.bit_rate or 0,
            )
            for stream in sounds
        ),
        audio_duration_s=max((_length_s(stream) for stream in sounds), default=0.0),
    )


def _codec(context: av.CodecContext) -> str:
    """Return the codec's own name where the decoder is called after its library."""
    return context.codec.canonical_name


def _tag(context: av.CodecContext) -> str:
    try:
        tag: str = context.codec_tag
    except UnicodeDecodeError:  # a tag of arbitrary bytes
        return ""
    return tag if tag.isprintable() else ""


def _rounded(rate: Fraction | None) -> int:
    return round(rate) if rate else 0


def _length_s(stream: av.AudioStream) -> float:
    if stream.duration is None or not stream.time_base:
        return 0.0
    return float(max(0, stream.duration) * Fraction(stream.time_base.numerator, stream.time_base.denominator))
