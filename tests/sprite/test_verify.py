"""Judging sprite sets: right ones pass, and each thing that can be wrong with one is found."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vodsprite.errors import InvalidInput
from vodsprite.sprite.geometry import Rectangle
from vodsprite.sprite.render import render
from vodsprite.sprite.spec import Accuracy, EveryInterval, EveryPercent, Fill, Grid, SpriteSpec, TileSize
from vodsprite.sprite.verify import ProblemKind, Verdict, verify
from vodsprite.sprite.vttfile import WrittenCue, parse
from vodsprite.testing.corpus import corpus_folder
from vodsprite.testing.painted import Painting, paint

Paint = Callable[[str, Painting], Path]

PAINTING = Painting(frames=200, rate=Fraction(25), gop=20)
NTSC = Painting(frames=200)


def make(video: Path, folder: Path, **members: object) -> Path:
    """Render *video* to *folder*, two sheets of PNG unless *members* of the spec say otherwise."""
    told = {
        "sampling": EveryInterval(seconds=Fraction(1)),
        "grid": Grid(rows=2, columns=3),
        "tile": TileSize(width_px=80, height_px=48),
        "format": "png",
        **members,
    }
    folder.mkdir(exist_ok=True)
    render(video, SpriteSpec(**told), lambda name, data: _write(folder / name, data))  # type: ignore[arg-type]
    return folder


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def kinds(verdict: Verdict) -> list[ProblemKind]:
    return [problem.kind for problem in verdict.problems]


def edit_vtt(folder: Path, old: str, new: str) -> None:
    path = folder / "imageSprite_10.vtt"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("accuracy", list(Accuracy))
@pytest.mark.parametrize(
    ("suffix", "painting"),
    [
        (".mp4", NTSC),
        (".mkv", Painting(frames=200, steps=(1, 3, 2))),
        (".ts", Painting(frames=200, start=Fraction(9))),
        (".mp4", Painting(frames=200, width_px=96, height_px=160)),
    ],
)
@pytest.mark.parametrize("image_format", ["png", "jpg"])
def test_a_right_set_passes(
    painted: Paint, tmp_path: Path, suffix: str, painting: Painting, accuracy: Accuracy, image_format: str
) -> None:
    """What the render makes is what its accuracy promises, to a judge that decodes everything."""
    video = painted(suffix, painting)
    make(
        video,
        tmp_path,
        accuracy=accuracy,
        format=image_format,
        sampling=EveryInterval(seconds=Fraction(7, 10)),
    )
    verdict = verify(video, tmp_path, accuracy=accuracy)
    assert (verdict.passed, verdict.problems) == (True, ())
    assert verdict.frames == 200
    assert all(tile.equal_frames == 1 for tile in verdict.tiles)


@pytest.mark.parametrize("fill", list(Fill))
def test_any_fill_is_seen_through(painted: Paint, tmp_path: Path, fill: Fill) -> None:
    """Borders of any kind, and stretching, don't keep a tile's frame from being found."""
    video = painted(".mp4", PAINTING)
    make(
        video,
        tmp_path,
        accuracy=Accuracy.EXACT,
        fill=fill,
        tile=TileSize(width_px=64, height_px=80, adaptive=False),
    )
    assert verify(video, tmp_path, accuracy=Accuracy.EXACT).passed


def test_it_tells_what_each_tile_shows(painted: Paint, tmp_path: Path) -> None:
    """Keyframes every 0.8 s against a tile every second: PTS and errors are those of arithmetic."""
    video = painted(".mp4", PAINTING)
    verdict = verify(video, make(video, tmp_path, accuracy=Accuracy.KEYFRAME))
    assert [tile.pts_s for tile in verdict.tiles] == pytest.approx([0, 0.8, 1.6, 2.4, 4.0, 4.8, 5.6, 6.4])
    assert [tile.in_cue for tile in verdict.tiles] == [True, False, False, False, True, False, False, False]
    assert [tile.exact for tile in verdict.tiles] == [tile.in_cue for tile in verdict.tiles]
    assert all(tile.keyframe for tile in verdict.tiles)
    assert (verdict.passed, verdict.right) == (False, 2)
    assert verdict.largest_error_s == pytest.approx(0.6)
    assert verdict.mean_error_s == pytest.approx((0.2 + 0.4 + 0.6) * 2 / 8)
    assert verdict.tiles[7].rectangle == Rectangle(x=80, y=0, width_px=80, height_px=48)
    assert verdict.tiles[7].sheet == "imageSprite_10_1.png"


@pytest.mark.parametrize("shift", [-1, 1])
def test_one_frame_beside_the_exact_one_is_found(painted: Paint, tmp_path: Path, shift: int) -> None:
    """One tile among eight shows the frame before, or after, the one on screen at its instant."""
    video = painted(".mp4", PAINTING)
    shifted = make(
        video,
        tmp_path / "shifted",
        accuracy=Accuracy.EXACT,
        sampling=EveryInterval(seconds=Fraction(25 * 4 + shift, 100)),
        grid=Grid(rows=1, columns=5),
    )
    make(video, tmp_path / "set", accuracy=Accuracy.EXACT, grid=Grid(rows=1, columns=4))
    with Image.open(shifted / "imageSprite_10_0.png") as other:
        # Tile 4 lies at 4 s and a frame, or less a frame.
        tile = other.crop((4 * 80, 0, 5 * 80, 48))
    sheet = tmp_path / "set/imageSprite_10_1.png"
    with Image.open(sheet) as image:
        image.paste(tile, (0, 0))
        image.save(sheet)
    verdict = verify(video, tmp_path / "set", accuracy=Accuracy.EXACT)
    assert [tile.index for tile in verdict.tiles if not tile.exact] == [4]
    assert verdict.tiles[4].error_s == pytest.approx(shift * 0.04)
    assert verdict.tiles[4].in_cue is (shift > 0)
    assert not verdict.passed


def test_tiles_under_the_wrong_cues_are_found(painted: Paint, tmp_path: Path) -> None:
    """Two cues that name each other's rectangle, as an off-by-one in a VTT does."""
    video = painted(".mp4", PAINTING)
    make(video, tmp_path)
    edit_vtt(tmp_path, "_0.png#xywh=80,0,", "_0.png#xywh=XX,0,")
    edit_vtt(tmp_path, "_0.png#xywh=160,0,", "_0.png#xywh=80,0,")
    edit_vtt(tmp_path, "_0.png#xywh=XX,0,", "_0.png#xywh=160,0,")
    verdict = verify(video, tmp_path)
    assert [tile.index for tile in verdict.tiles if not tile.in_cue] == [1, 2]
    assert not verdict.passed


