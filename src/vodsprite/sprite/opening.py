"""
Opening a source, without trust.

Only demuxers of an allow-list, no protocol but the one file that was given, no picture larger than the video
standards know.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import SEEK_CUR, SEEK_END, SEEK_SET
from pathlib import Path
from typing import BinaryIO, TypeAlias
from weakref import WeakValueDictionary

import av
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.codeccontext import VideoCodecContext

from vodsprite.errors import FailureKind, VideoError

Source = Path | BinaryIO
Packet: TypeAlias = "av.Packet[av.VideoStream]"

# Containers of moving pictures that hold what they show: no playlists, scripts, still images or devices.
_DEMUXERS = (
    "apng,asf,av1,avi,avs2,avs3,cavsvideo,dhav,dirac,dv,flv,gif,gxf,h261,h263,h264,hevc,ivf,kux,m4v,matroska,"
    "mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,nsv,nut,nuv,obu,ogg,rm,vc1,vc1test,vvc,wtv,yuv4mpegpipe"
)

# The largest picture that HEVC, AV1 and VP9 know (level 6, 8192 x 4352) is also the largest decoded here.
PICTURE_LIMIT_PX = 35_651_584

# A decoder for these can be made from a few facts. Others need what only their container knows: a codec tag,
# or where the chroma samples lie (VP9).
_SELF_CONTAINED = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "libdav1d"})

# What knows the transparency that WebM keeps beside the pictures; the usual decoders of the two pass it over.
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


class Opened:
    """
    An open container and the one stream of it that is read; every other stream is left aside by the demuxer.

    Not for use by several threads at once.
    """

    def __init__(self, source: Source) -> None:
        self.container = _open_container(source)
        try:
            self.stream = _choose_stream(self.container)
            self.context = _with_alpha(self.stream, _usable_context(self.stream))
        except VideoError:
            self.container.close()
            raise
        for other in self.container.streams:
            if other is not self.stream:
                other.discard = Discard.all
        configure(self.context)
        base = self.stream.time_base
        self.time_base = Fraction(base.numerator, base.denominator) if base else Fraction(1, 1000)

    @property
    def codec(self) -> str:
        """The decoder's name, as in "h264" or "libdav1d"."""
        return self.context.name

    @property
    def demuxer(self) -> str:
        """The first of the demuxer's names, as in "mov"."""
        return self.container.format.name.partition(",")[0]

    @property
    def rate(self) -> Fraction:
        """Pictures per second, as far as the container knows; 25 if it doesn't."""
        for rate in (self.stream.average_rate, self.stream.guessed_rate):
            if rate and 0 < rate <= 1000:
                return Fraction(rate.numerator, rate.denominator)
        return Fraction(25)

    @property
    def pixel_aspect(self) -> Fraction:
        """How much wider than high a stored pixel is shown."""
        aspect = self.stream.sample_aspect_ratio
        if not aspect or not Fraction(1, 100) <= aspect <= 100:
            return Fraction(1)
        return Fraction(aspect.numerator, aspect.denominator)

    def packets(self) -> Iterator[Packet]:
        """
        Yield the packets from where the container stands to its end, or to where its damage lets nobody pass.

        Raises:
            Damaged: after the last packet that could be read, if it isn't the last of the file.
        """
        try:
            for packet in self.container.demux(self.stream):
                if packet.size:
                    yield packet
        except av.FFmpegError as error:
            raise_if_out_of_memory(error)
            raise Damaged from error
        except IndexError:
            # PyAV 18.1 stumbles at the end of a file in which a stream turned up only half-way; all packets
            # have been given out by then.
            return

    def frames(self) -> Iterator[av.VideoFrame]:
        """Yield every picture in the order of the decoder's output, without any seeking or skipping."""
        try:
            for packet in self.packets():
                yield from try_decode(self.context, packet)
        except Damaged:
            pass
        yield from try_decode(self.context, None)

    def close(self) -> None:
        """Close the container."""
        self.container.close()


class Damaged(Exception):
    """The rest of the file can't be read."""


def try_decode(context: VideoCodecContext, packet: Packet | None) -> list[av.VideoFrame]:
    """Return the pictures that *packet* (None: the end) brings out; none if it is damaged."""
    try:
        return context.decode(packet)
    except av.FFmpegError as error:
        raise_if_out_of_memory(error)
        return []


@contextmanager
def opened(source: Source) -> Iterator[Opened]:
    """
    Open *source* for one reading.

    Raises:
        VideoError: it is no usable video.
    """
    it = Opened(source)
    try:
        yield it
    finally:
        it.close()


def size_of(source: Source) -> int:
    """Return the size of *source* in bytes."""
    if isinstance(source, Path):
        return source.stat().st_size
    return _Reader(source).seek(0, SEEK_END)


def new_decoder(like: Opened, first_packet: Packet, *, deblock: bool) -> VideoCodecContext | None:
    """
    Return a further decoder for the packets of *like*; None if only a container's own will do.

    Args:
        first_packet: The first one of the stream.
        deblock: Without, H.264 and HEVC leave out the filter over block borders: a fifth faster, and nothing
            to be seen once a picture is made much smaller.
    """
    if like.codec not in _SELF_CONTAINED:
        return None
    own = like.context
    context = _decoder(like.codec, own)
    if own.pix_fmt is not None:
        context.pix_fmt = own.pix_fmt
    configure(context)
    if not deblock:
        context.options = {**context.options, "skip_loop_filter": "all"}
    if like.codec == "h264" and (own.pix_fmt or "").startswith("yuv444"):
        # The first packet names the x264 build, and 4:4:4 of old builds is decoded by other rules.
        try_decode(context, first_packet)
        context.flush_buffers()
    return context


