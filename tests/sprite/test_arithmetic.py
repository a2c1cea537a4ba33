"""Plans, cues, rectangles and shapes, for any duration, interval, grid and picture."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from itertools import pairwise
from math import ceil

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vodsprite.errors import FailureKind, InvalidInput, VideoError
from vodsprite.sprite import formats, geometry, sampling, webvtt
from vodsprite.sprite.geometry import Orientation, Size
from vodsprite.sprite.spec import (
    PRESET_10,
    Accuracy,
    EveryInterval,
    EveryPercent,
    Fill,
    Grid,
    Sampling,
    SpriteSpec,
    TileSize,
    from_json,
    to_json,
)
from vodsprite.sprite.timeline import PictureTable, Row

durations = st.fractions(min_value=0, max_value=100_000, max_denominator=90_000)
intervals = st.fractions(min_value=Fraction(1, 100), max_value=3600, max_denominator=30_000)
percents = st.fractions(min_value=Fraction(1, 20), max_value=100, max_denominator=1000)
samplings: st.SearchStrategy[Sampling] = st.one_of(
    intervals.map(lambda each: EveryInterval(seconds=each)),
    percents.map(lambda each: EveryPercent(percent=each)),
)
grids = st.builds(Grid, rows=st.integers(1, 20), columns=st.integers(1, 20))
tiles = st.builds(Size, width_px=st.integers(1, 700), height_px=st.integers(1, 700))
sides = st.fractions(min_value=1, max_value=20_000, max_denominator=4096)


def _plan(duration: Fraction, wanted: Sampling) -> sampling.SamplingPlan:
    try:
        return sampling.plan(duration, wanted)
    except VideoError:
        assume(False)
        raise


@given(durations, samplings)
def test_spans_cover_the_duration_without_gap_or_overlap(duration: Fraction, wanted: Sampling) -> None:
    """Each span ends where the next begins; the first begins at 0 and the last ends at the duration."""
    plan = _plan(duration, wanted)
    assert plan.instant(0) == 0
    assert plan.end(plan.count - 1) == duration
    for index in range(plan.count - 1):
        assert plan.instant(index) < plan.end(index) == plan.instant(index + 1)
    assert plan.count == 1 or plan.instant(plan.count - 1) < duration


@given(durations, st.integers(1, 3600))
def test_an_interval_gives_as_many_tiles_as_documented(duration: Fraction, seconds: int) -> None:
    """Every n seconds gives the duration divided by n, rounded up, and at least one."""
    plan = _plan(duration, EveryInterval(seconds=Fraction(seconds)))
    assert plan.count == max(1, ceil(duration / seconds))


@pytest.mark.parametrize(("percent", "count"), [(5, 20), (10, 10), (30, 4), (100, 1)])
def test_a_percentage_gives_as_many_tiles_as_documented(percent: int, count: int) -> None:
    """Every p percent gives 100 divided by p, rounded up."""
    assert sampling.plan(Fraction(60), EveryPercent(percent=Fraction(percent))).count == count


def test_more_tiles_than_the_limit_are_refused() -> None:
    """A plan beyond the limit is an error of the configuration, before anything is decoded."""
    with pytest.raises(VideoError, match="at most 20000") as refused:
        sampling.plan(Fraction(20_001), EveryInterval(seconds=Fraction(1)))
    assert refused.value.kind is FailureKind.CONFIGURATION


@given(durations, samplings, grids, tiles)
def test_cues_are_contiguous_and_point_at_their_tiles(
    duration: Fraction, wanted: Sampling, grid: Grid, tile: Size
) -> None:
    """Cues begin at 0, leave no gap, last at least 1 ms, and end at the duration rounded up to the ms."""
    plan = _plan(duration, wanted)
    assume(plan.count < 2000)
    cues = list(webvtt.cues(plan, tile, grid))
    assert len(cues) == plan.count
    assert cues[0].start_ms == 0
    assert all(before.end_ms == after.start_ms for before, after in pairwise(cues))
    assert all(cue.start_ms < cue.end_ms for cue in cues)
    # Where spans last a millisecond at least, every boundary is true to the millisecond.
    if plan.count == 1 or min(plan.step, plan.end(plan.count - 1) - plan.instant(plan.count - 1)) * 1000 >= 1:
        assert cues[-1].end_ms == max(1, ceil(duration * 1000))
        assert all(0 <= plan.instant(index) * 1000 - cue.start_ms < 1 for index, cue in enumerate(cues))


@given(st.integers(1, 500), grids, tiles)
def test_tiles_lie_on_their_sheets_and_no_two_touch(count: int, grid: Grid, tile: Size) -> None:
    """Each tile lies wholly on its sheet, in reading order, at a place of its own."""
    assume(tile.width_px * grid.columns <= 15_000 and tile.height_px * grid.rows <= 15_000)
    sheet = geometry.sheet_size(tile, grid)
    places = [geometry.place(index, tile, grid) for index in range(count)]
    assert len(set(places)) == count
    for place in places:
        assert place.x % tile.width_px == place.y % tile.height_px == 0
        assert 0 <= place.x <= sheet.width_px - tile.width_px
        assert 0 <= place.y <= sheet.height_px - tile.height_px
    assert places == sorted(places, key=lambda place: (place.sheet, place.y, place.x))


@given(sides, sides, tiles, st.sampled_from(Fill))
def test_a_picture_keeps_its_shape_inside_its_tile(
    width: Fraction, height: Fraction, tile: Size, fill: Fill
) -> None:
    """A picture lies centred in its tile and touches two sides; only `stretch` changes its shape."""
    box = geometry.fit((width, height), tile, fill)
    assert box.width_px >= 1
    assert box.height_px >= 1
    assert abs((tile.width_px - box.width_px) - 2 * box.x) <= 1
    assert abs((tile.height_px - box.height_px) - 2 * box.y) <= 1
    if fill is Fill.STRETCH:
        assert (box.width_px, box.height_px) == (tile.width_px, tile.height_px)
        return
    assert box.width_px == tile.width_px or box.height_px == tile.height_px
    scale = min(tile.width_px / width, tile.height_px / height)
    assert abs(box.width_px - width * scale) <= 1
    assert abs(box.height_px - height * scale) <= 1


@pytest.mark.parametrize(
    ("display", "asked", "adaptive", "size"),
    [
        ((1920, 1080), (142, 80), True, (142, 80)),
        ((1080, 1920), (142, 80), True, (80, 142)),
        ((1080, 1920), (142, 80), False, (142, 80)),
        ((1920, 1080), (0, 80), True, (142, 80)),
        ((1920, 1080), (320, 0), True, (320, 180)),
        ((1080, 1920), (320, 0), True, (180, 320)),
        ((1080, 1920), (320, 0), False, (320, 568)),
        ((721, 577), (0, 0), True, (722, 578)),
        ((720, 720), (142, 80), True, (142, 80)),
    ],
)
def test_a_tile_has_the_size_of_its_template(
    display: tuple[int, int], asked: tuple[int, int], adaptive: bool, size: tuple[int, int]
) -> None:
    """0 follows the source, computed sides are even, and an adaptive template swaps for a portrait video."""
    wanted = TileSize(width_px=asked[0], height_px=asked[1], adaptive=adaptive)
    got = geometry.tile_size((Fraction(display[0]), Fraction(display[1])), wanted)
    assert (got.width_px, got.height_px) == size


def test_sizes_that_follow_the_source_have_limits_too() -> None:
    """A tile beyond 4096 px or a sheet beyond 15,000 px is refused once the source is known."""
    follow = TileSize(width_px=0, height_px=0)
    with pytest.raises(VideoError, match="4096"):
        geometry.tile_size((Fraction(5000), Fraction(100)), follow)
    with pytest.raises(VideoError, match="15000"):
        geometry.sheet_size(Size(width_px=1920, height_px=1080), Grid(rows=10, columns=10))


@pytest.mark.parametrize(
    ("orientation", "degrees"),
    [
        (Orientation(), 0),
        (Orientation(transposed=True, flipped_across=True), 90),
        (Orientation(flipped_across=True, flipped_down=True), 180),
        (Orientation(transposed=True, flipped_down=True), 270),
    ],
)
def test_an_orientation_tells_its_clockwise_turn(orientation: Orientation, degrees: int) -> None:
    """The turn that a player makes is what the metadata report."""
    assert orientation.rotation_deg == degrees


def test_the_webvtt_file_has_the_form_that_every_player_reads() -> None:
    """Hours are written, there is nothing but time lines and bare names, and all of it is ASCII with LF."""
    plan = sampling.plan(Fraction(3_605_500, 1000), EveryInterval(seconds=Fraction(1800)))
    text = webvtt.render(
        plan, Size(width_px=142, height_px=80), Grid(rows=1, columns=2), ["imageSprite_10_0.jpg", "b.jpg"]
    )
    assert text.decode("ascii") == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:30:00.000\nimageSprite_10_0.jpg#xywh=0,0,142,80\n\n"
        "00:30:00.000 --> 01:00:00.000\nimageSprite_10_0.jpg#xywh=142,0,142,80\n\n"
        "01:00:00.000 --> 01:00:05.500\nb.jpg#xywh=0,0,142,80\n"
    )


@given(samplings, grids, st.sampled_from(Fill), st.sampled_from(sorted(formats.FORMATS)), st.booleans())
def test_a_spec_survives_its_json(
    wanted: Sampling, grid: Grid, fill: Fill, image_format: str, adaptive: bool
) -> None:
    """A spec written as JSON and read again is the same spec, fractions included."""
    spec = SpriteSpec(
        sampling=wanted,
        grid=grid,
        tile=TileSize(width_px=0, height_px=64, adaptive=adaptive),
        fill=fill,
        format=image_format,
        quality=None if image_format == "png" else 33,
        accuracy=Accuracy.EXACT,
    )
    assert from_json(json.loads(json.dumps(to_json(spec)))) == spec


def test_preset_10_is_as_documented() -> None:
    """142 x 80 tiles, 10 rows and columns, one every 10 s, JPEG."""
    assert (
        SpriteSpec(
            sampling=EveryInterval(seconds=Fraction(10)),
            grid=Grid(rows=10, columns=10),
            tile=TileSize(width_px=142, height_px=80, adaptive=True),
            format="jpg",
        )
        == PRESET_10
    )


@pytest.mark.parametrize(
    ("field", "build"),
    [
        ("sampling_interval", lambda: EveryInterval(seconds=Fraction(0))),
        ("sampling_interval", lambda: EveryPercent(percent=Fraction(101))),
        ("row_count", lambda: Grid(rows=0, columns=1)),
        ("column_count", lambda: Grid(rows=1, columns=0)),
        ("tile_width", lambda: TileSize(width_px=31, height_px=0)),
        ("tile_height", lambda: TileSize(width_px=0, height_px=4097)),
        ("format", lambda: SpriteSpec(sampling=PRESET_10.sampling, format="gif")),
        ("quality", lambda: SpriteSpec(sampling=PRESET_10.sampling, quality=101)),
        ("quality", lambda: SpriteSpec(sampling=PRESET_10.sampling, quality=50, format="png")),
        ("tile_width", lambda: SpriteSpec(sampling=PRESET_10.sampling, grid=Grid(rows=1, columns=106))),
        ("tile_height", lambda: SpriteSpec(sampling=PRESET_10.sampling, grid=Grid(rows=188, columns=1))),
    ],
)
def test_a_rule_names_its_field(field: str, build: object) -> None:
    """A value that breaks a rule is refused where it is made, with the name of the field."""
    assert callable(build)
    with pytest.raises(InvalidInput, match=re.escape(field)) as refused:
        build()
    assert refused.value.field == field


def test_where_presentation_times_prove_wrong_not_even_the_first_is_believed() -> None:
    """AVI gives pictures in reordered times; the clock then begins with the decoding time, too."""
    told = [(1, 3), (4, 4), (6, 5), (5, 6), (7, 7), (9, 8), (8, None)]
    rows = [Row(pts=pts, dts=dts, duration=1, is_key=pts == 1, is_dropped=False) for pts, dts in told]
    table = PictureTable(rows, tick=1)
    assert [table.time(at) for at in range(len(table))] == [3, 4, 5, 6, 7, 8, 8]
    assert (table.origin, table.end) == (3, 9)
