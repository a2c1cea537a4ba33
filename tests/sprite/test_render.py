"""Sheets, names, progress and errors of a render; and the traps that need a file made for them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vodsprite.errors import FailureKind, VideoError
from vodsprite.sprite.formats import FORMATS
from vodsprite.sprite.probe import probe
from vodsprite.sprite.render import Cancelled, SpriteSet, render, tiles
from vodsprite.sprite.spec import PRESET_10, Accuracy, EveryInterval, Fill, Grid, SpriteSpec, TileSize
from vodsprite.testing.painted import Painting, number_on

Paint = Callable[[str, Painting], Path]

TEN_FRAMES = SpriteSpec(
    sampling=EveryInterval(seconds=Fraction(2, 5)),
    grid=Grid(rows=2, columns=2),
    tile=TileSize(width_px=64, height_px=48),
    fill=Fill.STRETCH,
    accuracy=Accuracy.EXACT,
)
EVEN = Painting(rate=Fraction(25), frames=100)


def _rendered(path: Path, spec: SpriteSpec = TEN_FRAMES) -> tuple[SpriteSet, dict[str, bytes]]:
    files: dict[str, bytes] = {}
    return render(path, spec, files.__setitem__), files


def _spec(spec: SpriteSpec = TEN_FRAMES, **changes: object) -> SpriteSpec:
    values = {name: getattr(spec, name) for name in SpriteSpec.__slots__}
    return SpriteSpec(**{**values, **changes})


def test_sheets_hold_the_tiles_where_the_result_says(painted: Paint) -> None:
    """Tiles lie row by row over as many sheets as needed; unused places of the last sheet are black."""
    sprites, files = _rendered(painted(".mp4", EVEN), _spec(format="png"))
    assert sprites.sheets == tuple(f"imageSprite_10_{n}.png" for n in range(3))
    assert list(files) == [*sprites.sheets, "imageSprite_10.vtt"]
    assert (sprites.total_count, sprites.duration_s) == (10, 4.0)
    for tile in sprites.tiles:
        sheet = np.array(Image.open(BytesIO(files[tile.sheet])))
        assert sheet.shape == (96, 128, 3)
        assert number_on(sheet[tile.y : tile.y + 48, tile.x : tile.x + 64]) == tile.index * 10
        assert tile.instant == Fraction(2, 5) * tile.index
        assert tile.pts_s == pytest.approx(0.4 * tile.index)
    assert not sheet[48:].any()


@pytest.mark.parametrize("image_format", FORMATS.values(), ids=lambda each: each.name)
def test_a_format_gives_readable_files_and_the_same_bytes_again(painted: Paint, image_format: object) -> None:
    """Every format of the table is written as what it says, and the same input gives the same bytes."""
    assert image_format in FORMATS.values()
    name = next(each.name for each in FORMATS.values() if each == image_format)
    path = painted(".mp4", EVEN)
    sprites, files = _rendered(path, _spec(format=name))
    assert Image.open(BytesIO(files[sprites.sheets[0]])).format == FORMATS[name].encoder
    assert _rendered(path, _spec(format=name))[1] == files


def test_a_lower_quality_makes_smaller_files(painted: Paint) -> None:
    """The quality reaches the encoder."""
    path = painted(".mp4", EVEN)
    sizes = [len(_rendered(path, _spec(quality=quality))[1]["imageSprite_10_0.jpg"]) for quality in (20, 95)]
    assert sizes[0] < sizes[1]


def test_progress_counts_to_the_total(painted: Paint) -> None:
    """Progress is told after every tile."""
    told: list[tuple[int, int]] = []
    render(painted(".mp4", EVEN), TEN_FRAMES, lambda *_: None, progress=lambda *each: told.append(each))
    assert told == [(done, 10) for done in range(1, 11)]


def test_a_cancelled_render_stops_between_tiles(painted: Paint) -> None:
    """Once the caller says so, nothing more is written."""
    files: dict[str, bytes] = {}
    answers = iter([False] * 5)
    with pytest.raises(Cancelled):
        render(painted(".mp4", EVEN), TEN_FRAMES, files.__setitem__, cancelled=lambda: next(answers, True))
    assert "imageSprite_10.vtt" not in files


def test_an_error_of_the_writer_reaches_the_caller(painted: Paint) -> None:
    """What `write` raises is the caller's own, and is passed on as it is."""

    def write(name: str, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        render(painted(".mp4", EVEN), TEN_FRAMES, write)


def test_too_many_tiles_are_refused_before_any_is_written(painted: Paint) -> None:
    """The limit is the caller's to set."""
    with pytest.raises(VideoError, match="at most 9") as refused:
        render(painted(".mp4", EVEN), TEN_FRAMES, lambda *_: pytest.fail("written"), tile_limit=9)
    assert refused.value.kind is FailureKind.CONFIGURATION


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"", FailureKind.MALFORMED), (b"no video at all", FailureKind.MALFORMED)],
    ids=["empty", "text"],
)
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes, kind: FailureKind) -> None:
    """A file that is no video is a clean error, which names no path."""
    path = tmp_path / "secret-name.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError) as refused:
        probe(path)
    assert refused.value.kind is kind
    assert "secret-name" not in str(refused.value)