def _decoder(name: str, like: VideoCodecContext) -> VideoCodecContext:
    """Return the decoder *name*, told what the container told *like*."""
    context = av.CodecContext.create(name, "r")
    assert isinstance(context, VideoCodecContext)
    context.extradata = like.extradata
    context.width, context.height = like.width, like.height
    # What only the container says about colour.
    context.color_range, context.colorspace = like.color_range, like.colorspace
    context.color_primaries, context.color_trc = like.color_primaries, like.color_trc
    return context


def _with_alpha(stream: av.VideoStream, usual: VideoCodecContext) -> VideoCodecContext:
    """Return a decoder that gives out transparency, where the stream says that it has some; else *usual*."""
    name = _WITH_ALPHA.get(usual.name)
    if name is None or name not in av.codecs_available or stream.metadata.get("alpha_mode") != "1":
        return usual
    return _decoder(name, usual)


def configure(context: VideoCodecContext) -> None:
    """Set the limits that every decoder here works under: one thread, no giant pictures."""
    # Several decoders at once keep the cores busier than one decoder with several threads.
    context.thread_type = "NONE"
    context.thread_count = 1
    context.options = {"max_pixels": str(PICTURE_LIMIT_PX)}


def raise_if_out_of_memory(error: av.FFmpegError) -> None:
    """
    Raise a `VideoError` for a lack of memory, which isn't to be passed over like damage.

    A damaged header that asks for absurdly much ends here, too.
    """
    if isinstance(error, MemoryError):
        raise VideoError(FailureKind.UNSUPPORTED, "needs more memory than there is") from error


def _open_container(source: Source) -> InputContainer:
    options = {
        "format_whitelist": _DEMUXERS,
        "protocol_whitelist": "file",
        "max_pixels": str(PICTURE_LIMIT_PX),
    }
    file: str | _Reader
    if isinstance(source, Path):
        _refuse_special_file(source)
        # With the protocol in front, no name can be taken for another protocol, an option or a pattern.
        file = f"file:{os.path.abspath(source)}"
    else:
        options["protocol_whitelist"] = "none"
        file = _Reader(source)
    try:
        # PyAV 19 replaces undecodable metadata by itself and lost the argument.
        if int(av.__version__.partition(".")[0]) < 19:
            return av.open(file, "r", options=options, metadata_errors="replace")
        return av.open(file, "r", options=options)
    except av.FFmpegError as error:
        raise_if_out_of_memory(error)
        raise _cause(error) from error
    except OSError as error:  # a file object's own
        raise VideoError(FailureKind.NOT_ACCESSIBLE, f"cannot be read: {error.strerror or error}") from error


class _Turn:
    """Whose turn it is with a file object: it has one position, and may have several readers."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


_turns: WeakValueDictionary[int, _Turn] = WeakValueDictionary()  # by the identity of the file object
_turns_lock = threading.Lock()


def _turn_of(file: BinaryIO) -> _Turn:
    """Return the turn that all readers of *file* share; it lasts as long as one of them does."""
    with _turns_lock:
        return _turns.setdefault(id(file), _Turn())


class _Reader:
    """
    One reader of a file object, with a position of its own: no other reader, in any thread, moves it.

    It hides the object's name and everything else that the decoder has no business with.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._turn = _turn_of(file)
        self._position = 0

    def read(self, size: int) -> bytes:
        with self._turn.lock:
            self._file.seek(self._position)
            data = self._file.read(size)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        base = 0
        if whence == SEEK_CUR:
            base = self._position
        elif whence == SEEK_END:
            with self._turn.lock:
                base = self._file.seek(0, SEEK_END)
        if base + offset < 0:
            raise ValueError("a position before the file")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position


def _refuse_special_file(path: Path) -> None:
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            path.open("rb").close()
    except OSError as error:
        raise VideoError(FailureKind.NOT_ACCESSIBLE, f"cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise VideoError(FailureKind.NOT_ACCESSIBLE, "is not a regular file")
    if status.st_size == 0:
        raise VideoError(FailureKind.MALFORMED, "is empty")


def _cause(error: av.FFmpegError) -> VideoError:
    if isinstance(error, (av.error.ArgumentError, av.error.PatchWelcomeError, PermissionError)):
        return VideoError(FailureKind.UNSUPPORTED, "is not in a video format that is handled here")
    return VideoError(FailureKind.MALFORMED, "is no video, or is damaged beyond recognition")


def _choose_stream(container: InputContainer) -> av.VideoStream:
    """Return the first stream of moving pictures; cover art isn't one."""
    stills = Disposition.attached_pic | Disposition.timed_thumbnails
    for stream in container.streams.video:
        if not stream.disposition & stills:
            return stream
    raise VideoError(FailureKind.NO_PICTURE, "has no video stream")


def _usable_context(stream: av.VideoStream) -> VideoCodecContext:
    # Typed as always there; it is None for a codec without a decoder.
    context: VideoCodecContext | None = stream.codec_context
    if context is None:
        raise VideoError(FailureKind.UNSUPPORTED, "is coded in a way that no decoder here knows")
    if context.width * context.height > PICTURE_LIMIT_PX:
        raise VideoError(
            FailureKind.UNSUPPORTED,
            f"has pictures of {context.width} x {context.height} px; "
            f"at most {PICTURE_LIMIT_PX} px are decoded",
        )
    return context
