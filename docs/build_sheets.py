"""
Renders the sheets of `explanation/pictures.md` and writes that page: `./dev python docs/build_sheets.py`.

With a folder as its argument, it leaves the clips that the page's commands read there.
`tests/docs/test_sheets.py` fails when the page is not what this would write.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from click.testing import CliRunner
from numpy.typing import NDArray

from vodsprite.cli.main import app

PAGE = Path(__file__).parent / "explanation" / "pictures.md"
PICTURES = PAGE.parent / "pictures"
ORIGINAL = Path(__file__).parents[1] / "src/vodsprite/cli/assets/bottle-detection.mp4"

_BY_FIVE = "--interval 900/179 --width 160 --height 90 --rows 2 --columns 4 --accuracy exact"
_BY_FOUR = "--interval 4 --width 160 --height 90 --rows 2 --columns 5"
_PADDED = "--percent 20 --width 160 --height 90 --rows 1 --columns 5 --adaptive close"

# The sheets of the page: the name of the folder and of the picture, and the clip with the options.
SHEETS = {
    "time": f"{ORIGINAL.name} --interval 5 --width 160 --height 90 --rows 2 --columns 5",
    "percent": f"{ORIGINAL.name} --percent 10 --width 160 --height 90 --rows 2 --columns 5",
    "rotated": "phone.mp4 --percent 20 --width 160 --height 90 --rows 1 --columns 5",
    "black": f"phone.mp4 {_PADDED} --fill black",
    "white": f"phone.mp4 {_PADDED} --fill white",
    "gauss": f"phone.mp4 {_PADDED} --fill gauss",
    "stretch": f"phone.mp4 {_PADDED} --fill stretch",
    "anamorphic": "anamorphic.mp4 --percent 20 --width 160 --height 0 --rows 1 --columns 5",
    "sdr": f"{ORIGINAL.name} {_BY_FIVE}",
    "hdr": f"hdr.mp4 {_BY_FIVE}",
    "untagged": f"untagged.mp4 {_BY_FIVE}",
    "cue": f"{ORIGINAL.name} {_BY_FOUR} --accuracy cue",
    "exact": f"{ORIGINAL.name} {_BY_FOUR} --accuracy exact",
    "keyframe": f"{ORIGINAL.name} {_BY_FOUR} --accuracy keyframe",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a command of the page gave."""

    sheet: bytes
    vtt: str
    told: dict[str, Any]  # what `--json` prints


def commands() -> dict[str, str]:
    """Return every command as the page shows it, by the name of its picture."""
    return {name: f"vodsprite render {shown} -o {name}" for name, shown in SHEETS.items()}


