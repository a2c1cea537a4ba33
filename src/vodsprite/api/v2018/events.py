"""Events: pull and confirm them, and say how they are to be delivered."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_pascal

from vodsprite.api.call import Call, Fields
from vodsprite.api.params import Request
from vodsprite.apps.app import DeliveryMode, Subscription
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
    apps = call.parts.apps
    now_set = apps.subscription(call.app.app_id)
    mode = None if request.mode is None else DeliveryMode[request.mode]
    if mode is DeliveryMode.PUSH and now_set.mode is DeliveryMode.BOTH:
        mode = None
    apps.change_subscription(
        call.app.app_id,
        mode=mode,
        url=request.notification_url,
        sign_key=request.sign_key,
        muted=_muted(now_set, request),
    )
    return {}


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


def _muted(subscription: Subscription, request: ModifyEventConfigRequest) -> frozenset[EventType] | None:
    """The event types switched off after *request*; None when it says nothing of them."""
    switches = {
        EventType.FILE_UPLOADED: request.upload_media_complete_event_switch,
        EventType.FILE_DELETED: request.delete_media_complete_event_switch,
    }
    said = {event_type: switch for event_type, switch in switches.items() if switch is not None}
    if not said:
        return None
    off = {event_type for event_type, switch in said.items() if switch == "OFF"}
    return (subscription.muted - said.keys()) | off


def _switch(subscription: Subscription, event_type: EventType) -> Switch:
    return "OFF" if event_type in subscription.muted else "ON"
