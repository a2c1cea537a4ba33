"""What is known of a video once it was probed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoStream:
    """One stream of moving pictures, as its container declares it."""

    codec: str
    codec_tag: str = ""
    width_px: int  # stored size, before rotation and pixel aspect
    height_px: int
    fps: int  # rounded average
    bitrate_bps: int = 0  # 0: unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioStream:
    """One stream of sound, as its container declares it."""

    codec: str
    sampling_rate_hz: int
    bitrate_bps: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoMetadata:
    """Facts of one media file."""

    container: str  # the demuxer's full name list, as in "mov,mp4,m4a,3gp,3g2,mj2"
    size_bytes: int
    duration_s: float  # of the picture, measured
    bitrate_bps: int
    width_px: int  # largest stored size over the video streams
    height_px: int
    rotation_deg: int  # clockwise turn that a player makes: 0, 90, 180 or 270
    video_streams: tuple[VideoStream, ...]
    audio_streams: tuple[AudioStream, ...]
    audio_duration_s: float = 0.0
    md5: str = ""
