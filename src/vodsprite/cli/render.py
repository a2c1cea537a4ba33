"""
`vodsprite render`: a video in, sheets and a WebVTT file out, all of them or none.

New files are made in a folder of their own beside the old ones and take their places in the end, so whatever
ends a run early leaves what was there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import click

from vodsprite.errors import AddressRefused, FailureKind, InvalidInput, OutputError, VideoError

if TYPE_CHECKING:
    from vodsprite.sprite.render import SpriteSet
    from vodsprite.sprite.spec import SpriteSpec

OTHER, USAGE, NO_VIDEO, NO_OUTPUT, INTERRUPTED, TERMINATED = 1, 2, 3, 4, 130, 143

Progress = Callable[[int, int], None]


class Format(StrEnum):
    """Image formats."""

    JPG = "jpg"
    PNG = "png"
    WEBP = "webp"


class FillChoice(StrEnum):
    """How a picture is fitted into a tile of another shape."""

    BLACK = "black"
    WHITE = "white"
    STRETCH = "stretch"
    GAUSS = "gauss"


class AccuracyChoice(StrEnum):
    """Which frame a tile shows."""

    CUE = "cue"
    EXACT = "exact"
    KEYFRAME = "keyframe"


class Adaptive(StrEnum):
    """Whether width and height swap for a portrait video."""

    OPEN = "open"
    CLOSE = "close"


@click.command()
@click.argument("video", help="The video: a file, or an http, https, s3, gs or az URL.")
@click.option(
    "--output",
    "-o",
    "output",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for the sheets and the WebVTT.",
)
@click.option("--interval", metavar="SECONDS", help="One tile every so many seconds.  [default: 10]")
@click.option("--percent", metavar="P", help="One tile every P percent of the duration.")
@click.option("--width", type=int, help="Of a tile, in px; 0 follows the source.  [default: 142]")
@click.option("--height", type=int, help="Of a tile, in px; 0 follows the source.  [default: 80]")
@click.option("--rows", type=int, default=10, show_default=True, help="Of tiles on a sheet.")
@click.option("--columns", type=int, default=10, show_default=True, help="Of tiles on a sheet.")
@click.option(
    "--format",
    "image_format",
    type=click.Choice([each.value for each in Format]),
    default="jpg",
    show_default=True,
    help="Of the sheets.",
)
@click.option(
    "--fill",
    type=click.Choice([each.value for each in FillChoice]),
    default="black",
    show_default=True,
    help="How a picture is fitted into a tile of another shape.",
)
@click.option("--quality", type=int, help="1 to 100; not for png.  [default: 80]")
@click.option(
    "--accuracy",
    type=click.Choice([each.value for each in AccuracyChoice]),
    default="cue",
    show_default=True,
    help="Show a frame of the tile's cue, the one at its instant, or the keyframe before it.",
)
@click.option(
    "--adaptive",
    type=click.Choice([each.value for each in Adaptive]),
    default="open",
    show_default=True,
    help="open: a portrait video swaps width and height.",
)
@click.option(
    "--definition-name",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="The number in the file names.",
)
@click.option(
    "--allow",
    metavar="ADDRESSES",
    default="",
    envvar="VODSPRITE_OUTBOUND_ALLOW",
    show_envvar=True,
    help="What an http URL may reach although it is not public: CIDRs, loopback, private.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object that tells every tile.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def render(
    video: str,
    output: Path,
    interval: str | None,
    percent: str | None,
    width: int | None,
    height: int | None,
    rows: int,
    columns: int,
    image_format: str,
    fill: str,
    quality: int | None,
    accuracy: str,
    adaptive: str,
    definition_name: int,
    allow: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """
    Render a video into sprite sheets and a WebVTT file.

    Exit codes: 0 done, 2 wrong usage, 3 the input is no usable video, 4 the output cannot be written, 130
    interrupted, 1 anything else.
    """
    from vodsprite.sprite.spec import Accuracy, Fill, Grid, SpriteSpec

    begun = time.perf_counter()
    name = _name(video)
    try:
        spec = SpriteSpec(
            sampling=_sampling(interval, percent),
            grid=Grid(rows=rows, columns=columns),
            tile=_tile(width, height, adaptive=adaptive == Adaptive.OPEN),
            fill=Fill(fill),
            format=image_format,
            quality=quality,
            accuracy=Accuracy(accuracy),
        )
    except InvalidInput as error:
        _fail(USAGE, str(error))
    try:
        with _terminable(), _progress(shown=not quiet and sys.stderr.isatty()) as progress:
            made = _render(partial(_source, video, allow), output, spec, definition_name, progress)
    except InvalidInput as error:
        _fail(USAGE, str(error))
    except AddressRefused as error:
        _fail(NO_VIDEO, f"{name}: {error}")
    except VideoError as error:
        _fail(USAGE if error.kind is FailureKind.CONFIGURATION else NO_VIDEO, f"{name}: {error}")
    except OutputError as error:
        _fail(NO_OUTPUT, str(error))
    except MemoryError:
        _fail(OTHER, f"{name}: there is not enough memory to render it")
    except KeyboardInterrupt:
        _fail(INTERRUPTED, f"{name}: interrupted; nothing was changed")
    except Exception as error:  # noqa: BLE001  the program's edge: a fault of ours is one line too
        _fail(OTHER, f"{name}: {type(error).__name__}: {error}")
    for warning in made.warnings:
        click.echo(f"vodsprite: {name}: {warning}", err=True)
    if as_json:
        click.echo(json.dumps(_told(made, time.perf_counter() - begun), ensure_ascii=False))
    elif not quiet:
        sheets = "1 sheet" if len(made.sheets) == 1 else f"{len(made.sheets)} sheets"
        click.echo(f"{made.total_count} tiles on {sheets}: {output / made.vtt}")


def _name(video: str) -> str:
    """Return what messages call the video; what a URL carries behind its path may be secret."""
    if "://" not in video:
        return video
    from vodsprite.outbound.ranges import is_url, shown

    return shown(video) if is_url(video) else video


@contextmanager
def _source(video: str, allow: str) -> Iterator[Path | BinaryIO]:
    if "://" in video:
        from vodsprite.outbound.addresses import AddressRules
        from vodsprite.outbound.ranges import is_url, open_url

        if is_url(video):
            with open_url(video, AddressRules.parse(allow)) as file:
                yield file
            return
    yield Path(video)


def _render(
    video: Callable[[], AbstractContextManager[Path | BinaryIO]],
    output: Path,
    spec: SpriteSpec,
    definition: int,
    progress: Progress,
) -> SpriteSet:
    from vodsprite.sprite.render import render as render_sprites

    with _staging(output) as staging:

        def write(name: str, data: bytes) -> None:
            _write(staging / name, data, shown_as=output / name)

        with video() as source:  # a server that failed half-way ends it here
            made = render_sprites(source, spec, write, definition=definition, progress=progress)
        with _undisturbed():
            _take_places(staging, output, [*made.sheets, made.vtt], definition)
    return made


@contextmanager
def _staging(output: Path) -> Iterator[Path]:
    """Make a folder inside *output* that is gone in the end, and *output* with it if that is empty then."""
    created = _missing_parents(output)
    try:
        output.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".vodsprite-", suffix=".partial", dir=output))
    except OSError as error:
        _remove_empty(created)
        raise OutputError(f"{output}: {error.strerror}") from error
    try:
        yield staging
    finally:
        with _undisturbed():
            shutil.rmtree(staging, ignore_errors=True)
            _remove_empty(created)


def _missing_parents(folder: Path) -> list[Path]:
    """Return *folder* and its parents as far as they don't exist, innermost first."""
    return [each for each in (folder, *folder.parents) if not each.exists()]


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # it holds something, or was never made
            return


