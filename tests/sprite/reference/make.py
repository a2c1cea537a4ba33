"""
Makes `reference.json`: what another program shows of the files of the corpus.

    python tests/sprite/reference/make.py [FILE ...]

That program is the `ffmpeg` of the system, which must be another build than the one inside PyAV (Debian 12
has 5.1). It decodes each file from start to end, seeking nothing and leaving nothing out. Of the pictures
that are on screen at seven instants, and of the keyframes that may stand for them, the file keeps the PTS and
the head of an MD5 of the decoded samples, so that the test that compares needs no ffmpeg.

A keyframe is a picture whose packet is flagged as one; where a flagged packet has no PTS there is a reference
for `exact` only. With names of files (`odd/single-frame.webm`) only those are made anew.
"""

from __future__ import annotations

import json
import subprocess
import sys
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from vodsprite.testing.corpus import CorpusFile, corpus_files

OUTPUT = Path(__file__).with_name("reference.json")
_TILES = 7
_LONGEST_S = 120
_MOST_PICTURES = 4000


class LeftOutError(Exception):
    """There is no reference for this file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A decoded picture: its PTS in ticks, and the MD5 of its samples, plane after plane."""

    pts: int
    digest: str


def main() -> None:
    """Write the references of all files that have one."""
    made: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    names = set(sys.argv[1:])
    if names:
        before = json.loads(OUTPUT.read_text(encoding="utf-8"))
        made, left_out = before["files"], before["left_out"]
    files = [each for folder in ("valid", "odd", "malformed") for each in corpus_files(folder)]
    for file in files:
        if file.expected != "ok" or (names and file.name not in names):
            continue
        made.pop(file.name, None)
        left_out.pop(file.name, None)
        try:
            if file.traits >= {"long", "many-frames"}:
                raise LeftOutError("takes long to decode from start to end")
            made[file.name] = _reference(file)
        except (LeftOutError, subprocess.TimeoutExpired) as reason:
            left_out[file.name] = str(reason) if isinstance(reason, LeftOutError) else "takes too long"
            print(f"{file.name}: {left_out[file.name]}", file=sys.stderr)
    version = _told("ffmpeg", "-version").splitlines()[0].split(" ")[2]
    lines = [f"{json.dumps(name)}: {json.dumps(made[name], separators=(',', ':'))}" for name in sorted(made)]
    OUTPUT.write_text(
        f'{{"ffmpeg": {json.dumps(version)},\n"left_out": {json.dumps(left_out, indent=1, sort_keys=True)},\n'
        + '"files": {\n'
        + ",\n".join(lines)
        + "\n}}\n",
        encoding="utf-8",
    )
    print(f"{len(made)} files, {len(left_out)} left out")


def _reference(file: CorpusFile) -> dict[str, Any]:
    stream, base = _stream(file.path)
    pictures, output_base = _pictures(file.path, stream)
    if not pictures:
        raise LeftOutError("this ffmpeg decodes no picture of it")
    if output_base != base:
        raise LeftOutError(f"ffmpeg gives out times in {output_base}, not {base} s")
    keys = _keys(file.path, stream)
    times = [each.pts for each in pictures]
    if any(after <= before for before, after in pairwise(times)):
        raise LeftOutError("ffmpeg's times don't rise")
    origin = times[0]
    # The last instant lies before the last picture: how long that one is shown is the container's word alone.
    count = _TILES if len(times) > 1 else 1
    interval = (times[-1] - origin) * base * 2 / (2 * _TILES - 1) or Fraction(1, 25)
    key_times = [at for at in times if keys is not None and at in keys]
    wanted: dict[str, list[int]] = {"exact": []}
    if keys is not None:
        wanted |= {"cue": [], "keyframe": []}
    for index in range(count):
        first, end = origin + index * interval / base, origin + (index + 1) * interval / base
        exact = times[bisect_right(times, first) - 1]
        after, before = bisect_left(key_times, first), bisect_right(key_times, first)
        wanted["exact"].append(exact)
        if keys is None:
            continue
        wanted["cue"].append(key_times[after] if after < len(key_times) and key_times[after] < end else exact)
        wanted["keyframe"].append(key_times[before - 1] if before else exact)
    digests = {each.pts: each.digest for each in pictures}
    used = sorted({pts for each in wanted.values() for pts in each})
    return {
        "interval": str(interval),
        "time_base": str(base),
        **{name: [pts - origin for pts in each] for name, each in wanted.items()},
        "md5": {str(pts - origin): digests[pts] for pts in used},
    }


def _stream(path: Path) -> tuple[int, Fraction]:
    """Return the index and the time base of the first stream of moving pictures."""
    entries = "stream=index,time_base:stream_disposition=attached_pic,timed_thumbnails"
    streams = json.loads(_probed(path, "-select_streams", "v", "-show_entries", entries))["streams"]
    for each in streams:
        if not any(each["disposition"].values()):
            return int(each["index"]), Fraction(each["time_base"])
    raise LeftOutError("ffprobe sees no video stream")


def _pictures(path: Path, stream: int) -> tuple[list[Picture], Fraction]:
    """Decode everything; return the pictures and their time base."""
    text = _told(
        *("ffmpeg", "-nostdin", "-v", "quiet", "-noautorotate", "-copyts"),
        *(*_decoder_with_alpha(path, stream), "-i", f"file:{path}"),
        *("-map", f"0:{stream}", "-autoscale", "0", "-vsync", "passthrough", "-enc_time_base", "-1"),
        *("-f", "framehash", "-hash", "md5", "-"),
    )
    base = Fraction(0)
    pictures: list[Picture] = []
    for line in text.splitlines():
        if line.startswith("#tb 0: "):
            base = Fraction(line.removeprefix("#tb 0: "))
        elif not line.startswith("#"):
            fields = [field.strip() for field in line.split(",")]
            pictures.append(Picture(pts=int(fields[2]), digest=fields[5][:16]))
    if len(pictures) > _MOST_PICTURES:
        raise LeftOutError(f"has more than {_MOST_PICTURES} pictures")
    return pictures, base


def _decoder_with_alpha(path: Path, stream: int) -> list[str]:
    """Return the option that lets ffmpeg give out the transparency of VP8 and VP9, if the stream has some."""
    entries = "stream=codec_name:stream_tags=alpha_mode"
    (told,) = json.loads(_probed(path, "-select_streams", str(stream), "-show_entries", entries))["streams"]
    decoder = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(told.get("codec_name", ""))
    tags = {name.lower(): value for name, value in told.get("tags", {}).items()}
    return ["-c:v", decoder] if decoder and tags.get("alpha_mode") == "1" else []


def _keys(path: Path, stream: int) -> set[int] | None:
    """Return the PTS of the packets that are flagged as keyframes; None if one of them has none."""
    packets = json.loads(_probed(path, "-select_streams", str(stream), "-show_entries", "packet=pts,flags"))
    keys = [each for each in packets["packets"] if "K" in each["flags"] and "D" not in each["flags"]]
    return {each["pts"] for each in keys} if all("pts" in each for each in keys) else None


def _probed(path: Path, *options: str) -> str:
    return _told("ffprobe", "-v", "quiet", *options, "-of", "json", f"file:{path}")


def _told(*command: str) -> str:
    # Damage makes for exit codes; what was decoded counts nevertheless.
    run = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
    return run.stdout


if __name__ == "__main__":
    main()
