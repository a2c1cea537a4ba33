"""Every action of the 2018-07-17 API on one screen."""

from __future__ import annotations

from vodsprite.api.call import Action, action
from vodsprite.api.v2018 import events, process, tasks, templates

_SUBMISSION = ("FileId", "SessionContextTooLong", "SessionId", "SessionIdTooLong", "SubAppId")

ACTIONS: dict[str, Action] = {
    "ProcessMedia": action(process.ProcessMediaRequest, process.process_media, values=_SUBMISSION),
    # Our extension: it lets a client of this generation raise CreateImageSpriteComplete.
    "CreateImageSprite": action(
        process.CreateImageSpriteRequest, process.create_image_sprite, values=_SUBMISSION
    ),
    "DescribeTaskDetail": action(
        tasks.DescribeTaskDetailRequest, tasks.describe_task_detail, values=("SubAppId", "TaskId")
    ),
    "DescribeImageSpriteTemplates": action(
        templates.DescribeImageSpriteTemplatesRequest,
        templates.describe_image_sprite_templates,
        values=("Definitions", "Limit", "Type"),
    ),
    "PullEvents": action(events.PullEventsRequest, events.pull_events),
    "ConfirmEvents": action(events.ConfirmEventsRequest, events.confirm_events),
    "ModifyEventConfig": action(
        events.ModifyEventConfigRequest, events.modify_event_config, bad_value="InvalidParameter"
    ),
    "DescribeEventConfig": action(
        events.DescribeEventConfigRequest, events.describe_event_config, bad_value="InvalidParameter"
    ),
    "ModifyEventNotificationConfigForConsole": action(
        events.ModifyEventNotificationConfigForConsoleRequest,
        events.modify_event_notification_config_for_console,
        bad_value="InvalidParameter",
    ),
    "DescribeEventsState": action(events.DescribeEventsStateRequest, events.describe_events_state),
}
"""Name -> action. `values` are the `InvalidParameterValue` codes that are documented for it."""