def make() -> dict[str, Made]:
    """Run every command of the page, on clips made for it."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        make_clips(Path(folder))
        return {name: _run(name, command) for name, command in commands().items()}


def _run(name: str, command: str) -> Made:
    result = CliRunner().invoke(app, [*shlex.split(command)[1:], "--json"], catch_exceptions=False)
    if result.exit_code != 0:
        raise RuntimeError(f"{command}: {result.stderr}")
    told = json.loads(result.stdout)
    (sheet,) = told["sheets"]
    return Made(
        sheet=Path(name, sheet).read_bytes(),
        vtt=Path(name, told["vtt"]).read_text(encoding="utf-8"),
        told=told,
    )


def make_clips(folder: Path) -> None:
    """Write the clips of the page into *folder*: the original, and others of each thirtieth picture of it."""
    shutil.copy(ORIGINAL, folder)
    with av.open(str(ORIGINAL)) as container:
        pictures = [each for number, each in enumerate(container.decode(video=0)) if number % 30 == 0]
    _write(folder / "phone.mp4", [_sideways(each) for each in pictures], turn_deg=90)
    squeezed = [each.reformat(320, 360) for each in pictures]
    _write(folder / "anamorphic.mp4", squeezed, pixel_aspect=Fraction(2))
    light = [_in_pq(each) for each in pictures[::5]]
    _write(folder / "hdr.mp4", light, rate=_RATE / 5, tags=_PQ_BT2020)
    _write(folder / "untagged.mp4", light, rate=_RATE / 5)


_RATE = Fraction(179, 180)  # a thirtieth of the original's

# Matrix, primaries and transfer, as code points of ITU-T H.273.
_Tags = tuple[int, int, int]
_PQ_BT2020: _Tags = (9, 9, 16)
_UNSPECIFIED: _Tags = (2, 2, 2)


def _write(
    path: Path,
    pictures: list[av.VideoFrame],
    *,
    rate: Fraction = _RATE,
    turn_deg: int = 0,
    pixel_aspect: Fraction = Fraction(1),
    tags: _Tags = _UNSPECIFIED,
) -> None:
    """Write a video of *pictures*, to be turned by *turn_deg* clockwise."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = pictures[0].width, pictures[0].height
        stream.pix_fmt = pictures[0].format.name
        context = stream.codec_context
        context.options = {"preset": "ultrafast", "crf": "12", "sc_threshold": "0"}
        context.sample_aspect_ratio = pixel_aspect
        context.colorspace, context.color_primaries, context.color_trc = tags
        if turn_deg:
            stream.set_display_rotation(-turn_deg)
        for number, picture in enumerate(pictures):
            picture.colorspace, picture.color_primaries, picture.color_trc = tags
            picture.pts, picture.time_base = number, 1 / rate
            picture.pict_type = 0
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def _sideways(picture: av.VideoFrame) -> av.VideoFrame:
    """Return the upright middle of *picture*, lying on its left side, as a phone stores it."""
    upright = picture.to_ndarray(format="rgb24")[:, 210:412]
    lying: NDArray[np.uint8] = np.ascontiguousarray(np.rot90(upright)).astype(np.uint8)
    return av.VideoFrame.from_ndarray(lying, "rgb24").reformat(format="yuv420p")


_SCREEN_WHITE_NITS = 203  # of an HDR picture (ITU-R BT.2408)
_FROM_709_TO_2020 = np.array(  # ITU-R BT.2087
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]], np.float32
)


def _in_pq(picture: av.VideoFrame) -> av.VideoFrame:
    """Return *picture* as HDR: its light, white at 203 cd/m², in BT.2020 and PQ (ITU-R BT.2100), 10 bits."""
    srgb = np.arange(256) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    light = linear.astype(np.float32)[picture.to_ndarray(format="rgb24")] @ _FROM_709_TO_2020.T
    codes = np.round(_pq(_SCREEN_WHITE_NITS * light) * 65_535).astype(np.uint16)
    return av.VideoFrame.from_ndarray(codes, "rgb48le").reformat(
        format="yuv420p10le", dst_colorspace="bt2020", dst_color_range="MPEG"
    )


def _pq(nits: NDArray[Any]) -> NDArray[Any]:
    power = (nits / 10_000) ** (2610 / 16_384)
    fraction = (3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)
    return np.asarray(fraction ** (2523 / 32))


def page(made: dict[str, Made]) -> str:
    """Return the text of the page."""
    return "\n".join(_page(made)) + "\n"


