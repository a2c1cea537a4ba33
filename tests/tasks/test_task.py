"""Tasks as values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vodsprite.errors import FailureKind
from vodsprite.events import Failure, ImageSpriteComplete, NotifyMode, ProcedureStateChanged
from vodsprite.ids import FIRST_APP_ID, FileId, TaskId
from vodsprite.media.media import Media, MediaState
from vodsprite.sprite.spec import PRESET_10
from vodsprite.tasks.task import (
    MOVES,
    OPEN,
    SpriteResult,
    SpriteWork,
    Task,
    TaskKind,
    TaskState,
    snapshot,
)
from vodsprite.testing.clock import START

MEDIA = Media(
    file_id=FileId("1000000000000000001"),
    app_id=FIRST_APP_ID,
    name="harbour",
    type="mp4",
    object_key="originals/1/1.mp4",
    size_bytes=1,
    state=MediaState.NORMAL,
    metadata=None,
    created_at=START,
    updated_at=START,
)
RESULT = SpriteResult(
    tile_width_px=80,
    tile_height_px=142,
    total_count=106,
    sheet_keys=("sprites/1/t/imageSprite_10_0.jpg", "sprites/1/t/imageSprite_10_1.jpg"),
    vtt_key="sprites/1/t/imageSprite_10.vtt",
)
TASK = Task(
    task_id=TaskId("t"),
    app_id=FIRST_APP_ID,
    kind=TaskKind.IMAGE_SPRITE,
    file_id=MEDIA.file_id,
    state=TaskState.PROCESSING,
    steps=(SpriteWork(definition=10, spec=PRESET_10),),
    priority=0,
    notify_mode=NotifyMode.FINISH,
    session_id="",
    session_context="",
    base_url="https://vod.example.com",
    run=1,
    attempts=1,
    created_at=START,
    begun_at=START,
    finished_at=None,
)


@pytest.mark.parametrize("state", TaskState)
def test_what_is_over_stays_over(state: TaskState) -> None:
    """Every state knows where it may go; the open ones are those that may go anywhere."""
    assert (state in OPEN) == bool(MOVES[state])
    assert state not in MOVES[state]


def test_a_sprite_task_shows_its_links_when_it_is_over() -> None:
    """Nothing before the end; then the URLs, made of the base URL and the object keys."""
    done = TASK.with_step(0, TASK.steps[0].succeeded(RESULT, START))

    assert snapshot(TASK, MEDIA, "") is None
    seen = snapshot(done.finished(START), MEDIA, "")

    assert isinstance(seen, ImageSpriteComplete)
    assert seen.sprites is not None
    assert seen.sprites.sheet_urls == (
        "https://vod.example.com/sprites/1/t/imageSprite_10_0.jpg",
        "https://vod.example.com/sprites/1/t/imageSprite_10_1.jpg",
    )
    assert seen.sprites.vtt_url == "https://vod.example.com/sprites/1/t/imageSprite_10.vtt"
    assert (seen.sprites.tile_width_px, seen.sprites.total_count) == (80, 106)


def test_a_failed_sprite_task_shows_its_failure() -> None:
    """No links then, and the reason as it was found."""
    failure = Failure(kind=FailureKind.NO_PICTURE, message="it has no picture")
    failed = TASK.with_step(0, TASK.steps[0].failed(failure, START)).finished(START)

    seen = snapshot(failed, MEDIA, "")

    assert isinstance(seen, ImageSpriteComplete)
    assert seen.sprites is None
    assert seen.failure == failure


@pytest.mark.parametrize(("state", "finished"), [(TaskState.ABORTED, True), (TaskState.WAITING, False)])
def test_a_flow_is_finished_when_its_task_is_over(state: TaskState, finished: bool) -> None:
    """A flow can be looked at in every state, and says whether there is more to come."""
    seen = snapshot(replace(TASK, kind=TaskKind.PROCEDURE, state=state), MEDIA, "https://original")

    assert isinstance(seen, ProcedureStateChanged)
    assert seen.finished is finished
    assert (seen.file_name, seen.file_url) == ("harbour", "https://original")
