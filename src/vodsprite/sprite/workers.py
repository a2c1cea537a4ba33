"""
Decoding on several cores: runs of packets go in, tiles come out in the order of their spans.

One thread demuxes (the caller's), each worker decodes whole runs with decoders of its own; libav lets go of
the interpreter while it works. What waits between them is bounded in bytes, in both directions.
"""

from __future__ import annotations

import threading
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from vodsprite.sprite.opening import Packet, try_decode
from vodsprite.sprite.tile import Pixels, Tiler

_REFERRING = frozenset({PictureType.P, PictureType.B})

_PACKETS_WAITING_BYTES = 32 * 1024 * 1024
_TILES_WAITING_BYTES = 64 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Want:
    """The picture with this PTS is wanted, for the tiles of these spans."""

    pts: int
    spans: list[int]


@dataclass(slots=True, kw_only=True, eq=False)
class Run:
    """
    Packets to be decoded one after the other from a keyframe on, and the pictures wanted of them.

    Args:
        is_key: It is one keyframe, to be decoded alone.
        may_skip: Pictures that no other one refers to may be left out, unless they are wanted.
        deblock: Wanted pictures are to be decoded in full quality.
    """

    is_key: bool
    may_skip: bool
    deblock: bool
    is_taken: bool = False
    is_complete: bool = False
    packets: deque[tuple[Packet, Want | None]] = field(default_factory=deque)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """The next packet of *run*; a *want* if its picture is wanted; no packet when the run is complete."""

    run: Run
    packet: Packet | None = None
    want: Want | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The span shows the picture of the span before it."""

    span: int


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """The span shows the first picture of the video."""

    span: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The packet of *want* can no longer be read."""

    want: Want


Order = Feed | Again | First | Lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """The tile of a span, and the PTS of the picture on it."""

    pts: int
    tile: Pixels


class Decoders(Protocol):
    """Gives one worker its decoders."""

    def get(self, *, deblock: bool) -> VideoCodecContext: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """No picture came out for a want."""

    want: Want