def _page(made: dict[str, Made]) -> Iterator[str]:
    yield "# What the sheets look like\n"
    yield (
        "Every picture here is the `imageSprite_10_0.jpg` that the command above it wrote. The video is the "
        "demo's, by the Intel IoT Developer Kit, CC BY 4.0 (see [NOTICE](../../NOTICE)); the other clips are "
        "made of it: one picture a second, in HDR one every five. `./dev python docs/build_sheets.py` "
        "renders all of them again and writes this page; with a folder behind it, it leaves the clips "
        "there.\n"
    )
    yield "## When: by time, by percent\n"
    yield (
        f"The video lasts {made['time'].told['duration_s']:.2f} s. One tile every 5 s makes "
        f"{made['time'].told['total_count']}; what they don't fill of the sheet stays black "
        "(white with `--fill white`).\n"
    )
    yield from _sheet("time", "Eight tiles in a grid of five by two, the last two places black")
    yield "One tile every 10 percent makes ten, whatever the length.\n"
    yield from _sheet("percent", "Ten tiles in a grid of five by two")
    yield "The WebVTT file beside the first sheet, `time/imageSprite_10.vtt`:\n"
    yield f"```text\n{made['time'].vtt.strip()}\n```\n"
    yield "## Portrait: turning and filling\n"
    yield (
        "A phone stores its portrait pictures lying on their side, and says how to turn them. Tiles are "
        "upright, and by default width and height swap for a portrait video.\n"
    )
    yield from _sheet("rotated", "Five upright portrait tiles of a bottle")
    yield (
        "With `--adaptive close` the tile stays as asked, and `--fill` says what becomes of the room: black, "
        "white, the picture blurred, or none because the picture is stretched.\n"
    )
    for fill in ("black", "white", "gauss", "stretch"):
        yield from _sheet(fill, f"The portrait pictures in landscape tiles, fill {fill}")
    yield "## Pixels that are not square\n"
    yield (
        "This clip stores 320 x 360 pixels, each to be shown twice as wide as high. The tiles have the shape "
        "that a viewer sees: 16 to 9.\n"
    )
    yield from _sheet("anamorphic", "Five tiles of 160 x 90 with bottles of the right shape")
    yield "## HDR\n"
    yield "The original, in standard range, at instants for which the clips below have the same picture:\n"
    yield from _sheet("sdr", "Eight tiles of the original")
    yield (
        "The same pictures as HDR: PQ, BT.2020, 10 bits, white at 203 cd/m². Colours stay; what is bright "
        "comes out a little darker, since the screen's last steps are kept for highlights.\n"
    )
    yield from _sheet("hdr", "The same eight tiles from HDR: the same colours, the whites slightly darker")
    yield "And the same file without its tags, as a program shows it that doesn't know HDR: dark and pale.\n"
    yield from _sheet("untagged", "The same eight tiles, dark and pale")
    yield "## Which frame: the three accuracies\n"
    keyframes = sorted({tile["pts_s"] for tile in made["keyframe"].told["tiles"]})
    yield (
        "The video has a key frame at "
        f"{', '.join(f'{each:.2f}' for each in keyframes[:-1])} and {keyframes[-1]:.2f} s. "
        "`cue` shows the first one inside a tile's four seconds, and the exact frame where there is none:\n"
    )
    yield from _sheet("cue", "Ten tiles, one every four seconds, accuracy cue")
    yield from _sheet("exact", "The same ten tiles, accuracy exact")
    yield from _sheet("keyframe", "The same ten tiles, accuracy keyframe: neighbours show the same frame")
    yield "The PTS of the frame on each tile, in seconds (`pts_s` of `--json`):\n"
    yield "| instant | `cue` | `exact` | `keyframe` |\n| ---: | ---: | ---: | ---: |"
    columns = [made[name].told["tiles"] for name in ("cue", "exact", "keyframe")]
    for tiles in zip(*columns, strict=True):
        shown = " | ".join(f"{tile['pts_s']:.3f}" for tile in tiles)
        yield f"| {tiles[0]['instant_s']:.0f} | {shown} |"


def _sheet(name: str, seen: str) -> Iterator[str]:
    yield f"```sh\n{commands()[name]}\n```\n"
    yield f"![{seen}]({PICTURES.name}/{name}.jpg)\n"


def _main() -> None:
    made = make()
    PICTURES.mkdir(exist_ok=True)
    for name, each in made.items():
        (PICTURES / f"{name}.jpg").write_bytes(each.sheet)
    PAGE.write_text(page(made), encoding="utf-8")
    for clips in map(Path, sys.argv[1:]):
        clips.mkdir(parents=True, exist_ok=True)
        make_clips(clips)


if __name__ == "__main__":
    _main()
