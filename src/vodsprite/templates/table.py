"""SQL of custom templates."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from vodsprite.clock import from_us, to_us
from vodsprite.database.schema import templates
from vodsprite.ids import AppId
from vodsprite.sprite import spec as specs
from vodsprite.templates.template import Template, TemplateKind

_COLUMNS = (
    templates.c.definition,
    templates.c.kind,
    templates.c.name,
    templates.c.comment,
    templates.c.spec,
    templates.c.created_at,
    templates.c.updated_at,
)


def insert(conn: Connection, app_id: AppId, value: Template) -> None:
    """Add a template of the app."""
    conn.execute(
        sa.insert(templates).values(
            app_id=app_id,
            kind=value.kind.value,
            definition=value.definition,
            name=value.name,
            comment=value.comment,
            spec=json.dumps(specs.to_json(value.spec)),
            created_at=to_us(value.created_at),
            updated_at=to_us(value.updated_at),
        )
    )


def find(conn: Connection, app_id: AppId, kind: TemplateKind, definition: int) -> Template | None:
    """Return the app's template of that number."""
    row = conn.execute(
        sa.select(*_COLUMNS).where(
            templates.c.app_id == app_id,
            templates.c.kind == kind.value,
            templates.c.definition == definition,
        )
    ).one_or_none()
    return None if row is None else _template(row)


def list_all(conn: Connection, app_id: AppId, kind: TemplateKind) -> list[Template]:
    """Return the app's templates of that kind by number; there are at most a handful."""
    rows = conn.execute(
        sa.select(*_COLUMNS)
        .where(templates.c.app_id == app_id, templates.c.kind == kind.value)
        .order_by(templates.c.definition)
    )
    return [_template(row) for row in rows]


def _template(row: Any) -> Template:
    return Template(
        definition=row.definition,
        kind=TemplateKind(row.kind),
        name=row.name,
        comment=row.comment,
        spec=specs.from_json(json.loads(row.spec)),
        is_preset=False,
        created_at=from_us(row.created_at),
        updated_at=from_us(row.updated_at),
    )
