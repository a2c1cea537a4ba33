"""Tasks as values: their states, what became of each step, and how the outside sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from vodsprite.events import (
    Failure,
    ImageSpriteComplete,
    NotifyMode,
    ProcedureStateChanged,
    SpriteLinks,
    SpriteStep,
    StepState,
)
from vodsprite.ids import AppId, FileId, TaskId
from vodsprite.media.media import Media, SpriteSetRecord
from vodsprite.sprite.spec import SpriteSpec


class TaskKind(Enum):
    """What started a task, which decides the event at its end."""

    IMAGE_SPRITE = "image_sprite"  # a sprite set on its own
    PROCEDURE = "procedure"  # a task flow of one or more steps


class TaskState(Enum):
    """Where a task stands."""

    WAITING = "waiting"  # for a worker
    PROCESSING = "processing"  # a run has it
    FINISHED = "finished"  # every step has its result or its failure
    ABORTED = "aborted"  # given up on somebody's word


MOVES: dict[TaskState, frozenset[TaskState]] = {
    TaskState.WAITING: frozenset({TaskState.PROCESSING, TaskState.ABORTED}),
    TaskState.PROCESSING: frozenset({TaskState.WAITING, TaskState.FINISHED, TaskState.ABORTED}),
    TaskState.FINISHED: frozenset(),
    TaskState.ABORTED: frozenset(),
}
"""From each state, where it may go. Back to waiting: the run was handed back or died."""

OPEN = frozenset(state for state, targets in MOVES.items() if targets)
"""The states of a task that is not over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpriteResult:
    """A finished sprite set by object key."""

    tile_width_px: int
    tile_height_px: int
    total_count: int  # tiles over all sheets
    sheet_keys: tuple[str, ...]  # in order
    vtt_key: str

    @property
    def object_keys(self) -> tuple[str, ...]:
        """The keys of all its objects."""
        return (*self.sheet_keys, self.vtt_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpriteWork:
    """One step of a task: a sprite set by a copy of a template's spec."""

    definition: int
    spec: SpriteSpec
    state: StepState = StepState.PROCESSING
    progress: int = 0  # percent
    result: SpriteResult | None = None
    failure: Failure | None = None
    begun_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it still has to be done."""
        return self.state is StepState.PROCESSING

    def begun(self, now: datetime) -> SpriteWork:
        """Return the step as it is once a run took it up."""
        return self if self.begun_at is not None else replace(self, begun_at=now)

    def at(self, percent: int) -> SpriteWork:
        """Return the step with that much of it done."""
        return replace(self, progress=percent)

    def succeeded(self, result: SpriteResult, now: datetime) -> SpriteWork:
        """Return the step with its result."""
        return replace(self, state=StepState.SUCCESS, progress=100, result=result, finished_at=now)

    def failed(self, failure: Failure, now: datetime) -> SpriteWork:
        """Return the step with its failure."""
        return replace(self, state=StepState.FAIL, failure=failure, finished_at=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One piece of asynchronous work on one media."""

    task_id: TaskId
    app_id: AppId
    kind: TaskKind
    file_id: FileId
    state: TaskState
    steps: tuple[SpriteWork, ...]  # in the order asked for
    priority: int  # -10 to 10, higher first
    notify_mode: NotifyMode
    session_id: str
    session_context: str
    base_url: str  # what the URLs of its results start with, without a slash at the end
    run: int  # counts enqueues, from 1
    attempts: int  # runs begun that were not handed back
    created_at: datetime
    begun_at: datetime | None
    finished_at: datetime | None

    @property
    def open_step(self) -> int | None:
        """The index of the first step that still has to be done; None when all are."""
        return next((index for index, step in enumerate(self.steps) if step.is_open), None)

    def finished(self, now: datetime) -> Task:
        """Return the task at its end."""
        return replace(self, state=TaskState.FINISHED, finished_at=now)

    def with_step(self, index: int, step: SpriteWork) -> Task:
        """Return the task with that step in place of its earlier form."""
        return replace(self, steps=(*self.steps[:index], step, *self.steps[index + 1 :]))


def record_of(task: Task, work: SpriteWork, result: SpriteResult, now: datetime) -> SpriteSetRecord:
    """Return what the media registry keeps of a step's result."""
    return SpriteSetRecord(
        file_id=task.file_id,
        definition=work.definition,
        task_id=task.task_id,
        tile_width_px=result.tile_width_px,
        tile_height_px=result.tile_height_px,
        total_count=result.total_count,
        sheet_keys=result.sheet_keys,
        vtt_key=result.vtt_key,
        created_at=now,
    )


def snapshot(task: Task, media: Media, file_url: str) -> ImageSpriteComplete | ProcedureStateChanged | None:
    """
    Return how the outside sees *task* now; it is also the event of this moment.

    A sprite task on its own has nothing to show before it is over, hence None.
    """
    if task.kind is TaskKind.IMAGE_SPRITE:
        return _sprite_complete(task)
    return ProcedureStateChanged(
        task_id=task.task_id,
        file_id=task.file_id,
        file_name=media.name,
        file_url=file_url,
        finished=task.state not in OPEN,
        metadata=media.metadata,
        steps=tuple(_step(work, task.base_url) for work in task.steps),
        priority=task.priority,
        notify_mode=task.notify_mode,
        session_context=task.session_context,
        session_id=task.session_id,
    )


def _sprite_complete(task: Task) -> ImageSpriteComplete | None:
    [work] = task.steps
    if task.state is not TaskState.FINISHED:
        return None
    return ImageSpriteComplete(
        task_id=task.task_id,
        file_id=task.file_id,
        definition=work.definition,
        sprites=_links(work, task.base_url),
        failure=work.failure,
    )


def _step(work: SpriteWork, base_url: str) -> SpriteStep:
    return SpriteStep(
        definition=work.definition,
        state=work.state,
        sprites=_links(work, base_url),
        failure=work.failure,
        progress=work.progress,
        begun_at=work.begun_at,
        finished_at=work.finished_at,
    )


def _links(work: SpriteWork, base_url: str) -> SpriteLinks | None:
    result = work.result
    if result is None:
        return None
    return SpriteLinks(
        tile_width_px=result.tile_width_px,
        tile_height_px=result.tile_height_px,
        total_count=result.total_count,
        sheet_urls=tuple(f"{base_url}/{key}" for key in result.sheet_keys),
        vtt_url=f"{base_url}/{result.vtt_key}",
    )
