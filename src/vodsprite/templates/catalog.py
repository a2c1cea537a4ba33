"""The catalogue of an app's templates: the built-in ones and its own."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import Connection

from vodsprite.clock import Clock
from vodsprite.database.engine import Database
from vodsprite.errors import InvalidInput, LimitReached, TemplateNotFound
from vodsprite.ids import AppId
from vodsprite.sprite.spec import SpriteSpec
from vodsprite.templates import table
from vodsprite.templates.template import (
    FIRST_CUSTOM_DEFINITION,
    LARGEST_COUNT,
    PRESETS,
    Template,
    TemplateKind,
)

_LARGEST_PAGE = 100


class TemplateCatalog:
    """Finds, lists and makes sprite templates."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def find(self, app_id: AppId, definition: int) -> Template:
        """
        Return the template that *definition* means for the app.

        Raises:
            TemplateNotFound: It means none.
        """
        if definition in PRESETS:
            return PRESETS[definition]
        with self._database.reading() as conn:
            return self.find_in(conn, app_id, definition)

    def find_in(self, conn: Connection, app_id: AppId, definition: int) -> Template:
        """Do as `find`, inside the caller's transaction."""
        found = PRESETS.get(definition)
        if found is None and FIRST_CUSTOM_DEFINITION <= definition < 2**31:
            found = table.find(conn, app_id, TemplateKind.IMAGE_SPRITE, definition)
        if found is None:
            raise TemplateNotFound(definition)
        return found

    def create(self, app_id: AppId, spec: SpriteSpec, *, name: str = "", comment: str = "") -> Template:
        """
        Add a template to the app, under the next number.

        Raises:
            LimitReached: The app has 16 already.
            InvalidInput: *name* is longer than 64 characters or *comment* than 256.
        """
        now = self._clock.now()
        with self._database.transaction() as conn:
            own = table.list_all(conn, app_id, TemplateKind.IMAGE_SPRITE)
            if len(own) >= LARGEST_COUNT:
                raise LimitReached(f"an app has at most {LARGEST_COUNT} sprite templates of its own")
            template = Template(
                definition=own[-1].definition + 1 if own else FIRST_CUSTOM_DEFINITION,
                kind=TemplateKind.IMAGE_SPRITE,
                name=name,
                comment=comment,
                spec=spec,
                is_preset=False,
                created_at=now,
                updated_at=now,
            )
            table.insert(conn, app_id, template)
        return template

    def list(
        self,
        app_id: AppId,
        *,
        definitions: Sequence[int] = (),
        preset: bool | None = None,
        offset: int = 0,
        limit: int = 10,
    ) -> tuple[int, list[Template]]:
        """
        Return how many templates match, and one page of them by number.

        Args:
            definitions: Only these, at most 100; empty means any.
            preset: True for the built-in ones only, False for the app's own only.
            limit: 0 to 100.

        Raises:
            InvalidInput: An argument is out of range.
        """
        if len(definitions) > _LARGEST_PAGE:
            raise InvalidInput("definitions", f"has {len(definitions)} members; the most is {_LARGEST_PAGE}")
        if offset < 0:
            raise InvalidInput("offset", f"is {offset}; it is 0 or more")
        if not 0 <= limit <= _LARGEST_PAGE:
            raise InvalidInput("limit", f"is {limit}; it is 0 to {_LARGEST_PAGE}")
        with self._database.reading() as conn:
            own = table.list_all(conn, app_id, TemplateKind.IMAGE_SPRITE)
        matching = [
            template
            for template in (*PRESETS.values(), *own)
            if (not definitions or template.definition in definitions)
            and (preset is None or template.is_preset is preset)
        ]
        return len(matching), matching[offset : offset + limit]
