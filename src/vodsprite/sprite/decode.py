"""
From a plan to pictures: which packets must be decoded so that every span gets its own, and no more.

By an index where the container has a whole one: seek to the keyframe, read on to the wanted picture. Else in
one pass over all packets, guided by the table of an earlier pass: no seek can go wrong. Where packets don't
tell their times, everything is decoded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack

import av
from av.video.codeccontext import VideoCodecContext

from vodsprite.sprite import clock
from vodsprite.sprite.opening import Damaged, Opened, Packet, new_decoder, try_decode
from vodsprite.sprite.probe import Video
from vodsprite.sprite.sampling import SamplingPlan
from vodsprite.sprite.spec import Accuracy
from vodsprite.sprite.tile import Tiler
from vodsprite.sprite.timeline import PacketTable, Span, spans
from vodsprite.sprite.workers import Again, Decoders, Feed, First, Lost, Order, Run, Shot, Want, Workers

# Leaving out pictures that nothing refers to was seen to change no other picture in these; it saves a third.
_SKIPPABLE = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4"})
_DEBLOCKED = frozenset({"h264", "hevc"})

_WORKERS_MOST = 8
_LARGE_PICTURE_PX = 4096 * 2304  # several of these in each decoder: no more than two decoders

_RESCUES_MOST = 8


def shots(
    video: Video,
    plan: SamplingPlan,
    accuracy: Accuracy,
    *,
    tiler: Callable[[], Tiler],
    cores: int,
    is_much_smaller: bool,
    check: Callable[[], None],
) -> Iterator[Shot]:
    """
    Yield the shot of every span of *plan*, in order.

    Args:
        tiler: Makes a tiler; each worker has its own.
        cores: How many pictures may be decoded at once.
        is_much_smaller: Tiles are so small that keyframes may be decoded without their deblocking filter.
        check: Called again and again; may raise, which ends everything.
    """
    wanted = spans(plan, video.clock.origin, video.clock.time_base)
    if video.clock.pictures is not None:
        choices = video.clock.pictures.choose(wanted, accuracy)
        yield from _shots_of_all(video.opened, choices, video.clock, tiler(), check)
        return
    rules = _Rules(video, accuracy, deblock_keys=not (is_much_smaller and video.opened.codec in _DEBLOCKED))
    frame = video.first_frame
    if frame.width * frame.height >= _LARGE_PICTURE_PX:
        cores = min(cores, 2)
    with ExitStack() as stack:
        decoders: list[Decoders] = [
            stack.enter_context(_Decoders(video)) for _ in range(max(1, min(cores, _WORKERS_MOST)))
        ]
        rescuer = stack.enter_context(_Rescuer(video, tiler))
        workers = stack.enter_context(Workers(decoders, tiler))
        yield from workers.shots(
            _orders(video, wanted, rules),
            len(wanted),
            first=lambda: Shot(pts=video.clock.origin, tile=tiler().tile(frame)),
            rescue=rescuer.find,
            check=check,
        )


class _Rules:
    """How packets of one video are to be decoded."""

    def __init__(self, video: Video, accuracy: Accuracy, *, deblock_keys: bool) -> None:
        self.accuracy = accuracy
        self._deblock_keys = deblock_keys
        # The two fields of a picture may be packets of their own: none is left out, and one more is needed.
        self._may_skip = video.opened.codec in _SKIPPABLE and not video.is_interlaced
        self.packets_after = 1 if video.is_interlaced else 0

    def key_run(self) -> Run:
        """Return a run of one keyframe."""
        return Run(is_key=True, may_skip=False, deblock=self._deblock_keys)

    def run(self) -> Run:
        """Return a run from a keyframe to a picture after it."""
        return Run(is_key=False, may_skip=self._may_skip, deblock=True)


def _orders(video: Video, wanted: Sequence[Span], rules: _Rules) -> Iterator[Order]:
    begin = 0
    table = video.clock.packets
    if table is None:
        try:
            yield from _IndexReader(video, wanted, rules).orders()
            return
        except _IndexMisleadsError as error:
            begin = error.span
            table = clock.packet_table(video.source)
        opened = Opened(video.source)
    else:
        opened = video.opened
    try:
        yield from _orders_by_table(video, opened, table, wanted[begin:], begin, rules)
    finally:
        if opened is not video.opened:
            opened.close()


def _orders_by_table(
    video: Video, opened: Opened, table: PacketTable, wanted: Sequence[Span], begin: int, rules: _Rules
) -> Iterator[Order]:
    """Read every packet of *opened* once, from its start; *wanted* are the spans from *begin* on."""
    plans: dict[int, list[_RunPlan]] = {}
    latest: _RunPlan | None = None
    last_packet: int | None = None
    for span, each in enumerate(wanted, begin):
        chosen, is_key = table.choose(each, rules.accuracy)
        if chosen == last_packet:
            yield Again(span=span)
            continue
        last_packet = chosen
        pts = int(table.pts[chosen])
        if pts == video.clock.origin and video.first_frame.pts == pts:
            yield First(span=span)
            continue
        start = chosen if is_key else table.start_for(chosen)
        if latest is None or is_key or latest.start != start or latest.is_key:
            latest = _RunPlan(rules.key_run() if is_key else rules.run(), start, is_key=is_key)
            plans.setdefault(start, []).append(latest)
        latest.wants[chosen] = Want(pts=pts, spans=[span])
        latest.end = max(latest.end, chosen + rules.packets_after)
    active: list[_RunPlan] = []
    try:
        for at, packet in enumerate(opened.packets()):
            active += plans.pop(at, [])
            if not active:
                if not plans:
                    return
                continue
            if at < len(table):
                packet.pts = table.time(at)
            for plan in active:
                yield Feed(run=plan.run, packet=packet, want=plan.wants.pop(at, None))
                if at >= plan.end:
                    yield Feed(run=plan.run)
            active = [plan for plan in active if at < plan.end]
    except Damaged:
        pass
    for plan in [*active, *(plan for late in plans.values() for plan in late)]:
        yield Feed(run=plan.run)
        for want in plan.wants.values():
            yield Lost(want=want)


class _RunPlan:
    """A run to come: from packet *start* to packet `end`, with its wants by packet."""

    def __init__(self, run: Run, start: int, *, is_key: bool) -> None:
        self.run = run
        self.start = start
        self.end = start
        self.is_key = is_key
        self.wants: dict[int, Want] = {}


class _IndexMisleadsError(Exception):
    """A packet isn't what the index says; the spans from *span* on need another way."""

    def __init__(self, span: int) -> None:
        super().__init__()
        self.span = span


