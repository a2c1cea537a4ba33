"""The catalogue of templates: what is built in, and what an app adds."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from vodsprite.apps.registry import AppRegistry
from vodsprite.database.engine import Database
from vodsprite.errors import InvalidInput, LimitReached, TemplateNotFound
from vodsprite.ids import AppId
from vodsprite.sprite.spec import (
    PRESET_10,
    Accuracy,
    EveryInterval,
    EveryPercent,
    Fill,
    Grid,
    SpriteSpec,
    TileSize,
)
from vodsprite.templates.catalog import TemplateCatalog
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.ids import SequentialIds

SPEC = SpriteSpec(
    sampling=EveryPercent(percent=Fraction(10, 3)),
    grid=Grid(rows=5, columns=6),
    tile=TileSize(width_px=320, height_px=0, adaptive=False),
    fill=Fill.GAUSS,
    format="webp",
    quality=71,
    accuracy=Accuracy.EXACT,
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def apps(database: Database, clock: FakeClock) -> AppRegistry:
    return AppRegistry(database, clock, SequentialIds())


@pytest.fixture
def app_id(apps: AppRegistry) -> AppId:
    return apps.ensure_primary("AKIDtest", "key").app_id


@pytest.fixture
def catalog(database: Database, clock: FakeClock) -> TemplateCatalog:
    return TemplateCatalog(database, clock)


def test_every_app_has_preset_10(catalog: TemplateCatalog, app_id: AppId) -> None:
    """Template 10 is built in: 142 x 80 tiles, 10 x 10 to a sheet, one every 10 s, JPEG on black."""
    preset = catalog.find(app_id, 10)

    assert preset.is_preset
    assert preset.spec == PRESET_10
    assert preset.spec.sampling == EveryInterval(seconds=Fraction(10))
    assert (preset.spec.tile.width_px, preset.spec.tile.height_px) == (142, 80)
    assert (preset.spec.grid.rows, preset.spec.grid.columns) == (10, 10)
    assert (preset.spec.format, preset.spec.fill) == ("jpg", Fill.BLACK)


def test_a_template_reads_back_as_it_was_made(
    catalog: TemplateCatalog, app_id: AppId, clock: FakeClock
) -> None:
    """Every part of a spec survives the table, fractions included."""
    made = catalog.create(app_id, SPEC, name="wide", comment="for the player")

    found = catalog.find(app_id, made.definition)

    assert found == made
    assert found.spec == SPEC
    assert (found.name, found.comment, found.is_preset) == ("wide", "for the player", False)
    assert found.created_at == clock.now()


def test_definitions_start_at_10001_and_rise_by_one_in_each_app(
    catalog: TemplateCatalog, apps: AppRegistry, app_id: AppId
) -> None:
    """Numbers are an app's own: two apps may have the same one for different templates."""
    other = apps.create("other").app_id

    numbers = [catalog.create(app_id, SPEC).definition for _ in range(3)]
    others = catalog.create(other, PRESET_10).definition

    assert numbers == [10001, 10002, 10003]
    assert others == 10001
    assert catalog.find(app_id, 10001).spec == SPEC
    assert catalog.find(other, 10001).spec == PRESET_10


def test_another_apps_template_is_not_found(
    catalog: TemplateCatalog, apps: AppRegistry, app_id: AppId
) -> None:
    """An app knows the built-in templates and its own; any other number is told by name."""
    other = apps.create("other").app_id
    made = catalog.create(app_id, SPEC)

    for asked_by, definition in (
        (other, made.definition),
        (app_id, 11),
        (app_id, 0),
        (app_id, -1),
        (app_id, 2**63),
    ):
        with pytest.raises(TemplateNotFound, match=str(definition)):
            catalog.find(asked_by, definition)


def test_an_app_has_at_most_16_templates(catalog: TemplateCatalog, app_id: AppId) -> None:
    """The seventeenth is refused, and says so."""
    for _ in range(16):
        catalog.create(app_id, SPEC)

    with pytest.raises(LimitReached, match="16"):
        catalog.create(app_id, SPEC)

    assert catalog.list(app_id, preset=False, limit=0)[0] == 16


@pytest.mark.parametrize(("name", "comment"), [("x" * 65, ""), ("", "x" * 257)])
def test_texts_that_are_too_long_are_refused(
    catalog: TemplateCatalog, app_id: AppId, name: str, comment: str
) -> None:
    """A name has at most 64 characters, a comment 256; one more and nothing is made."""
    with pytest.raises(InvalidInput):
        catalog.create(app_id, SPEC, name=name, comment=comment)

    assert catalog.list(app_id)[0] == 1
    catalog.create(app_id, SPEC, name=name[:64], comment=comment[:256])


def test_a_list_is_filtered_and_paged(catalog: TemplateCatalog, app_id: AppId) -> None:
    """The count is of all that match, whatever the page shows; the order is by number."""
    for quality in range(1, 6):
        catalog.create(app_id, replace(SPEC, quality=quality))

    def numbers(**how: object) -> tuple[int, list[int]]:
        count, page = catalog.list(app_id, **how)  # type: ignore[arg-type]
        return count, [template.definition for template in page]

    assert numbers() == (6, [10, 10001, 10002, 10003, 10004, 10005])
    assert numbers(preset=True) == (1, [10])
    assert numbers(preset=False, offset=1, limit=2) == (5, [10002, 10003])
    assert numbers(definitions=[10005, 10, 777]) == (2, [10, 10005])
    assert numbers(offset=100) == (6, [])


@pytest.mark.parametrize("how", [{"limit": 101}, {"limit": -1}, {"offset": -1}, {"definitions": range(101)}])
def test_a_page_out_of_range_is_refused(
    catalog: TemplateCatalog, app_id: AppId, how: dict[str, object]
) -> None:
    """Limits are those of DescribeImageSpriteTemplates, and the error names the argument."""
    with pytest.raises(InvalidInput, match=next(iter(how))):
        catalog.list(app_id, **how)  # type: ignore[arg-type]