def test_a_tile_of_something_else_is_no_frame(painted: Paint, tmp_path: Path) -> None:
    """A tile that no frame of the video resembles is told as such, not as the least unlike one."""
    video = painted(".mp4", PAINTING)
    make(video, tmp_path)
    sheet = tmp_path / "imageSprite_10_0.png"
    with Image.open(sheet) as image:
        pixels = np.array(image)
    pixels[:48, 80:160] = (200, 30, 90)
    Image.fromarray(pixels).save(sheet)
    verdict = verify(video, tmp_path)
    assert (verdict.tiles[1].pts_s, verdict.tiles[1].equal_frames) == (None, 0)
    assert (verdict.right, verdict.passed) == (7, False)


def test_a_video_that_changes_its_shape_is_judged(tmp_path: Path) -> None:
    """Landscape, then portrait, as streams are spliced: each frame lies in its tiles in its own way."""
    parts = [
        paint(tmp_path / "wide.ts", Painting(frames=100, rate=Fraction(25))),
        paint(tmp_path / "tall.ts", Painting(frames=100, rate=Fraction(25), width_px=96, height_px=160)),
    ]
    video = tmp_path / "both.ts"
    video.write_bytes(b"".join(part.read_bytes() for part in parts))
    verdict = verify(video, make(video, tmp_path / "set", accuracy=Accuracy.EXACT), accuracy=Accuracy.EXACT)
    assert verdict.passed
    assert len(verdict.tiles) == 8