class _IndexReader:
    """Seeks by the index of an ordinary MP4, all of whose keyframes are shown equally late."""

    def __init__(self, video: Video, wanted: Sequence[Span], rules: _Rules) -> None:
        self._opened = video.opened
        self._index = video.opened.stream.index_entries
        self._origin = video.clock.origin
        self._first_pts = video.first_frame.pts
        self._wanted = wanted
        self._rules = rules
        first = video.first_packet
        self._delay = (first.pts or 0) - (first.dts or 0)

    def orders(self) -> Iterator[Order]:
        """Yield what to do for every span."""
        if self._rules.accuracy is not Accuracy.EXACT:
            self._check_delay()
        span = 0
        last_key: int | None = None
        while span < len(self._wanted):
            key = self._key(span)
            if key is None:
                last_key = None
                span = yield from self._run(span)
            elif key == last_key:
                yield Again(span=span)
                span += 1
            else:
                last_key = key
                yield from self._key_run(span, key)
                span += 1

    def _check_delay(self) -> None:
        """Compare two more keyframes with the first: where delays differ, none can be foretold."""
        for part in (1, 2):
            entry = self._index[(len(self._index) - 1) * part // 2]
            dts = self._index[self._index.search_timestamp(entry.timestamp, backward=True)].timestamp
            packet = next(self._from(dts + self._delay, 0), None)
            if packet is None or packet.dts != dts or packet.pts != dts + self._delay:
                raise _IndexMisleadsError(0)

    def _key(self, span: int) -> int | None:
        """Return the decoding time of the keyframe that stands for *span*; None if it takes none."""
        each = self._wanted[span]
        if self._rules.accuracy is Accuracy.CUE:
            entry = self._index.search_timestamp(each.first - self._delay, backward=False)
            if entry < 0:
                return None
            dts = self._index[entry].timestamp
            return dts if dts + self._delay < each.end else None
        if self._rules.accuracy is Accuracy.KEYFRAME:
            entry = self._index.search_timestamp(each.at - self._delay, backward=True)
            if entry < 0:
                return None
            dts = self._index[entry].timestamp
            return dts if dts + self._delay >= self._origin else None
        return None

    def _key_run(self, span: int, dts: int) -> Iterator[Order]:
        pts = dts + self._delay
        if pts == self._origin and pts == self._first_pts:
            yield First(span=span)
            return
        packet = next(self._from(pts, span), None)
        if packet is None or packet.dts != dts or packet.pts != pts or not packet.is_keyframe:
            raise _IndexMisleadsError(span)
        run = self._rules.key_run()
        yield Feed(run=run, packet=packet, want=Want(pts=pts, spans=[span]))
        yield Feed(run=run)

    def _from(self, pts: int, span: int) -> Iterator[Packet]:
        """Seek to the keyframe at or before *pts* and yield packets from there on."""
        try:
            self._opened.container.seek(pts, stream=self._opened.stream)
            yield from self._opened.packets()
        except (Damaged, av.FFmpegError) as error:
            raise _IndexMisleadsError(span) from error

    def _gop(self, span: int) -> int:
        return self._index.search_timestamp(self._wanted[span].at - self._delay, backward=True)

    def _run(self, span: int) -> Generator[Order, None, int]:
        """Decode for *span*, and for the spans after it in the same GOP; return the next one."""
        run = self._rules.run()
        try:
            return (yield from self._fill(run, span))
        except _IndexMisleadsError:
            yield Feed(run=run)
            raise

    def _fill(self, run: Run, span: int) -> Generator[Order, None, int]:
        gop = self._gop(span)
        held: deque[_Held] = deque()  # read, but not yet known to be wanted or not
        given: int | None = None  # PTS of the picture of the latest span
        packets = self._from(self._wanted[span].at, span)
        is_first = True
        while True:
            packet = next(packets, None)
            if packet is not None and is_first:
                self._check_start(packet, span)
                is_first = False
            # Once packets are decoded later than an instant, none that is shown before it can follow.
            while packet is None or (packet.dts is not None and packet.dts > self._wanted[span].at):
                chosen = _on_screen(held, self._wanted[span].at)
                if chosen is None and given is None:
                    raise _IndexMisleadsError(span)
                if chosen is None or (given is not None and chosen.pts <= given):
                    yield Again(span=span)
                elif chosen.pts == self._origin == self._first_pts:
                    given = chosen.pts
                    yield First(span=span)
                else:
                    given = chosen.pts
                    chosen.want = Want(pts=given, spans=[span])
                span += 1
                if span == len(self._wanted) or self._gop(span) != gop or self._key(span) is not None:
                    yield from self._finish(run, held, packet)
                    return span
            if packet is not None:
                if packet.pts is not None and packet.dts is not None and packet.pts < packet.dts:
                    raise _IndexMisleadsError(span)
                held.append(_Held(packet))
            best = _on_screen(held, self._wanted[span].at)
            while held and held[0].is_settled(given, best):
                done = held.popleft()
                yield Feed(run=run, packet=done.packet, want=done.want)

    def _finish(self, run: Run, held: deque[_Held], next_packet: Packet | None) -> Iterator[Order]:
        """Feed what the wanted pictures still need."""
        last = max((at for at, each in enumerate(held) if each.want is not None), default=-1)
        rest = [*held, _Held(next_packet)] if next_packet is not None else list(held)
        for each in rest[: last + 1 + self._rules.packets_after]:
            yield Feed(run=run, packet=each.packet, want=each.want)
        yield Feed(run=run)

    def _check_start(self, packet: Packet, span: int) -> None:
        at_the_start = packet.dts == self._index[0].timestamp
        if not at_the_start and not (
            packet.is_keyframe and packet.pts is not None and packet.pts <= self._wanted[span].at
        ):
            raise _IndexMisleadsError(span)


class _Held:
    """A packet of which it isn't known yet whether its picture is wanted."""

    def __init__(self, packet: Packet) -> None:
        self.packet = packet
        self.want: Want | None = None
        self.is_shown = packet.pts is not None and not packet.is_discard
        self.pts = packet.pts or 0

    def is_settled(self, given: int | None, best: _Held | None) -> bool:
        """
        Whether no further span can want it.

        Args:
            given: PTS of the picture of the latest span.
            best: What would be on screen for the next span, as far as is known.
        """
        if self.want is not None or not self.is_shown or (given is not None and self.pts <= given):
            return True
        return best is not None and self.pts < best.pts


def _on_screen(held: Iterable[_Held], at: int) -> _Held | None:
    """Return which of *held* is shown last, but not after *at*."""
    return max((each for each in held if each.is_shown and each.pts <= at), key=_pts_of, default=None)


def _pts_of(held: _Held) -> int:
    return held.pts


class _Decoders(ExitStack):
    """The decoders of one worker, made when they are first needed."""

    def __init__(self, video: Video) -> None:
        super().__init__()
        self._video = video
        self._made: dict[bool, VideoCodecContext] = {}

    def get(self, *, deblock: bool) -> VideoCodecContext:
        context = self._made.get(deblock)
        if context is None:
            context = new_decoder(self._video.opened, self._video.first_packet, deblock=deblock)
            if context is None:
                opened = Opened(self._video.source)
                self.callback(opened.close)
                context = opened.context
            self._made[deblock] = context
        return context


class _Rescuer:
    """
    Finds pictures that didn't come out of their run: from an earlier keyframe, without leaving anything out.

    A keyframe may be none (intra refresh, false flags), or damaged. Steps back grow, so that a stream whose
    flags are all wrong is soon read from its start. After some failures it gives up, for damaged files.
    """

    def __init__(self, video: Video, tiler: Callable[[], Tiler]) -> None:
        self._video = video
        self._make_tiler = tiler
        self._tiler: Tiler | None = None
        self._table: PacketTable | None = video.clock.packets
        self._reading: Opened | None = None
        self._packets: Iterator[tuple[int, Packet]] = iter(())
        self._position = 0
        self._failures = 0

    def __enter__(self) -> _Rescuer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.close()

    def find(self, want: Want) -> Shot | None:
        """Return the shot of *want*, or of what is on screen at its time; None if there is nothing."""
        if self._failures >= _RESCUES_MOST:
            return None
        if self._table is None:
            self._table = clock.packet_table(self._video.source)
        packet = self._table.shown_at(want.pts)
        back = 1
        while True:
            start = self._table.start_for(packet, back=back)
            frame = self._decode(start, packet, want.pts)
            if frame is not None and frame.pts is not None:
                if self._tiler is None:
                    self._tiler = self._make_tiler()
                return Shot(pts=frame.pts, tile=self._tiler.tile(frame))
            if start == 0:
                self._failures += 1
                return None
            back *= 4

    def _decode(self, start: int, end: int, pts: int) -> av.VideoFrame | None:
        """Decode packets *start* to *end* and return the last picture until *pts*."""
        assert self._table is not None
        if self._reading is None or self._position > start:
            self._restart()
        assert self._reading is not None
        context = self._reading.context
        best: av.VideoFrame | None = None

        def take(frames: list[av.VideoFrame]) -> None:
            nonlocal best
            for frame in frames:
                if frame.pts is not None and frame.pts <= pts:
                    best = frame

        try:
            for at, packet in self._packets:
                self._position = at + 1
                if at < start:
                    continue
                packet.pts = self._table.time(at) if at < len(self._table) else packet.pts
                take(try_decode(context, packet))
                if at > end:  # one more than needed: the second field of an interlaced picture
                    break
        except Damaged:
            pass
        take(try_decode(context, None))
        context.flush_buffers()
        return best

    def _restart(self) -> None:
        if self._reading is not None:
            self._reading.close()
        self._reading = Opened(self._video.source)
        self._packets = enumerate(self._reading.packets())
        self._position = 0


def _shots_of_all(
    opened: Opened,
    choices: Sequence[int],
    times: clock.Clock,
    tiler: Tiler,
    check: Callable[[], None],
) -> Iterator[Shot]:
    """Decode every picture, and yield those chosen; the last one again, should there be fewer this time."""
    assert times.pictures is not None
    last: Shot | None = None
    span = 0
    for number, frame in enumerate(opened.frames()):
        check()
        if number != choices[span]:
            continue
        last = Shot(pts=times.pictures.time(number), tile=tiler.tile(frame))
        while span < len(choices) and choices[span] == number:
            yield last
            span += 1
        if span == len(choices):
            return
    while last is not None and span < len(choices):
        yield last
        span += 1
