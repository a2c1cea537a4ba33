"""
Well-formed sample events, one of every type and of the ways in which they end.

They never change between runs: documentation shows them, tests round-trip them, and a receiver can be tried
out with them. Whoever adds an event type adds its sample here.
"""

from __future__ import annotations

from datetime import UTC, datetime

from vodsprite.errors import FailureKind
from vodsprite.events import (
    TYPE_OF,
    CoverStep,
    DeletedFile,
    Event,
    EventType,
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
    StepState,
    TimePointStep,
)
from vodsprite.ids import FileId, TaskId
from vodsprite.video import AudioStream, VideoMetadata, VideoStream

_FILE = FileId("5285890812345678901")
_PULLED_FILE = FileId("5285890812345678902")
_LONG_FILE = FileId("14508071098244931777")  # above 2^63, which an id may well be

_ORIGINALS = "http://media.example.com/3fa85f64vodlocal1500000001/8277e0915285890812345678901"
_DERIVED = "http://media.example.com/3fa85f64vodtranslocal1500000001/8277e0915285890812345678901"

_BEGUN = datetime(2026, 3, 2, 8, 16, 1, tzinfo=UTC)
_FINISHED = datetime(2026, 3, 2, 8, 16, 5, tzinfo=UTC)

_METADATA = VideoMetadata(
    container="mov,mp4,m4a,3gp,3g2,mj2",
    size_bytes=7_340_032,
    duration_s=125.4,
    bitrate_bps=1_048_576,
    width_px=1280,
    height_px=720,
    rotation_deg=0,
    video_streams=(VideoStream(codec="h264", width_px=1280, height_px=720, fps=25, bitrate_bps=917_504),),
    audio_streams=(AudioStream(codec="aac", sampling_rate_hz=48_000, bitrate_bps=131_072),),
    audio_duration_s=125.38,
)

_SPRITE_STEP = SpriteStep(
    definition=10,
    state=StepState.SUCCESS,
    sprites=SpriteLinks(
        tile_width_px=142,
        tile_height_px=80,
        total_count=13,
        sheet_urls=(f"{_DERIVED}/imageSprite/imageSprite_10_0.jpg",),
        vtt_url=f"{_DERIVED}/imageSprite/imageSprite_10.vtt",
    ),
    progress=100,
    begun_at=_BEGUN,
    finished_at=_FINISHED,
)

IMAGE_SPRITE_COMPLETE = ImageSpriteComplete(
    task_id=TaskId("CreateImageSprite-f9180cb9286c49c4f3a6c793798b9ddf"),
    file_id=_LONG_FILE,
    definition=10,
    sprites=SpriteLinks(
        tile_width_px=142,
        tile_height_px=80,
        total_count=131,
        sheet_urls=(
            f"{_DERIVED}/imageSprite/imageSprite_10_0.jpg",
            f"{_DERIVED}/imageSprite/imageSprite_10_1.jpg",
        ),
        vtt_url=f"{_DERIVED}/imageSprite/imageSprite_10.vtt",
    ),
    failure=None,
)

IMAGE_SPRITE_FAILED = ImageSpriteComplete(
    task_id=IMAGE_SPRITE_COMPLETE.task_id,
    file_id=_LONG_FILE,
    definition=10,
    sprites=None,
    failure=Failure(kind=FailureKind.NO_PICTURE, message="source has no picture"),
)

PROCEDURE_FINISHED = ProcedureStateChanged(
    task_id=TaskId("1500000001-procedurev2-ec6ef230f1828039ee794566b9c58adctt0"),
    file_id=_FILE,
    file_name="harbour",
    file_url=f"{_ORIGINALS}/harbour.mp4",
    finished=True,
    metadata=_METADATA,
    steps=(
        _SPRITE_STEP,
        SampleSnapshotStep(
            definition=10,
            state=StepState.SUCCESS,
            by_percent=True,
            interval=10,
            image_urls=tuple(f"{_DERIVED}/sampleSnapshot/sampleSnapshot_10_{n}.jpg" for n in range(10)),
            progress=100,
            begun_at=_BEGUN,
            finished_at=_FINISHED,
        ),
        TimePointStep(
            definition=10,
            state=StepState.SUCCESS,
            offsets=("3.5s", "50%"),
            snapshots=tuple(
                Snapshot(
                    offset_ms=offset_ms,
                    url=f"{_DERIVED}/snapshotByTimeOffset/snapshotByTimeOffset_10_{n}.jpg",
                )
                for n, offset_ms in enumerate((3_500, 62_700))
            ),
            progress=100,
            begun_at=_BEGUN,
            finished_at=_FINISHED,
        ),
        CoverStep(
            definition=10,
            state=StepState.SUCCESS,
            by_percent=True,
            position=25.0,
            cover_url=f"{_DERIVED}/coverBySnapshot/coverBySnapshot_10_0.jpg",
            progress=100,
            begun_at=_BEGUN,
            finished_at=_FINISHED,
        ),
    ),
    session_context="order=77",
    session_id="job-77",
)

