"""Sample events for trying out a receiver."""

from __future__ import annotations

import pytest

from vodsprite import samples
from vodsprite.delivery.trial import sample_event
from vodsprite.errors import InvalidInput, Unsupported
from vodsprite.events import EventType, ImageSpriteComplete, ProcedureStateChanged, SpriteStep
from vodsprite.wire import payloads


@pytest.mark.parametrize("kind", EventType)
def test_every_type_has_a_sample_under_the_name_that_it_travels_by(kind: EventType) -> None:
    """Nothing has to be said beside the type."""
    assert sample_event(payloads.event_type_name(kind)) == samples.sample(kind)


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_every_sample_can_be_had_by_its_own_name(name: str) -> None:
    """Failures and half-done flows too."""
    assert sample_event(name) == samples.SAMPLES[name]


def test_members_are_changed_by_the_names_that_a_receiver_sees() -> None:
    """Texts are taken as they are, numbers are JSON, and paths lead into lists and objects."""
    sprite = sample_event(
        "CreateImageSpriteComplete", {"FileId": "17", "Definition": "20", "ImageSpriteUrlSet.1": "http://a/b"}
    )
    flow = sample_event(
        "ProcedureStateChanged",
        {"SessionContext": "order=1", "MediaProcessResultSet.0.ImageSpriteTask.Output.TotalCount": "5"},
    )

    assert isinstance(sprite, ImageSpriteComplete)
    assert (sprite.file_id, sprite.definition) == ("17", 20)
    assert sprite.sprites is not None
    assert sprite.sprites.sheet_urls[1] == "http://a/b"
    assert isinstance(flow, ProcedureStateChanged)
    assert flow.session_context == "order=1"
    assert isinstance(flow.steps[0], SpriteStep)
    assert flow.steps[0].sprites is not None
    assert flow.steps[0].sprites.total_count == 5


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("CreateImageSpriteComplete", {"Size": "1"}, "Size is no member; there are .*Definition"),
        ("CreateImageSpriteComplete", {"Definition": "ten"}, "Definition is no text"),
        ("CreateImageSpriteComplete", {"ImageSpriteUrlSet.7": "x"}, "a list of 2"),
        ("CreateImageSpriteComplete", {"Definition.x": "1"}, "no object"),
        ("image-sprite-failed", {"TotalCount": "5"}, "cannot be 5"),
        ("NewFileUpload", {"MediaBasicInfo.CreateTime": "yesterday"}, "CreateTime"),
    ],
)
def test_what_would_be_no_event_is_refused(name: str, changes: dict[str, str], told: str) -> None:
    """The refusal names the member."""
    with pytest.raises(InvalidInput, match=told):
        sample_event(name, changes)


def test_an_unknown_type_is_refused_with_those_that_exist() -> None:
    """A typo is answered with the list."""
    with pytest.raises(Unsupported, match="CreateImageSpriteComplete"):
        sample_event("CreateImageSprite")