def _write(path: Path, data: bytes, *, shown_as: Path) -> None:
    try:
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(f"{shown_as}: {error.strerror}") from error


def _take_places(staging: Path, output: Path, names: list[str], definition: int) -> None:
    """Move the new files over the old ones, the WebVTT last, or none; then remove earlier sheets."""
    moved: list[Path] = []
    try:
        for name in names:
            _keep(output / name, staging / f"{name}.earlier")
        for name in names:
            (staging / name).replace(output / name)
            moved.append(output / name)
    except OSError as error:
        for path in moved:
            _put_back(staging / f"{path.name}.earlier", path)
        raise OutputError(f"{error.filename2 or error.filename or output}: {error.strerror}") from error
    earlier = re.compile(rf"imageSprite_{definition}_\d+\.(jpg|png|webp)")
    for path in output.iterdir():
        if earlier.fullmatch(path.name) and path.name not in names and path.is_file():
            path.unlink(missing_ok=True)


def _keep(path: Path, spare: Path) -> None:
    """Give *path*, if it is there, a second name; where a file can have but one, copy it."""
    try:
        spare.hardlink_to(path)
    except FileNotFoundError:
        return
    except OSError:
        shutil.copy2(path, spare)


def _put_back(spare: Path, path: Path) -> None:
    if spare.exists():
        spare.replace(path)
    else:
        path.unlink()


