"""Events through their bodies and back: what the wire carries survives."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vodsprite import samples
from vodsprite.errors import FailureKind
from vodsprite.events import (
    CoverStep,
    DeletedFile,
    DeletedPart,
    Event,
    Failure,
    FileDeleted,
    FileUploaded,
    ImageSpriteComplete,
    MediaFacts,
    NotifyMode,
    ProcedureStateChanged,
    PullComplete,
    SampleSnapshotStep,
    Snapshot,
    SnapshotComplete,
    SpriteLinks,
    SpriteStep,
    Step,
    StepState,
    TimePointStep,
)
from vodsprite.ids import FileId, TaskId
from vodsprite.video import AudioStream, VideoMetadata, VideoStream
from vodsprite.wire import payloads

texts = st.text(max_size=12)
counts = st.integers(0, 2**53)
definitions = st.integers(0, 2**31)
file_ids = st.from_regex(r"\A[1-9][0-9]{16,19}\Z").map(FileId)
task_ids = st.from_regex(r"\A[A-Za-z0-9-]{1,40}\Z").map(TaskId)
urls = st.lists(texts, max_size=3).map(tuple)
lengths_s = st.floats(0, 10**7)
times = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
whole_times = times.map(lambda time: time.replace(microsecond=0))


def failures(kinds: st.SearchStrategy[FailureKind], messages: st.SearchStrategy[str] = texts) -> Any:
    return st.builds(Failure, kind=kinds, message=messages)


def links(*, tiles: st.SearchStrategy[int] = counts) -> st.SearchStrategy[SpriteLinks]:
    return st.builds(
        SpriteLinks,
        tile_width_px=tiles,
        tile_height_px=tiles,
        total_count=counts,
        sheet_urls=urls,
        vtt_url=texts,
    )


def metadata(
    *,
    bitrates: st.SearchStrategy[int] = counts,
    lengths: st.SearchStrategy[float] = lengths_s,
    audio_lengths: st.SearchStrategy[float] = lengths_s,
    tags: st.SearchStrategy[str] = texts,
) -> st.SearchStrategy[VideoMetadata]:
    return st.builds(
        VideoMetadata,
        container=st.text(min_size=1, max_size=12),
        size_bytes=counts,
        duration_s=lengths,
        bitrate_bps=bitrates,
        width_px=counts,
        height_px=counts,
        rotation_deg=st.sampled_from([0, 90, 180, 270]),
        video_streams=st.lists(
            st.builds(
                VideoStream,
                codec=texts,
                codec_tag=tags,
                width_px=counts,
                height_px=counts,
                fps=counts,
                bitrate_bps=bitrates,
            ),
            max_size=2,
        ).map(tuple),
        audio_streams=st.lists(
            st.builds(AudioStream, codec=texts, sampling_rate_hz=counts, bitrate_bps=bitrates), max_size=2
        ).map(tuple),
        audio_duration_s=audio_lengths,
        md5=texts,
    )


def facts(*, instants: st.SearchStrategy[datetime] = times) -> st.SearchStrategy[MediaFacts]:
    return st.builds(
        MediaFacts,
        name=texts,
        created_at=instants,
        updated_at=instants,
        container_type=texts,
        media_url=texts,
        cover_url=texts,
        description=texts,
        class_id=counts,
        class_name=texts,
        class_path=texts,
        expires_at=st.none() | instants,
        source_context=texts,
        tags=urls,
        region=texts,
        path=texts,
    )


# Any events: more than the wire carries.

kinds = st.sampled_from(FailureKind)
any_failure = st.none() | failures(kinds)
any_frame: dict[str, Any] = {
    "definition": definitions,
    "state": st.sampled_from(StepState),
    "failure": any_failure,
    "progress": st.integers(0, 100),
    "begun_at": st.none() | times,
    "finished_at": st.none() | times,
}
snapshots = st.builds(Snapshot, offset_ms=counts, url=texts, failure=any_failure)
offsets = st.from_regex(r"\A[0-9]{1,3}(\.[0-9]{1,4})?[s%]\Z") | texts
any_step: st.SearchStrategy[Step] = st.one_of(
    st.builds(SpriteStep, **any_frame, sprites=st.none() | links()),
    st.builds(SampleSnapshotStep, **any_frame, by_percent=st.booleans(), interval=counts, image_urls=urls),
    st.builds(
        TimePointStep,
        **any_frame,
        offsets=st.lists(offsets, max_size=3).map(tuple),
        snapshots=st.lists(snapshots, max_size=2).map(tuple),
    ),
    st.builds(
        CoverStep, **any_frame, by_percent=st.booleans(), position=st.floats(0, 10**6), cover_url=texts
    ),
)
any_procedure = st.builds(
    ProcedureStateChanged,
    task_id=task_ids,
    file_id=file_ids,
    file_name=texts,
    file_url=texts,
    finished=st.booleans(),
    metadata=st.none() | metadata(),
    steps=st.lists(any_step, max_size=4).map(tuple),
    priority=st.integers(-10, 10),
    notify_mode=st.sampled_from(NotifyMode),
    session_context=texts,
    session_id=texts,
)
any_deletion = st.builds(
    FileDeleted,
    files=st.lists(
        st.builds(
            DeletedFile,
            file_id=file_ids,
            parts=st.lists(st.builds(DeletedPart, kind=texts, definition=definitions), max_size=2).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
)


def sprite_events(
    made: st.SearchStrategy[SpriteLinks], failed: st.SearchStrategy[Failure]
) -> st.SearchStrategy[ImageSpriteComplete]:
    common: dict[str, Any] = {"task_id": task_ids, "file_id": file_ids, "definition": definitions}
    return st.builds(ImageSpriteComplete, **common, sprites=made, failure=st.none()) | st.builds(
        ImageSpriteComplete, **common, sprites=st.none(), failure=failed
    )


any_event: st.SearchStrategy[Event] = st.one_of(
    sprite_events(links(), failures(kinds)),
    any_procedure,
    st.builds(
        SnapshotComplete,
        task_id=task_ids,
        file_id=file_ids,
        definition=definitions,
        snapshots=st.lists(snapshots, max_size=3).map(tuple),
    ),
    st.builds(
        FileUploaded,
        file_id=file_ids,
        facts=facts(),
        metadata=st.none() | metadata(),
        procedure_task_id=texts,
    ),
    st.builds(
        PullComplete,
        task_id=task_ids,
        file_id=file_ids,
        file_url=texts,
        facts=st.none() | facts(),
        metadata=st.none() | metadata(),
        failure=any_failure,
        procedure_task_id=texts,
        session_context=texts,
        session_id=texts,
    ),
    any_deletion,
)

# Events of which 3.0 carries all.

numbered = st.sampled_from([FailureKind.CONFIGURATION, FailureKind.MALFORMED, FailureKind.INTERNAL])
carried_failure = st.none() | failures(numbered)


def carried_steps(
    *, failed: st.SearchStrategy[FailureKind], instants: st.SearchStrategy[datetime]
) -> st.SearchStrategy[Step]:
    """Steps whose result is there exactly when they succeeded, as those of real tasks are."""

    def frame(state: StepState, failure: Any) -> dict[str, Any]:
        return {
            "definition": definitions,
            "state": st.just(state),
            "failure": failure,
            "progress": st.integers(0, 100),
            "begun_at": st.none() | instants,
            "finished_at": st.none() | instants,
        }

    done = frame(StepState.SUCCESS, st.none())
    position: dict[str, Any] = {"by_percent": st.booleans(), "position": st.floats(0, 10**6)}
    asked: dict[str, Any] = {"offsets": urls}
    taken = st.builds(Snapshot, offset_ms=counts, url=texts)
    successes = [
        st.builds(SpriteStep, **done, sprites=links()),
        st.builds(SampleSnapshotStep, **done, by_percent=st.booleans(), interval=counts, image_urls=urls),
        st.builds(TimePointStep, **done, **asked, snapshots=st.lists(taken, max_size=2).map(tuple)),
        st.builds(CoverStep, **done, **position, cover_url=texts),
    ]
    others = [
        step
        for other in (
            frame(StepState.PROCESSING, st.none()),
            frame(StepState.FAIL, failures(failed)),
        )
        for step in (
            st.builds(SpriteStep, **other),
            st.builds(SampleSnapshotStep, **other),
            st.builds(TimePointStep, **other, **asked),
            st.builds(CoverStep, **other, **position),
        )
    ]
    return st.one_of(*successes, *others)


carried_event: st.SearchStrategy[Event] = st.one_of(
    sprite_events(links(tiles=st.just(0)), failures(numbered)),
    st.builds(
        ProcedureStateChanged,
        task_id=task_ids,
        file_id=file_ids,
        file_name=texts,
        file_url=texts,
        finished=st.booleans(),
        metadata=st.none() | metadata(),
        steps=st.lists(carried_steps(failed=kinds, instants=whole_times), max_size=4).map(tuple),
        priority=st.integers(-10, 10),
        notify_mode=st.sampled_from(NotifyMode),
        session_context=texts,
        session_id=texts,
    ),
    st.builds(
        SnapshotComplete,
        task_id=task_ids,
        file_id=file_ids,
        definition=definitions,
        snapshots=st.lists(
            st.builds(
                Snapshot,
                offset_ms=counts,
                url=texts,
                failure=st.none() | failures(numbered, st.just("")),
            ),
            max_size=3,
        ).map(tuple),
    ),
    st.builds(
        FileUploaded,
        file_id=file_ids,
        facts=facts(instants=whole_times),
        metadata=st.none() | metadata(),
        procedure_task_id=texts,
    ),
    st.builds(
        PullComplete,
        task_id=task_ids,
        file_id=file_ids,
        file_url=texts,
        facts=st.none() | facts(instants=whole_times),
        metadata=st.none() | metadata(),
        failure=carried_failure,
        procedure_task_id=texts,
        session_context=texts,
        session_id=texts,
    ),
    any_deletion,
)


def to_text(body: Any) -> str:
    """*body* as JSON text, so that the order of members and the type of every number count."""
    return json.dumps(body, ensure_ascii=False)


def through_v3(event: Event) -> Event:
    return payloads.parse_v3(json.loads(payloads.to_bytes(payloads.render_v3(event, handle="eh-1"))))


def through_v2(event: Event) -> Event:
    body = payloads.render_v2(event)
    assert body is not None
    return payloads.parse_v2(json.loads(payloads.to_bytes(body)))


@settings(deadline=None)
@given(event=carried_event)
def test_an_event_survives_its_3_0_body(event: Event) -> None:
    """What is rendered and read again is the event, wherever the wire carries all of it."""
    assert through_v3(event) == event


@settings(deadline=None)
@given(event=any_event)
def test_a_3_0_body_survives_being_read(event: Event) -> None:
    """Reading and rendering a body again gives that body: only the first rendering loses anything."""
    assert to_text(payloads.render_v3(through_v3(event))) == to_text(payloads.render_v3(event))


@settings(deadline=None)
@given(event=any_event)
def test_a_2_0_body_survives_being_read(event: Event) -> None:
    """The same for the older format, which carries less."""
    assert to_text(payloads.render_v2(through_v2(event))) == to_text(payloads.render_v2(event))


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_the_samples_survive_both_formats(name: str) -> None:
    """A sample keeps its type, its ids and its outcome in either format."""
    event = samples.SAMPLES[name]

    for back in (through_v3(event), through_v2(event)):
        assert type(back) is type(event)
        for field in ("task_id", "file_id", "definition", "finished"):
            assert getattr(back, field, None) == getattr(event, field, None)
        assert bool(getattr(back, "failure", None)) == bool(getattr(event, "failure", None))


def test_what_3_0_does_not_carry_comes_back_as_documented() -> None:
    """A sprite task's body has no tile size and its failure only a number; times are whole seconds."""
    made = through_v3(samples.IMAGE_SPRITE_COMPLETE)
    failed = through_v3(samples.IMAGE_SPRITE_FAILED)
    uploaded = through_v3(
        replace(
            samples.FILE_UPLOADED,
            facts=replace(
                samples.FILE_UPLOADED.facts,
                created_at=samples.FILE_UPLOADED.facts.created_at + timedelta(milliseconds=999),
            ),
        )
    )

    assert samples.IMAGE_SPRITE_COMPLETE.sprites is not None
    assert made == replace(
        samples.IMAGE_SPRITE_COMPLETE,
        sprites=replace(samples.IMAGE_SPRITE_COMPLETE.sprites, tile_width_px=0, tile_height_px=0),
    )
    assert failed == replace(
        samples.IMAGE_SPRITE_FAILED,
        failure=Failure(kind=FailureKind.MALFORMED, message="source has no picture"),
    )
    assert uploaded == samples.FILE_UPLOADED
