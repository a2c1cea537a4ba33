"""DescribeImageSpriteTemplates."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from vodsprite.sprite.spec import EveryPercent, Fill, Grid, SpriteSpec, TileSize
from vodsprite.testing.service import Service

EXAMPLES = Path(__file__).parents[1] / "wire" / "examples"
CUSTOM = SpriteSpec(
    sampling=EveryPercent(percent=Fraction(5)),
    grid=Grid(rows=5, columns=6),
    tile=TileSize(width_px=160, height_px=0, adaptive=False),
    fill=Fill.STRETCH,
    format="png",
)


def test_the_built_in_template_looks_as_documented(service: Service) -> None:
    """Preset 10 has every member, in order, with the documented values."""
    answer = service.caller.call("DescribeImageSpriteTemplates")

    documented = json.loads((EXAMPLES / "action-DescribeImageSpriteTemplates.json").read_text())
    preset = documented["response"]["Response"]["ImageSpriteTemplateSet"][0]
    [shown] = answer["ImageSpriteTemplateSet"]
    assert list(answer) == ["TotalCount", "ImageSpriteTemplateSet", "RequestId"]
    assert answer["TotalCount"] == 1
    assert list(shown) == list(preset)
    free = {"Name", "Comment", "CreateTime", "UpdateTime"}
    assert {k: v for k, v in shown.items() if k not in free} == {
        k: v for k, v in preset.items() if k not in free
    }


def test_a_custom_template_shows_its_spec(service: Service) -> None:
    """Every member says what the template makes."""
    made = service.parts.templates.create(service.primary.app_id, CUSTOM, name="five", comment="by six")

    [shown] = service.caller.call("DescribeImageSpriteTemplates", Type="Custom")["ImageSpriteTemplateSet"]

    assert shown["CreateTime"].endswith("Z")
    for name in ("CreateTime", "UpdateTime"):
        del shown[name]
    assert shown == {
        "Definition": made.definition,
        "Type": "Custom",
        "Name": "five",
        "Comment": "by six",
        "Width": 160,
        "Height": 0,
        "ResolutionAdaptive": "close",
        "SampleType": "Percent",
        "SampleInterval": 5,
        "RowCount": 5,
        "ColumnCount": 6,
        "FillType": "stretch",
        "Format": "png",
    }


@pytest.mark.parametrize(
    ("members", "total", "shown"),
    [
        ({}, 3, [10, 10001, 10002]),
        ({"Type": "Preset"}, 1, [10]),
        ({"Type": "Custom"}, 2, [10001, 10002]),
        ({"Definitions": [10002, 10, 77]}, 2, [10, 10002]),
        ({"Limit": 2}, 3, [10, 10001]),
        ({"Offset": 2, "Limit": 100}, 3, [10002]),
        ({"Offset": 9}, 3, []),
        ({"Limit": 0}, 3, []),
    ],
)
def test_filters_and_pages(service: Service, members: dict[str, Any], total: int, shown: list[int]) -> None:
    """TotalCount counts what matches, whatever page is shown."""
    for _ in range(2):
        service.parts.templates.create(service.primary.app_id, CUSTOM)

    answer = service.caller.call("DescribeImageSpriteTemplates", **members)

    assert answer["TotalCount"] == total
    assert [one["Definition"] for one in answer["ImageSpriteTemplateSet"]] == shown


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"Limit": 101}, "InvalidParameterValue.Limit"),
        ({"Limit": -1}, "InvalidParameterValue.Limit"),
        ({"Limit": "5"}, "InvalidParameter"),
        ({"Type": "Mine"}, "InvalidParameterValue.Type"),
        ({"Definitions": [10] * 101}, "InvalidParameterValue.Definitions"),
        ({"Definitions": [-1]}, "InvalidParameterValue.Definitions"),
        ({"Definitions": 10}, "InvalidParameter"),
        ({"Offset": -1}, "InvalidParameterValue"),
        ({"Offset": 2**70}, "InvalidParameterValue"),
    ],
)
def test_a_bad_value_has_its_documented_code(service: Service, members: dict[str, Any], code: str) -> None:
    """Limit, type and definitions have codes of their own."""
    assert service.caller.call("DescribeImageSpriteTemplates", **members)["Error"]["Code"] == code
