"""
SQL of tasks and of the callers' keys against doubles.

Every write of a run carries the run's attempt token in its WHERE and tells whether it stood.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from vodsprite.clock import from_us, to_us
from vodsprite.database.engine import insert as insert_into
from vodsprite.database.schema import session_ids, tasks
from vodsprite.errors import FailureKind
from vodsprite.events import Failure, NotifyMode, StepState
from vodsprite.ids import AppId, FileId, TaskId, Token
from vodsprite.sprite import spec as specs
from vodsprite.tasks.task import OPEN, SpriteResult, SpriteWork, Task, TaskKind, TaskState

_COLUMNS = (
    tasks.c.task_id,
    tasks.c.app_id,
    tasks.c.kind,
    tasks.c.file_id,
    tasks.c.state,
    tasks.c.steps,
    tasks.c.priority,
    tasks.c.notify_mode,
    tasks.c.session_id,
    tasks.c.session_context,
    tasks.c.base_url,
    tasks.c.run,
    tasks.c.attempts,
    tasks.c.created_at,
    tasks.c.begun_at,
    tasks.c.finished_at,
)
_OPEN = tuple(state.value for state in OPEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """What the engine is told of a task."""

    task_id: TaskId
    run: int
    priority: int


def insert(conn: Connection, task: Task) -> None:
    """Add a task."""
    conn.execute(
        sa.insert(tasks).values(
            task_id=task.task_id,
            app_id=task.app_id,
            kind=task.kind.value,
            file_id=task.file_id,
            state=task.state.value,
            steps=_dump(task.steps),
            priority=task.priority,
            notify_mode=task.notify_mode.value,
            session_id=task.session_id,
            session_context=task.session_context,
            base_url=task.base_url,
            run=task.run,
            attempts=task.attempts,
            attempt_token=None,
            created_at=to_us(task.created_at),
            begun_at=None,
            finished_at=None,
        )
    )


def find(conn: Connection, app_id: AppId, task_id: TaskId, *, created_from: datetime) -> Task | None:
    """Return the app's task of that id, unless it is older."""
    row = conn.execute(
        sa.select(*_COLUMNS).where(
            tasks.c.task_id == task_id, tasks.c.app_id == app_id, tasks.c.created_at >= to_us(created_from)
        )
    ).one_or_none()
    return None if row is None else _task(row)


def begin(conn: Connection, task_id: TaskId, run: int, token: Token, now: datetime) -> Task | None:
    """
    Give the run its token and count the attempt; whoever held an earlier token can write no more.

    Return the task, or None when that run is no longer wanted.
    """
    row = conn.execute(
        sa.update(tasks)
        .where(tasks.c.task_id == task_id, tasks.c.run == run, tasks.c.state.in_(_OPEN))
        .values(
            state=TaskState.PROCESSING.value,
            attempt_token=token,
            attempts=tasks.c.attempts + 1,
            begun_at=sa.func.coalesce(tasks.c.begun_at, to_us(now)),
        )
        .returning(*_COLUMNS)
    ).one_or_none()
    return None if row is None else _task(row)


def write_steps(conn: Connection, task_id: TaskId, token: Token, steps: Iterable[SpriteWork]) -> bool:
    """Write how the steps stand."""
    written = conn.execute(
        sa.update(tasks)
        .where(tasks.c.task_id == task_id, tasks.c.attempt_token == token)
        .values(steps=_dump(steps))
    )
    return written.rowcount == 1


def finish(
    conn: Connection, task_id: TaskId, token: Token, steps: Iterable[SpriteWork], now: datetime
) -> bool:
    """Write the end of the task; its token stands no more."""
    written = conn.execute(
        sa.update(tasks)
        .where(tasks.c.task_id == task_id, tasks.c.attempt_token == token)
        .values(
            state=TaskState.FINISHED.value, steps=_dump(steps), finished_at=to_us(now), attempt_token=None
        )
    )
    return written.rowcount == 1


def stands(conn: Connection, task_id: TaskId, token: Token) -> bool:
    """Tell whether the run that has this token may still write."""
    row = conn.execute(
        sa.select(tasks.c.task_id).where(tasks.c.task_id == task_id, tasks.c.attempt_token == token)
    ).one_or_none()
    return row is not None


def hand_back(conn: Connection, task_id: TaskId, token: Token, *, is_counted: bool) -> Enqueued | None:
    """
    Let the task wait again; return what to enqueue, or None when the token stands no more.

    Args:
        is_counted: Whether the run counts as an attempt; one that was stopped by us does not.
    """
    row = conn.execute(
        sa.update(tasks)
        .where(tasks.c.task_id == task_id, tasks.c.attempt_token == token)
        .values(
            state=TaskState.WAITING.value,
            attempt_token=None,
            attempts=tasks.c.attempts - (0 if is_counted else 1),
            run=tasks.c.run + 1,
        )
        .returning(tasks.c.task_id, tasks.c.run, tasks.c.priority)
    ).one_or_none()
    return None if row is None else _enqueued(row)


