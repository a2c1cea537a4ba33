"""Events: pull and confirm them, and say how they are to be delivered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_pascal

from vodsprite.api.call import Call, Fields
from vodsprite.api.params import Request
from vodsprite.apps.app import DeliveryMode, Subscription
from vodsprite.errors import InvalidInput
from vodsprite.events import EventType
from vodsprite.wire import payloads

Switch = Literal["ON", "OFF"]
Handle = Annotated[str, Field(max_length=256)]


class PullEventsRequest(Request):
    """PullEvents, 2018-07-17."""

    model_config = ConfigDict(alias_generator=to_pascal)

    ext_info: str = ""


class ConfirmEventsRequest(Request):
    """ConfirmEvents, 2018-07-17."""

    model_config = ConfigDict(alias_generator=to_pascal)

    event_handles: list[Handle]
    ext_info: str = ""


class ModifyEventConfigRequest(Request):
    """ModifyEventConfig, 2018-07-17. What is absent keeps its value; an empty address or key is cleared."""

    model_config = ConfigDict(alias_generator=to_pascal)

    mode: Literal["PUSH", "PULL"] | None = None
    notification_url: str | None = None
    upload_media_complete_event_switch: Switch | None = None
    delete_media_complete_event_switch: Switch | None = None
    persistence_complete_event_switch: Switch | None = None
    sign_key: str | None = None


class DescribeEventConfigRequest(Request):
    """DescribeEventConfig, 2018-07-17."""


class ModifyEventNotificationConfigForConsoleRequest(Request):
    """ModifyEventNotificationConfigForConsole, 2018-07-17. What is absent keeps its value."""

    model_config = ConfigDict(alias_generator=to_pascal)

    mode: Literal["PUSH", "PULL"] | None = None
    notification_url_v3: str | None = Field(None, alias="NotificationUrlV3")
    notification_url_v2: str | None = Field(None, alias="NotificationUrlV2")
    upload_media_complete_event_switch: Switch | None = None
    transcode_complete_event_switch: Switch | None = None
    create_snapshot_by_time_offset_complete_event_switch: Switch | None = None
    create_image_sprite_complete_event_switch: Switch | None = None
    concat_media_complete_event_switch: Switch | None = None
    delete_media_complete_event_switch: Switch | None = None


class DescribeEventsStateRequest(Request):
    """DescribeEventsState, 2018-07-17."""


async def pull_events(call: Call, request: PullEventsRequest) -> Fields:
    """Lease up to 16 events, waiting for the first; an empty list when none came."""
    pulled = await call.parts.pulls.long_poll(call.app.app_id)
    return {"EventSet": [payloads.render_v3(one.event, handle=one.handle) for one in pulled]}


def confirm_events(call: Call, request: ConfirmEventsRequest) -> Fields:
    """Settle the events of these handles, whichever generation pulled them."""
    call.parts.pulls.confirm(call.app.app_id, request.event_handles, now=call.now)
    return {}


def modify_event_config(call: Call, request: ModifyEventConfigRequest) -> Fields:
    """
    Change how the app's events are delivered.

    An app that gets its events both ways, which only an administrator can say, keeps that when told `PUSH`.
    The persistence switch is accepted without effect: no event of this service goes by it.
    """
    switches = {
        EventType.FILE_UPLOADED: request.upload_media_complete_event_switch,
        EventType.FILE_DELETED: request.delete_media_complete_event_switch,
    }

    def changed(old: Subscription) -> Subscription:
        return replace(
            old,
            mode=_mode(old, request.mode),
            url=old.url if request.notification_url is None else request.notification_url,
            sign_key=old.sign_key if request.sign_key is None else request.sign_key,
            muted=_muted(old, switches),
        )

    call.parts.apps.edit_subscription(call.app.app_id, changed)
    return {}


def modify_event_notification_config_for_console(
    call: Call, request: ModifyEventNotificationConfigForConsoleRequest
) -> Fields:
    """
    Change both callback addresses, the mode, and the switches of all events that have one.

    The switches of transcoding and concatenation are accepted without effect: no event of this service goes
    by them.
    """
    switches = {
        EventType.FILE_UPLOADED: request.upload_media_complete_event_switch,
        EventType.FILE_DELETED: request.delete_media_complete_event_switch,
        EventType.IMAGE_SPRITE_COMPLETE: request.create_image_sprite_complete_event_switch,
        EventType.SNAPSHOT_COMPLETE: request.create_snapshot_by_time_offset_complete_event_switch,
    }

    def changed(old: Subscription) -> Subscription:
        return replace(
            old,
            mode=_mode(old, request.mode),
            url=old.url if request.notification_url_v3 is None else request.notification_url_v3,
            url_v2=old.url_v2 if request.notification_url_v2 is None else request.notification_url_v2,
            muted=_muted(old, switches),
        )

    try:
        call.parts.apps.edit_subscription(call.app.app_id, changed)
    except InvalidInput as error:
        # The table of members knows the name that this address has in the other action.
        if error.field == "url":
            raise InvalidInput("NotificationUrlV3", error.reason) from error
        raise
    return {}


def describe_events_state(call: Call, request: DescribeEventsStateRequest) -> Fields:
    """Tell how many events could be pulled now; those that somebody holds are not among them."""
    return {"CountOfEventsToPull": call.parts.pulls.waiting(call.app.app_id, now=call.now)}


def describe_event_config(call: Call, request: DescribeEventConfigRequest) -> Fields:
    """Tell how the app's events are delivered. The key that signs them is never told."""
    subscription = call.parts.apps.subscription(call.app.app_id)
    return {
        "Mode": "PULL" if subscription.mode is DeliveryMode.PULL else "PUSH",
        "NotificationUrl": subscription.url,
        "UploadMediaCompleteEventSwitch": _switch(subscription, EventType.FILE_UPLOADED),
        "DeleteMediaCompleteEventSwitch": _switch(subscription, EventType.FILE_DELETED),
        "PersistenceCompleteEventSwitch": "OFF",
    }


def _mode(old: Subscription, told: Literal["PUSH", "PULL"] | None) -> DeliveryMode:
    if told is None:
        return old.mode
    mode = DeliveryMode[told]
    # The API has no word for BOTH and reports it as PUSH: to say so again must not change it.
    keeps = mode is DeliveryMode.PUSH and old.mode is DeliveryMode.BOTH
    return old.mode if keeps else mode


def _muted(old: Subscription, switches: Mapping[EventType, Switch | None]) -> frozenset[EventType]:
    """The event types that are off once *switches* are set; None leaves one as it is."""
    said = {event_type: switch for event_type, switch in switches.items() if switch is not None}
    off = {event_type for event_type, switch in said.items() if switch == "OFF"}
    return (old.muted - said.keys()) | off


def _switch(subscription: Subscription, event_type: EventType) -> Switch:
    return "OFF" if event_type in subscription.muted else "ON"