@pytest.mark.parametrize("name", ["missing.mp4", "."])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    """A missing file and a folder are not accessible; the message says why."""
    with pytest.raises(VideoError, match=r"cannot be read|not a regular file") as refused:
        probe(tmp_path / name)
    assert refused.value.kind is FailureKind.NOT_ACCESSIBLE


def test_a_name_with_a_pattern_or_protocol_in_it_is_taken_literally(painted: Paint, tmp_path: Path) -> None:
    """No name of a file is anything but a name."""
    for name in ("frame_%03d.mp4", "concat:a.mp4|b.mp4", "-i.mp4", "été \udce9.mp4"):
        path = tmp_path / name
        path.write_bytes(painted(".mp4", EVEN).read_bytes())
        assert probe(path).duration_s == 4.0


def test_probe_tells_the_facts(painted: Paint) -> None:
    """Probing tells container, codec, size and the measured duration."""
    path = painted(".mp4", EVEN)
    facts = probe(path)
    assert facts.container == "mov,mp4,m4a,3gp,3g2,mj2"
    assert (facts.width_px, facts.height_px, facts.rotation_deg) == (160, 96, 0)
    assert (facts.duration_s, facts.size_bytes) == (4.0, path.stat().st_size)
    [stream] = facts.video_streams
    assert (stream.codec, stream.codec_tag, stream.fps) == ("h264", "avc1", 25)


def _cut(path: Path, to: Path, share: float) -> Path:
    data = path.read_bytes()
    to.write_bytes(data[: int(len(data) * share)])
    return to


def test_a_truncated_mp4_ends_where_its_pictures_end(painted: Paint, tmp_path: Path) -> None:
    """The header still promises 4 s; what is there is rendered, and the result says that more is missing."""
    whole = painted(
        ".mp4", Painting(rate=Fraction(25), frames=100, container_options={"movflags": "+faststart"})
    )
    sprites, _ = _rendered(_cut(whole, tmp_path / "cut.mp4", 0.6))
    assert 1 < sprites.duration_s < 3.5
    assert sprites.total_count == len(sprites.tiles) < 10
    assert sprites.warnings


def test_an_mp4_whose_header_is_lost_is_a_clean_error(painted: Paint, tmp_path: Path) -> None:
    """Without the header nothing can be read."""
    with pytest.raises(VideoError):
        probe(_cut(painted(".mp4", EVEN), tmp_path / "cut.mp4", 0.6))