@contextmanager
def _progress(*, shown: bool) -> Iterator[Progress]:
    if not shown:
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    with Bar(
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("tiles", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end the run as cleanly as Ctrl-C does."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put off Ctrl-C and SIGTERM until the end of the block: it is short, and must not end half way."""
    came: list[tuple[int, FrameType | None]] = []
    before = {
        number: signal.signal(number, lambda *each: came.append(each))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(signal.Signals(came[0][0]))


def _sampling(interval: str | None, percent: str | None) -> Any:
    from vodsprite.sprite.spec import EveryInterval, EveryPercent

    if interval is not None and percent is not None:
        raise InvalidInput("--percent", "and --interval exclude each other")
    if percent is not None:
        return EveryPercent(percent=_number("--percent", percent))
    return EveryInterval(seconds=_number("--interval", interval or "10"))


def _number(option: str, text: str) -> Fraction:
    try:
        # A fraction of a text such as 1e999999999 would be written out digit by digit.
        if re.fullmatch(r"\d{1,9}(\.\d{0,12})?|\.\d{1,12}|\d{1,9}/\d{1,9}", text) is None:
            raise ValueError(text)
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise InvalidInput(
            option, f"is {text[:20]!r}; it is a number such as 10, 0.5 or 1001/30000"
        ) from None


def _tile(width: int | None, height: int | None, *, adaptive: bool) -> Any:
    from vodsprite.sprite.spec import TileSize

    if width is None and height is None:
        return TileSize(width_px=142, height_px=80, adaptive=adaptive)
    # Who names one side wants the picture's shape kept.
    return TileSize(width_px=width or 0, height_px=height or 0, adaptive=adaptive)


def _told(made: SpriteSet, elapsed_s: float) -> dict[str, Any]:
    return {
        "total_count": made.total_count,
        "tile": {"width": made.tile.width_px, "height": made.tile.height_px},
        "grid": {"rows": made.grid.rows, "columns": made.grid.columns},
        "sheets": list(made.sheets),
        "vtt": made.vtt,
        "duration_s": made.duration_s,
        "tiles": [
            {
                "index": tile.index,
                "instant_s": float(tile.instant),
                "pts_s": tile.pts_s,
                "sheet": tile.sheet,
                "x": tile.x,
                "y": tile.y,
            }
            for tile in made.tiles
        ],
        "elapsed_s": round(elapsed_s, 6),
    }


def _fail(code: int, reason: str) -> NoReturn:
    click.echo(f"vodsprite render: {reason}", err=True)
    raise click.exceptions.Exit(code)