PROCEDURE_PROCESSING = ProcedureStateChanged(
    task_id=TaskId("1500000001-procedurev2-7bc3ca68769437ce986455407dab2a1ftt0"),
    file_id=_FILE,
    file_name="harbour",
    file_url=f"{_ORIGINALS}/harbour.mp4",
    finished=False,
    metadata=_METADATA,
    steps=(
        _SPRITE_STEP,
        SampleSnapshotStep(definition=10, state=StepState.PROCESSING, progress=40, begun_at=_BEGUN),
    ),
    notify_mode=NotifyMode.CHANGE,
    session_context="order=77",
)

PROCEDURE_FAILED = ProcedureStateChanged(
    task_id=TaskId("1500000001-procedurev2-1d665b9b1467944c128a5575119d1cfdtt0"),
    file_id=_FILE,
    file_name="harbour",
    file_url=f"{_ORIGINALS}/harbour.mp4",
    finished=True,
    metadata=_METADATA,
    steps=(
        SpriteStep(
            definition=10007,
            state=StepState.FAIL,
            failure=Failure(
                kind=FailureKind.CONFIGURATION,
                message="a sheet of 10 columns of 2000 px is 20000 px wide; 15000 px are allowed",
            ),
            begun_at=_BEGUN,
            finished_at=_FINISHED,
        ),
    ),
    session_context="order=77",
    session_id="job-78",
)

SNAPSHOT_COMPLETE = SnapshotComplete(
    task_id=TaskId("CreateSnapshotByTimeOffset-2b9ed9314c9b75f085fcf7356337d30b"),
    file_id=_LONG_FILE,
    definition=10,
    snapshots=(
        Snapshot(offset_ms=1_500, url=f"{_DERIVED}/snapshotByTimeOffset/snapshotByTimeOffset_10_0.jpg"),
        Snapshot(offset_ms=990_000, url="", failure=Failure(kind=FailureKind.INTERNAL, message="")),
    ),
)

FILE_UPLOADED = FileUploaded(
    file_id=_FILE,
    facts=MediaFacts(
        name="harbour",
        created_at=datetime(2026, 3, 2, 8, 15, 0, tzinfo=UTC),
        updated_at=datetime(2026, 3, 2, 8, 15, 4, tzinfo=UTC),
        container_type="mp4",
        media_url=f"{_ORIGINALS}/harbour.mp4",
        class_name="Other",
        class_path="Other",
        source_context="order=77",
        region="local",
    ),
    metadata=_METADATA,
    procedure_task_id=PROCEDURE_FINISHED.task_id,
)

PULL_COMPLETE = PullComplete(
    task_id=TaskId("1500000001-pull-e4774cdda0793f86414e8b9140bb6db4tt0"),
    file_id=_PULLED_FILE,
    file_url=f"{_ORIGINALS}/lagoon.mp4",
    facts=MediaFacts(
        name="lagoon",
        created_at=datetime(2026, 3, 2, 8, 15, 0, tzinfo=UTC),
        updated_at=datetime(2026, 3, 2, 8, 15, 4, tzinfo=UTC),
        container_type="mp4",
        media_url=f"{_ORIGINALS}/lagoon.mp4",
        class_name="Other",
        class_path="Other",
        source_context="pull=9",
        region="local",
    ),
    metadata=_METADATA,
    session_context="order=78",
    session_id="pull-78",
)

PULL_FAILED = PullComplete(
    task_id=TaskId("1500000001-pull-0f4137ed1502b5045d6083aa258b5c42tt0"),
    file_id=FileId(""),
    file_url="",
    facts=None,
    failure=Failure(kind=FailureKind.NOT_ACCESSIBLE, message="the source answered 404"),
    session_context="order=79",
    session_id="pull-79",
)

FILE_DELETED = FileDeleted(files=(DeletedFile(file_id=_PULLED_FILE),))

SAMPLES: dict[str, Event] = {
    "image-sprite-complete": IMAGE_SPRITE_COMPLETE,
    "image-sprite-failed": IMAGE_SPRITE_FAILED,
    "procedure-finished": PROCEDURE_FINISHED,
    "procedure-processing": PROCEDURE_PROCESSING,
    "procedure-failed": PROCEDURE_FAILED,
    "snapshot-complete": SNAPSHOT_COMPLETE,
    "file-uploaded": FILE_UPLOADED,
    "pull-complete": PULL_COMPLETE,
    "pull-failed": PULL_FAILED,
    "file-deleted": FILE_DELETED,
}
"""Every sample under a name for people; the first of each type is the one in which all went well."""


def sample(event_type: EventType) -> Event:
    """Return the sample of *event_type* in which all went well."""
    return next(event for event in SAMPLES.values() if TYPE_OF[type(event)] is event_type)