def test_frames_that_look_alike_are_told(tmp_path: Path) -> None:
    """Of a still picture every frame is equally right, and the verdict says how many there are."""
    import av

    path = tmp_path / "still.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        picture = np.tile(np.arange(160, dtype=np.uint8)[None, :, None], (96, 1, 3))
        for number in range(50):
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    verdict = verify(path, make(path, tmp_path / "set"), accuracy=Accuracy.EXACT)
    assert verdict.passed
    assert [tile.equal_frames for tile in verdict.tiles] == [50, 50]


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("#xywh=160,0,80,48", "#xywh=161,0,80,48", ProblemKind.RECTANGLE),
        ("#xywh=160,48,80,48", "#xywh=160,48,80,0", ProblemKind.RECTANGLE),
        ("00:00:03.000 -->", "00:00:03.040 -->", ProblemKind.COVERAGE),
        ("00:00:03.000 -->", "00:00:02.960 -->", ProblemKind.COVERAGE),
        ("00:00:00.000 -->", "00:00:00.001 -->", ProblemKind.COVERAGE),
        ("--> 00:00:08.000", "--> 00:00:07.999", ProblemKind.COVERAGE),
        ("_1.png", "_2.png", ProblemKind.SHEET),
        ("WEBVTT", "WEBVVT", ProblemKind.VTT),
        ("00:00:03.000 -->", "00:00:03 -->", ProblemKind.VTT),
        ("#xywh=0,0,80,48", "#xywh=percent:0,0,8,8", ProblemKind.VTT),
    ],
)
def test_what_is_wrong_with_the_file_is_found(
    painted: Paint, tmp_path: Path, old: str, new: str, kind: ProblemKind
) -> None:
    """One change to a right VTT: the problem is named, and the set fails."""
    video = painted(".mp4", PAINTING)
    make(video, tmp_path)
    assert verify(video, tmp_path).passed
    edit_vtt(tmp_path, old, new)
    verdict = verify(video, tmp_path)
    assert kind in kinds(verdict)
    assert not verdict.passed


def test_what_is_wrong_with_the_sheets_is_found(painted: Paint, tmp_path: Path) -> None:
    """A sheet that is no image, and one of another size than the first."""
    video = painted(".mp4", PAINTING)
    make(video, tmp_path, grid=Grid(rows=1, columns=3))
    (tmp_path / "imageSprite_10_1.png").write_bytes(b"no image")
    with Image.open(tmp_path / "imageSprite_10_2.png") as image:
        larger = Image.new("RGB", (image.width, image.height + 8))
        larger.paste(image)
    larger.save(tmp_path / "imageSprite_10_2.png")
    verdict = verify(video, tmp_path)
    assert kinds(verdict) == [ProblemKind.SHEET, ProblemKind.SHEET]
    assert [tile.rectangle is None for tile in verdict.tiles] == [False] * 3 + [True] * 3 + [False] * 2


@pytest.mark.parametrize(
    "prefix", ["https://cdn.example/a/b/", "/var/www/sprites/", "../other/", "./", "https://cdn.example/?"]
)
def test_sheets_are_found_beside_the_file_however_it_names_them(
    painted: Paint, tmp_path: Path, prefix: str
) -> None:
    """Absolute URLs and paths count by their last name; nothing outside the folder is opened."""
    video = painted(".mp4", PAINTING)
    make(video, tmp_path / "set")
    edit_vtt(tmp_path / "set", "imageSprite_10_", f"{prefix}imageSprite_10_")
    verdict = verify(video, tmp_path / "set")
    assert verdict.passed is not prefix.endswith("?")