class Workers:
    """
    Threads that turn runs into shots. Use as a context manager: leaving it stops them.

    Args:
        decoders: One for each worker.
        tiler: Makes the tiler of one worker.
    """

    def __init__(self, decoders: list[Decoders], tiler: Callable[[], Tiler]) -> None:
        self._changed = threading.Condition()
        self._runs: deque[Run] = deque()
        self._open_runs = 0
        self._packets_bytes = 0
        self._tiles_bytes = 0
        self._starving = 0
        self._next = 0
        self._done: dict[int, Shot | Missing] = {}
        self._again: set[int] = set()
        self._error: BaseException | None = None
        self._is_stopped = False
        self._most_runs = 3 * len(decoders)
        self._tiler = tiler
        self._threads = [
            threading.Thread(target=self._work, args=(each,), name="vodsprite-decoder", daemon=True)
            for each in decoders
        ]

    def __enter__(self) -> Workers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def shots(
        self,
        orders: Iterator[Order],
        count: int,
        *,
        first: Callable[[], Shot],
        rescue: Callable[[Want], Shot | None],
        check: Callable[[], None],
    ) -> Iterator[Shot]:
        """
        Yield the shots of spans 0 to *count*, carrying out *orders* meanwhile.

        Args:
            first: Makes the shot of the first picture.
            rescue: Looks for a picture that didn't come out; what it doesn't find is shown by the last shot.
            check: Called again and again; may raise.
        """
        last: Shot | None = None
        while self._next < count:
            check()
            result = self._result(last)
            if result is None:
                order = next(orders, None) if self._has_room() else None
                if order is None:
                    self._wait()
                else:
                    self._carry_out(order, first)
                continue
            if isinstance(result, Missing):
                shot = rescue(result.want) or last or first()
            else:
                shot = result
            self._advance(shot)
            last = shot
            yield shot

    def _result(self, last: Shot | None) -> Shot | Missing | None:
        with self._changed:
            if self._error is not None:
                raise self._error
            if self._next in self._again and last is not None:
                return last
            return self._done.get(self._next)

    def _advance(self, shot: Shot) -> None:
        with self._changed:
            result = self._done.pop(self._next, None)
            if isinstance(result, Shot):
                self._tiles_bytes -= result.tile.nbytes
            elif isinstance(result, Missing):
                for span in result.want.spans:
                    if span > self._next:
                        self._done[span] = shot
                        self._tiles_bytes += shot.tile.nbytes
            self._next += 1
            self._changed.notify_all()

    def _has_room(self) -> bool:
        with self._changed:
            if self._starving:
                return True
            return self._packets_bytes < _PACKETS_WAITING_BYTES and self._open_runs < self._most_runs

    def _carry_out(self, order: Order, first: Callable[[], Shot]) -> None:
        if isinstance(order, First):
            shot = first()
            with self._changed:
                self._done[order.span] = shot
                self._tiles_bytes += shot.tile.nbytes
        elif isinstance(order, Again):
            with self._changed:
                self._again.add(order.span)
        elif isinstance(order, Lost):
            with self._changed:
                self._done[order.want.spans[0]] = Missing(want=order.want)
        else:
            self._feed(order)

    def _feed(self, feed: Feed) -> None:
        run = feed.run
        with self._changed:
            if feed.packet is None:
                run.is_complete = True
                self._changed.notify_all()
                return
            if not run.packets and not run.is_taken and run not in self._runs:
                self._runs.append(run)
                self._open_runs += 1
            run.packets.append((feed.packet, feed.want))
            self._packets_bytes += feed.packet.size
            self._changed.notify_all()

    def _wait(self) -> None:
        with self._changed:
            if self._error is None and self._next not in self._done:
                # The timeout lets `check` have its turn.
                self._changed.wait(0.1)

    def _work(self, decoders: Decoders) -> None:
        try:
            tiler = self._tiler()
            while (run := self._take_run()) is not None:
                self._decode(run, decoders.get(deblock=run.deblock), tiler)
                with self._changed:
                    self._open_runs -= 1
                    self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _take_run(self) -> Run | None:
        with self._changed:
            while not self._runs and not self._is_stopped:
                self._changed.wait()
            if self._is_stopped:
                return None
            run = self._runs.popleft()
            run.is_taken = True
            return run

    def _take_packet(self, run: Run) -> tuple[Packet, Want | None] | None:
        with self._changed:
            while not run.packets and not run.is_complete and not self._is_stopped:
                self._starving += 1
                self._changed.notify_all()
                self._changed.wait()
                self._starving -= 1
            if self._is_stopped or not run.packets:
                return None
            packet, want = run.packets.popleft()
            self._packets_bytes -= packet.size
            self._changed.notify_all()
            return packet, want

    def _decode(self, run: Run, context: VideoCodecContext, tiler: Tiler) -> None:
        wanted = _Wanted(accepts_earlier=not run.may_skip, only_keys=run.is_key)
        skipping = False
        while (taken := self._take_packet(run)) is not None:
            packet, want = taken
            if want is not None:
                wanted.add(want)
            if run.may_skip and skipping != (want is None):
                skipping = want is None
                context.skip_frame = "NONREF" if skipping else "DEFAULT"
            self._offer(wanted, try_decode(context, packet), tiler)
        context.skip_frame = "DEFAULT"
        if not self._is_stopped:
            self._offer(wanted, try_decode(context, None), tiler)
        context.flush_buffers()
        for want, frame in wanted.finish():
            self._deliver(want, frame, tiler)

    def _offer(self, wanted: _Wanted, frames: list[av.VideoFrame], tiler: Tiler) -> None:
        for frame in frames:
            for want, found in wanted.offer(frame):
                self._deliver(want, found, tiler)

    def _deliver(self, want: Want, frame: av.VideoFrame | None, tiler: Tiler) -> None:
        if frame is None or frame.pts is None:
            with self._changed:
                self._done[want.spans[0]] = Missing(want=want)
                self._changed.notify_all()
            return
        shot = Shot(pts=frame.pts, tile=tiler.tile(frame))
        with self._changed:
            # The one that all wait for never waits itself.
            while (
                self._tiles_bytes > _TILES_WAITING_BYTES
                and want.spans[0] > self._next
                and not self._is_stopped
            ):
                self._changed.wait()
            for span in want.spans:
                self._done[span] = shot
                self._tiles_bytes += shot.tile.nbytes
            self._changed.notify_all()


class _Wanted:
    """
    Finds the wanted pictures among those that come out, in the order of their PTS.

    Args:
        accepts_earlier: Where no picture has the wanted PTS, the one before it is on screen. That can't be
            said if pictures were skipped.
        only_keys: A picture that refers to others wasn't decoded right: its packet was no keyframe.
    """

    def __init__(self, *, accepts_earlier: bool, only_keys: bool) -> None:
        self._accepts_earlier = accepts_earlier
        self._only_keys = only_keys
        self._wants: list[Want] = []  # by PTS; packets come in another order
        self._before: av.VideoFrame | None = None

    def add(self, want: Want) -> None:
        insort(self._wants, want, key=lambda each: each.pts)

    def offer(self, frame: av.VideoFrame) -> Iterator[tuple[Want, av.VideoFrame | None]]:
        """Yield the wants that *frame* decides, each with its picture, or None if there was none."""
        if frame.pts is None or (self._only_keys and frame.pict_type in _REFERRING):
            return
        while self._wants and self._wants[0].pts < frame.pts:
            yield self._wants.pop(0), self._earlier()
        if self._wants and self._wants[0].pts == frame.pts:
            yield self._wants.pop(0), frame
        self._before = frame

    def finish(self) -> Iterator[tuple[Want, av.VideoFrame | None]]:
        """Yield what is left, once no more pictures come."""
        while self._wants:
            yield self._wants.pop(0), self._earlier()

    def _earlier(self) -> av.VideoFrame | None:
        return self._before if self._accepts_earlier else None