def test_a_transport_stream_that_starts_inside_a_gop_starts_at_its_first_picture(
    painted: Paint, tmp_path: Path
) -> None:
    """Packets before the first keyframe give no picture: time counts from the first one that does."""
    data = painted(".ts", EVEN).read_bytes()
    at = len(data) // 8 // 188 * 188
    path = tmp_path / "late.ts"
    path.write_bytes(data[: 3 * 188] + data[at:])
    got = list(tiles(path, TEN_FRAMES))
    first = number_on(got[0][1])
    assert first % 25 == 0
    assert first > 0
    assert [number_on(pixels) for _, pixels in got] == [*range(first, 100, 10)]


def test_a_transport_stream_spliced_of_two_goes_on(painted: Paint, tmp_path: Path) -> None:
    """The second part's clock begins again; the tiles show one part after the other."""
    data = painted(".ts", EVEN).read_bytes()
    path = tmp_path / "twice.ts"
    path.write_bytes(data + data)
    got = [number_on(pixels) for _, pixels in tiles(path, TEN_FRAMES)]
    assert got == [*range(0, 100, 10)] * 2
    assert probe(path).duration_s == pytest.approx(8.0)


class _Hesitant(BytesIO):
    """A file object that lets other threads in between moving and reading, and before it answers."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        position = super().seek(offset, whence)
        time.sleep(0.0005)
        return position

    def read(self, size: int | None = -1, /) -> bytes:
        time.sleep(0.0005)
        return super().read(size)


FRAGMENTED = Painting(
    rate=Fraction(25), frames=100, container_options={"movflags": "+frag_keyframe+empty_moov"}
)


@pytest.mark.parametrize("accuracy", list(Accuracy))
@pytest.mark.parametrize(
    ("suffix", "painting"),
    [
        (".mp4", EVEN),
        (".mp4", FRAGMENTED),
        (".mkv", EVEN),
        (".mkv", Painting(rate=Fraction(25), frames=100, codec="mpeg4")),
        (".webm", Painting(rate=Fraction(25), frames=100, codec="libvpx-vp9")),
        (".ts", EVEN),
        (".avi", Painting(rate=Fraction(25), frames=100, codec="mpeg4")),
    ],
    ids=["mp4", "fragmented", "mkv", "mpeg-4", "vp9", "ts", "avi"],
)
def test_a_file_object_gives_what_its_path_gives(
    painted: Paint, suffix: str, painting: Painting, accuracy: Accuracy
) -> None:
    """However many readers and threads a render takes, they don't move each other's place in the file."""
    path = painted(suffix, painting)
    spec = _spec(accuracy=accuracy, format="png")
    source = _Hesitant(path.read_bytes())
    got: dict[str, bytes] = {}
    sprites = render(source, spec, got.__setitem__, cores=2)
    right: dict[str, bytes] = {}
    assert sprites == render(path, spec, right.__setitem__, cores=2)
    assert got == right
    assert not source.closed


def test_two_renders_of_one_file_object_at_once_are_both_right(painted: Paint) -> None:
    """Readers take turns with the file object even where they know nothing of each other."""
    path = painted(".mkv", EVEN)
    source = _Hesitant(path.read_bytes())
    right = _rendered(path)[1]

    def rendered(_: int) -> dict[str, bytes]:
        files: dict[str, bytes] = {}
        render(source, TEN_FRAMES, files.__setitem__, cores=2)
        return files

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(rendered, range(2))) == [right, right]


def test_a_single_frame_gives_a_single_tile(painted: Paint) -> None:
    """A video of one frame has a tile, and a cue that lasts."""
    sprites, files = _rendered(painted(".mp4", Painting(rate=Fraction(25), frames=1)), PRESET_10)
    assert sprites.total_count == 1
    assert b"00:00:00.000 --> 00:00:00.040" in files["imageSprite_10.vtt"]


def test_the_library_stands_alone() -> None:
    """Importing the renderer loads nothing of the service."""
    code = (
        "import sys, vodsprite.sprite.render\n"
        "ours = {name.split('.')[1] for name in sys.modules if name.startswith('vodsprite.')}\n"
        "print(sorted(ours), 'sqlalchemy' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['errors', 'sprite', 'video'] False"
