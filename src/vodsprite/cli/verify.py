"""
`vodsprite verify`: what the tiles of a finished sprite set show, whoever made it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vodsprite.cli.render import AccuracyChoice
from vodsprite.errors import InvalidInput, VideoError

if TYPE_CHECKING:
    from vodsprite.sprite.verify import JudgedTile, Verdict

WRONG, USAGE, NO_VIDEO = 1, 2, 3

_SHOWN_MOST = 20


@click.command()
@click.argument("video", type=click.Path(path_type=Path), help="The video.")
@click.argument(
    "sprites",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of the sheets and the WebVTT file, or that file.",
)
@click.option(
    "--accuracy",
    type=click.Choice([each.value for each in AccuracyChoice]),
    default="cue",
    show_default=True,
    help="What is right: a frame of the tile's cue, the one at its start, or the keyframe before it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object that tells every tile.")
def verify(
    video: Path,
    sprites: Path,
    accuracy: str,
    as_json: bool,
) -> None:
    """
    Check sprite sheets against their video, by decoding all of it and finding each tile's frame by picture.

    Sheets of any tool can be checked: images and a WebVTT file whose cues name them, with #xywh=.

    Exit codes: 0 all is right, 1 something is wrong, 2 wrong usage, 3 the input is no usable video.
    """
    from vodsprite.sprite.spec import Accuracy
    from vodsprite.sprite.verify import verify as judge

    try:
        with _progress(shown=sys.stderr.isatty()) as progress:
            verdict = judge(video, sprites, accuracy=Accuracy(accuracy), progress=progress)
    except VideoError as error:
        click.echo(f"vodsprite verify: {video}: {error}", err=True)
        raise click.exceptions.Exit(NO_VIDEO) from error
    except (InvalidInput, OSError) as error:
        click.echo(f"vodsprite verify: {error}", err=True)
        raise click.exceptions.Exit(USAGE) from error
    if as_json:
        click.echo(json.dumps(_told(verdict), ensure_ascii=False))
    else:
        _show(verdict)
    if not verdict.passed:
        raise click.exceptions.Exit(WRONG)


@contextmanager
def _progress(*, shown: bool) -> Iterator[Callable[[float], None]]:
    if not shown:
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("reading the video") as status:
        last = -1

        def progress(at_s: float) -> None:
            nonlocal last
            if int(at_s) != last:
                last = int(at_s)
                status.update(f"reading the video: {last} s")

        yield progress


def _show(verdict: Verdict) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    sums = Table("tiles", "right", "in their cue", "exact", "keyframe", "recognised", "ambiguous")
    tiles = verdict.tiles
    sums.add_row(*(str(each) for each in _counts(verdict).values()))
    console.print(sums)
    if verdict.largest_error_s is not None and verdict.mean_error_s is not None:
        console.print(
            f"error against the frame at the cue's start: largest {verdict.largest_error_s:.3f} s, "
            f"mean {verdict.mean_error_s:.3f} s"
        )
    from vodsprite.sprite.verify import is_right

    wrong = [tile for tile in tiles if not is_right(tile, verdict.accuracy)]
    if wrong:
        table = Table("tile", "cue", "shows", "error", "sheet")
        for tile in wrong[:_SHOWN_MOST]:
            table.add_row(*_row(tile))
        console.print(table)
        if len(wrong) > _SHOWN_MOST:
            console.print(f"and {len(wrong) - _SHOWN_MOST} more")
    for problem in verdict.problems:
        where = "" if problem.cue is None else f"cue {problem.cue}: "
        console.print(f"{problem.kind.value}: {where}{problem.message}", markup=False)
    word = "right" if verdict.passed else "wrong"
    console.print(
        f"{verdict.vtt}: {word} ({verdict.accuracy.value}), against {verdict.frames} frames", markup=False
    )


def _row(tile: JudgedTile) -> tuple[str, ...]:
    shows = "-" if tile.pts_s is None else f"{tile.pts_s:.3f}"
    error = "-" if tile.error_s is None else f"{tile.error_s:+.3f}"
    box = tile.rectangle
    place = tile.sheet if box is None else f"{tile.sheet} {box.x},{box.y}"
    return (str(tile.index), f"{tile.start_s:.3f} - {tile.end_s:.3f}", shows, error, place)


def _counts(verdict: Verdict) -> dict[str, int]:
    tiles = verdict.tiles
    return {
        "tiles": len(tiles),
        "right": verdict.right,
        "in_cue": sum(tile.in_cue for tile in tiles),
        "exact": sum(tile.exact for tile in tiles),
        "keyframe": sum(tile.keyframe for tile in tiles),
        "recognised": sum(tile.pts_s is not None for tile in tiles),
        "ambiguous": sum(tile.equal_frames > 1 for tile in tiles),
    }


def _told(verdict: Verdict) -> dict[str, Any]:
    return {
        "passed": verdict.passed,
        "accuracy": verdict.accuracy.value,
        "vtt": verdict.vtt,
        "duration_s": verdict.duration_s,
        "frames": verdict.frames,
        "counts": _counts(verdict),
        "largest_error_s": verdict.largest_error_s,
        "mean_error_s": verdict.mean_error_s,
        "problems": [
            {"kind": each.kind.value, "cue": each.cue, "message": each.message} for each in verdict.problems
        ],
        "tiles": [_told_tile(tile) for tile in verdict.tiles],
    }


def _told_tile(tile: JudgedTile) -> dict[str, Any]:
    box = tile.rectangle
    return {
        "index": tile.index,
        "start_s": tile.start_s,
        "end_s": tile.end_s,
        "sheet": tile.sheet,
        "xywh": None if box is None else [box.x, box.y, box.width_px, box.height_px],
        "pts_s": tile.pts_s,
        "equal_frames": tile.equal_frames,
        "distance": round(tile.distance, 3),
        "in_cue": tile.in_cue,
        "exact": tile.exact,
        "keyframe": tile.keyframe,
        "error_s": tile.error_s,
    }