def test_sheets_of_ffmpeg_are_judged(painted: Paint, tmp_path: Path) -> None:
    """What `fps,scale,tile` makes, with a WebVTT by hand: each frame is told, and that it is late."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not there")
    video = painted(".mp4", PAINTING)
    subprocess.run(
        [
            *("ffmpeg", "-v", "error", "-i", video, "-vf", "fps=1:round=down,scale=80:48,tile=3x3"),
            *("-frames:v", "1", tmp_path / "sheet.png"),
        ],
        check=True,
    )
    cues = "\n\n".join(
        f"{n + 1}\n00:0{n // 60}:0{n}.000 --> 00:0{n // 60}:0{n + 1}.000 align:start\n"
        f"http://a.example/sheet.png#xywh={n % 3 * 80},{n // 3 * 48},80,48"
        for n in range(8)
    )
    (tmp_path / "sheet.vtt").write_bytes(
        f"\ufeffWEBVTT - tiles\n\nNOTE by hand\n\n{cues}\n".replace("\n", "\r\n").encode()
    )
    verdict = verify(video, tmp_path, accuracy=Accuracy.EXACT)
    assert verdict.problems == ()
    assert all(tile.pts_s is not None and tile.equal_frames == 1 for tile in verdict.tiles)
    # With round=down a tile is the last frame before the next second; the first one is the first frame.
    assert [tile.pts_s for tile in verdict.tiles[:3]] == pytest.approx([0.96, 1.96, 2.96])
    assert not verdict.passed
    assert verify(video, tmp_path, accuracy=Accuracy.CUE).passed


def test_a_folder_without_one_webvtt_file_is_refused(painted: Paint, tmp_path: Path) -> None:
    """None, or several: the caller has to say which; naming the file itself works."""
    video = painted(".mp4", PAINTING)
    with pytest.raises(InvalidInput, match="holds no WebVTT file"):
        verify(video, tmp_path)
    make(video, tmp_path)
    shutil.copy(tmp_path / "imageSprite_10.vtt", tmp_path / "other.vtt")
    with pytest.raises(InvalidInput, match="holds 2 WebVTT files"):
        verify(video, tmp_path)
    assert verify(video, tmp_path / "other.vtt").passed


def test_reading_webvtt_takes_what_others_write() -> None:
    """Short times, identifiers, settings, CR LF, a mark of byte order, more in the fragment, whole images."""
    text = (
        "\ufeffWEBVTT\r\n\r\n1\r\n00:00.000 --> 01:02.003 line:0\r\na b.jpg#xywh=pixel:1,2,3,4\r\n\r\n"
        "100:00:00.000 --> 100:00:01.000\r\nwhole.png\r\n"
    )
    cues, faults = parse(text.encode())
    assert faults == []
    assert cues == [
        WrittenCue(
            start_ms=0,
            end_ms=62_003,
            target="a b.jpg",
            rectangle=Rectangle(x=1, y=2, width_px=3, height_px=4),
        ),
        WrittenCue(start_ms=360_000_000, end_ms=360_001_000, target="whole.png", rectangle=None),
    ]
    assert parse(b"\xff\xfe")[1] == ["the file is not UTF-8"]
    assert parse(b"WEBVTT\n")[1] == ["there is not one cue of a tile"]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vodsprite.cli.main", "verify", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_tells_by_its_exit_code(painted: Paint, tmp_path: Path) -> None:
    """0 right, 1 wrong, 2 nothing to judge, 3 no video; a table, or one JSON object."""
    video = painted(".mp4", PAINTING)
    make(video, tmp_path / "set")
    done = run(video, tmp_path / "set")
    assert (done.returncode, done.stderr) == (0, "")
    assert "imageSprite_10.vtt: right (cue), against 200 frames" in done.stdout

    done = run(video, tmp_path / "set", "--accuracy", "exact", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert (told["passed"], told["counts"]["in_cue"], told["counts"]["tiles"]) == (False, 8, 8)
    assert told["tiles"][1]["pts_s"] == 1.6
    assert told["tiles"][1]["xywh"] == [80, 0, 80, 48]
    assert told["largest_error_s"] == pytest.approx(0.6)

    assert run(video, tmp_path).returncode == 2
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    done = run(tmp_path / "text.mp4", tmp_path / "set")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)


def test_other_lengths_of_a_video_dont_fit(tmp_path: Path) -> None:
    """A set of a shorter cut ends before the video; one of a longer cut has cues after its end."""
    short = paint(tmp_path / "short.mp4", Painting(frames=100, rate=Fraction(25)))
    long = paint(tmp_path / "long.mp4", Painting(frames=200, rate=Fraction(25)))
    ends_early = verify(long, make(short, tmp_path / "s"))
    assert kinds(ends_early) == [ProblemKind.COVERAGE]
    ends_late = verify(short, make(long, tmp_path / "l"))
    assert ProblemKind.COVERAGE in kinds(ends_late)


@pytest.mark.skipif(corpus_folder() is None, reason="the corpus is not on this machine")
@pytest.mark.parametrize("accuracy", list(Accuracy))
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("valid/bgslibrary_video02.avi", id="two clocks that contradict each other"),
        pytest.param("odd/sample_with_invalid_nalu.mp4", id="packets that can't be decoded"),
        pytest.param("valid/CAPAMA3_Sand_F.264", id="frames without times"),
        pytest.param("malformed/BA_MW_D_P_LOST.264", id="frames without times, some missing"),
    ],
)
def test_a_right_set_of_an_odd_file_passes(name: str, accuracy: Accuracy, tmp_path: Path) -> None:
    """Judge and render read a clock that leaves room for doubt in the same way."""
    folder = corpus_folder()
    assert folder is not None
    sampling = EveryPercent(percent=Fraction(15))
    verdict = verify(
        folder / name,
        make(folder / name, tmp_path / "set", accuracy=accuracy, sampling=sampling),
        accuracy=accuracy,
    )
    assert verdict.passed, (verdict.problems, verdict.tiles)
