"""Sprite templates as the 2018-07-17 API shows them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_pascal

from vodsprite.api.call import Call, Fields
from vodsprite.api.params import Request
from vodsprite.api.v2018.process import LARGEST_DEFINITION
from vodsprite.sprite.spec import EveryInterval, EveryPercent, Sampling
from vodsprite.templates.template import Template
from vodsprite.wire import structures


class DescribeImageSpriteTemplatesRequest(Request):
    """DescribeImageSpriteTemplates, 2018-07-17."""

    model_config = ConfigDict(alias_generator=to_pascal)

    definitions: list[Annotated[int, Field(ge=0, le=LARGEST_DEFINITION)]] = Field(default=[], max_length=100)
    offset: int = Field(0, ge=0, le=LARGEST_DEFINITION)
    limit: int = Field(10, ge=0, le=100)
    type: Literal["Preset", "Custom"] | None = None


def describe_image_sprite_templates(call: Call, request: DescribeImageSpriteTemplatesRequest) -> Fields:
    """Show one page of the app's sprite templates, the built-in one included, by number."""
    total, page = call.parts.templates.list(
        call.app.app_id,
        definitions=request.definitions,
        preset=None if request.type is None else request.type == "Preset",
        offset=request.offset,
        limit=request.limit,
    )
    return {"TotalCount": total, "ImageSpriteTemplateSet": [_structure(template) for template in page]}


def _structure(template: Template) -> Fields:
    spec = template.spec
    by_percent, interval = _sampling(spec.sampling)
    return {
        "Definition": template.definition,
        "Type": "Preset" if template.is_preset else "Custom",
        "Name": template.name,
        "Width": spec.tile.width_px,
        "Height": spec.tile.height_px,
        "ResolutionAdaptive": "open" if spec.tile.adaptive else "close",
        "SampleType": structures.unit(by_percent),
        "SampleInterval": interval,
        "RowCount": spec.grid.rows,
        "ColumnCount": spec.grid.columns,
        "CreateTime": structures.time_text(template.created_at),
        "UpdateTime": structures.time_text(template.updated_at),
        "FillType": spec.fill.value,
        "Comment": template.comment,
        "Format": spec.format,
    }


def _sampling(sampling: Sampling) -> tuple[bool, int]:
    """Whether it counts percent, and its step; the wire has whole numbers only, from 1."""
    match sampling:
        case EveryPercent(percent=step):
            return True, max(1, round(step))
        case EveryInterval(seconds=step):
            return False, max(1, round(step))
