"""Templates: stored, numbered specs; and the one that is built in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from vodsprite.errors import InvalidInput
from vodsprite.sprite.spec import PRESET_10, SpriteSpec

LONGEST_NAME = 64
LONGEST_COMMENT = 256
LARGEST_COUNT = 16
"""Most custom templates of one kind that an app may have (CreateImageSpriteTemplate, 2018-07-17)."""

FIRST_CUSTOM_DEFINITION = 10001


class TemplateKind(Enum):
    """What a template makes. Definitions are numbered per kind."""

    IMAGE_SPRITE = "image_sprite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A spec under a number (wire: `Definition`)."""

    definition: int
    kind: TemplateKind
    name: str  # at most 64 characters
    comment: str  # at most 256 characters
    spec: SpriteSpec
    is_preset: bool  # built in: every app has it, nobody may change it
    created_at: datetime
    updated_at: datetime

    def __post_init__(self) -> None:
        if len(self.name) > LONGEST_NAME:
            raise InvalidInput("name", f"has {len(self.name)} characters; the most is {LONGEST_NAME}")
        if len(self.comment) > LONGEST_COMMENT:
            raise InvalidInput(
                "comment", f"has {len(self.comment)} characters; the most is {LONGEST_COMMENT}"
            )


_BUILT_IN_AT = datetime(2018, 7, 17, tzinfo=UTC)

PRESETS: dict[int, Template] = {
    10: Template(
        definition=10,
        kind=TemplateKind.IMAGE_SPRITE,
        name="Default",
        comment="142 x 80 tiles every 10 s, 10 x 10 to a sheet",
        spec=PRESET_10,
        is_preset=True,
        created_at=_BUILT_IN_AT,
        updated_at=_BUILT_IN_AT,
    )
}
"""The built-in sprite templates by definition."""
