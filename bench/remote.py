"""
What a render over HTTP costs: bytes sent against the bytes of the packets that it needs, and time, beside
libavformat's own reading over HTTP (FFmpeg's `http` protocol through PyAV, seeking to every keyframe).

    python bench/remote.py VIDEO.mp4 [--interval 10] [--delay-ms 0]

Server and client run on this machine; `--delay-ms` makes every answer wait, as a distance would.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av

from vodsprite.outbound.addresses import AddressRules
from vodsprite.outbound.ranges import open_url
from vodsprite.sprite.render import SpriteSet, render
from vodsprite.sprite.spec import Accuracy, EveryInterval, SpriteSpec
from vodsprite.testing.ranged import Conduct, RangedServer

LOOPBACK = AddressRules.parse("loopback")


def needed(path: Path, shown: set[float]) -> tuple[int, int]:
    """Return how many packets hold the pictures with these times (s from the first), and their bytes."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        base = stream.time_base
        assert base is not None
        packets = [(p.pts, p.size) for p in container.demux(stream) if p.pts is not None and p.size]
    first = min(pts for pts, _ in packets)
    sizes = [size for pts, size in packets if round((pts - first) * float(base), 6) in shown]
    return len(sizes), sum(sizes)


def ours(url: str, interval: Fraction) -> SpriteSet:
    """Render by ranges of our own."""
    spec = SpriteSpec(sampling=EveryInterval(seconds=interval), accuracy=Accuracy.KEYFRAME)
    with open_url(url, LOOPBACK) as file:
        return render(file, spec, lambda name, data: None)


def libavformat(url: str, times_s: list[float]) -> None:
    """Decode the same keyframes by libavformat's own reading: the least that it can do for them."""
    with av.open(url) as container:
        stream = container.streams.video[0]
        base = stream.time_base
        assert base is not None
        start = stream.start_time or 0
        for at_s in times_s:
            container.seek(start + round(at_s / base), stream=stream)
            packet = next(container.demux(stream))
            stream.codec_context.decode(packet)
            stream.codec_context.decode(None)
            stream.codec_context.flush_buffers()


def measured(server: RangedServer, work: Callable[[], object]) -> tuple[float, int, int]:
    """Run *work*; return seconds, bytes and requests."""
    sent, requests, begun = server.sent, len(server.requests), time.perf_counter()
    work()
    return time.perf_counter() - begun, server.sent - sent, len(server.requests) - requests


def main() -> None:
    """Measure and print one line for each reader."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--interval", type=Fraction, default=Fraction(10), help="seconds from tile to tile")
    parser.add_argument("--delay-ms", type=float, default=0, help="what every answer waits")
    told = parser.parse_args()
    with RangedServer(told.video.read_bytes(), Conduct(delay_s=told.delay_ms / 1000)) as server:
        made: list[SpriteSet] = []
        lines = {"vodsprite": measured(server, lambda: made.append(ours(server.url(), told.interval)))}
        times = [tile.pts_s for tile in made[0].tiles]
        lines["libavformat"] = measured(server, lambda: libavformat(server.url(), times))
    packets, size = needed(told.video, {round(at, 6) for at in times})
    print(f"{told.video.name}: {made[0].total_count} tiles, {packets} packets of {size} bytes needed")
    for name, (seconds, sent, requests) in lines.items():
        print(f"{name:12} {sent:>12} bytes, {sent / size:.3f} x needed, {requests} requests, {seconds:.3f} s")


if __name__ == "__main__":
    main()