def requeue(conn: Connection, task_id: TaskId, run: int) -> Enqueued | None:
    """Let an open task whose run is no more wait again; return what to enqueue. Its attempt stays counted."""
    row = conn.execute(
        sa.update(tasks)
        .where(tasks.c.task_id == task_id, tasks.c.run == run, tasks.c.state.in_(_OPEN))
        .values(state=TaskState.WAITING.value, attempt_token=None, run=tasks.c.run + 1)
        .returning(tasks.c.task_id, tasks.c.run, tasks.c.priority)
    ).one_or_none()
    return None if row is None else _enqueued(row)


def list_open(conn: Connection, *, after: TaskId, limit: int) -> list[Enqueued]:
    """Return open tasks by id, from the one behind *after*."""
    rows = conn.execute(
        sa.select(tasks.c.task_id, tasks.c.run, tasks.c.priority)
        .where(tasks.c.state.in_(_OPEN), tasks.c.task_id > after)
        .order_by(tasks.c.task_id)
        .limit(limit)
    )
    return [_enqueued(row) for row in rows]


def use_session_id(
    conn: Connection, app_id: AppId, session_id: str, *, now: datetime, until: datetime
) -> bool:
    """Take the caller's key until *until*; False, and nothing is changed, while it is in use."""
    statement = insert_into(conn, session_ids).values(
        app_id=app_id, session_id=session_id, used_until=to_us(until)
    )
    taken = conn.execute(
        statement.on_conflict_do_update(
            index_elements=["app_id", "session_id"],
            set_={"used_until": statement.excluded.used_until},
            where=session_ids.c.used_until <= to_us(now),
        ).returning(session_ids.c.session_id)
    )
    return taken.one_or_none() is not None


def delete_session_ids(conn: Connection, now: datetime) -> int:
    """Forget the callers' keys whose window is over; return how many."""
    return conn.execute(sa.delete(session_ids).where(session_ids.c.used_until <= to_us(now))).rowcount


def _enqueued(row: Any) -> Enqueued:
    return Enqueued(task_id=TaskId(row.task_id), run=row.run, priority=row.priority)


def _task(row: Any) -> Task:
    return Task(
        task_id=TaskId(row.task_id),
        app_id=AppId(row.app_id),
        kind=TaskKind(row.kind),
        file_id=FileId(row.file_id),
        state=TaskState(row.state),
        steps=tuple(_load_work(data) for data in json.loads(row.steps)),
        priority=row.priority,
        notify_mode=NotifyMode(row.notify_mode),
        session_id=row.session_id,
        session_context=row.session_context,
        base_url=row.base_url,
        run=row.run,
        attempts=row.attempts,
        created_at=from_us(row.created_at),
        begun_at=_instant(row.begun_at),
        finished_at=_instant(row.finished_at),
    )


def _dump(steps: Iterable[SpriteWork]) -> str:
    return json.dumps([_dump_work(work) for work in steps], ensure_ascii=False)


def _dump_work(work: SpriteWork) -> dict[str, Any]:
    result, failure = work.result, work.failure
    return {
        "definition": work.definition,
        "spec": specs.to_json(work.spec),
        "state": work.state.value,
        "progress": work.progress,
        "result": result
        and {
            "tile_width_px": result.tile_width_px,
            "tile_height_px": result.tile_height_px,
            "total_count": result.total_count,
            "sheet_keys": result.sheet_keys,
            "vtt_key": result.vtt_key,
        },
        "failure": failure and {"kind": failure.kind.value, "message": failure.message},
        "begun_at": None if work.begun_at is None else to_us(work.begun_at),
        "finished_at": None if work.finished_at is None else to_us(work.finished_at),
    }


def _load_work(data: dict[str, Any]) -> SpriteWork:
    result, failure = data["result"], data["failure"]
    return SpriteWork(
        definition=data["definition"],
        spec=specs.from_json(data["spec"]),
        state=StepState(data["state"]),
        progress=data["progress"],
        result=result and SpriteResult(**{**result, "sheet_keys": tuple(result["sheet_keys"])}),
        failure=failure and Failure(kind=FailureKind(failure["kind"]), message=failure["message"]),
        begun_at=_instant(data["begun_at"]),
        finished_at=_instant(data["finished_at"]),
    )


def _instant(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else from_us(microseconds)
