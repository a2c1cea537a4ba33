"""Pulling, confirming and configuring events over HTTP."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from vodsprite.apps.app import DeliveryMode
from vodsprite.clock import to_us
from vodsprite.events import DeletedFile, EventType, FileDeleted
from vodsprite.ids import FileId
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.service import Service, sprite_event, start_service
from vodsprite.wire import signing

EXAMPLES = Path(__file__).parents[1] / "wire" / "examples"


def example(name: str) -> Any:
    """A documented example; members keep their order."""
    return json.loads((EXAMPLES / name).read_text())


def handles(answer: dict[str, Any]) -> list[str]:
    """The handles of pulled events."""
    return [one["EventHandle"] for one in answer["EventSet"]]


class TestPull:
    """PullEvents and PullEvent drain one queue."""

    def test_a_pulled_event_looks_as_documented(self, service: Service) -> None:
        """The handle, the type, every member in order, the payload in the one that the type fills."""
        service.record(sprite_event())

        [event] = service.caller.call("PullEvents")["EventSet"]

        [documented, *_] = example("pull-events.json")["Response"]["EventSet"]
        assert list(event) == list(documented)
        assert event["EventType"] == "CreateImageSpriteComplete"
        payload = event["CreateImageSpriteCompleteEvent"]
        assert sorted(payload) == sorted(documented["CreateImageSpriteCompleteEvent"])
        assert payload["FileId"] == "14508071098244931777"
        assert payload["TotalCount"] == 131
        filled = [name for name, value in event.items() if isinstance(value, dict)]
        assert filled == ["CreateImageSpriteCompleteEvent"]

    def test_an_event_pulled_by_the_2017_api_looks_as_documented(self, service: Service) -> None:
        """The old generation renders the same queue in its own format."""
        service.record(sprite_event())

        answer = service.caller.call_2017("PullEvent")

        documented = example("action2017-PullEvent.json")["response"]
        assert list(answer) == list(documented)
        [event] = answer["eventList"]
        [shown] = documented["eventList"]
        assert list(event) == list(shown)
        assert list(event["eventContent"]) == list(shown["eventContent"])
        assert list(event["eventContent"]["data"]) == list(shown["eventContent"]["data"])
        assert event["eventContent"]["version"] == "4.0"

    def test_nothing_is_an_empty_list(self, service: Service) -> None:
        """Clients loop over what they get; null would break them."""
        answer = service.caller.tc3("PullEvents", b"{}")
        assert answer.json()["Response"]["EventSet"] == []
        documented = example("action2017-PullEvent.json")["response"]
        assert service.caller.call_2017("PullEvent") == {**documented, "eventList": []}

    def test_at_most_sixteen_come_at_once(self, service: Service) -> None:
        """The rest waits for the next pull."""
        for number in range(1, 19):
            service.record(sprite_event(number))

        assert [len(service.caller.call("PullEvents")["EventSet"]) for _ in range(2)] == [16, 2]

    def test_a_poll_that_waits_answers_as_soon_as_something_happens(self, tmp_path: Path) -> None:
        """A consumer that asked before the event does not wait for its time to be over."""
        with start_service(tmp_path, wait_s=60) as service:
            answers: list[dict[str, Any]] = []
            poll = threading.Thread(target=lambda: answers.append(service.caller.call("PullEvents")))
            poll.start()
            service.wakeup.until_waiting(1)
            service.record(sprite_event())
            poll.join(timeout=10)

            assert [len(answer["EventSet"]) for answer in answers] == [1]

    def test_an_unconfirmed_event_comes_back_under_a_new_handle(self, tmp_path: Path) -> None:
        """It is hidden for 30 s, and its first handle is stale then."""
        clock = FakeClock()
        with start_service(tmp_path, clock=clock) as service:
            service.record(sprite_event())
            [first] = handles(service.caller.call("PullEvents"))
            clock.advance(seconds=29)
            assert service.caller.call("PullEvents")["EventSet"] == []
            clock.advance(seconds=2)
            [second] = handles(service.caller.call("PullEvents"))

            assert second != first
            late = service.caller.call("ConfirmEvents", EventHandles=[first])
            assert late["Error"]["Code"] == "InvalidParameterValue"
            assert first in late["Error"]["Message"]
            assert "Error" not in service.caller.call("ConfirmEvents", EventHandles=[second])

    def test_a_client_that_leaves_takes_no_event_with_it(self, tmp_path: Path) -> None:
        """An event that happens after the poller hung up goes to the next one at once."""
        with start_service(tmp_path, wait_s=60) as service:
            leaver = socket.create_connection(("127.0.0.1", service.port))
            leaver.sendall(signed_pull(service))
            service.wakeup.until_waiting(1)
            leaver.close()
            service.wakeup.until_waiting(0)
            service.record(sprite_event())

            assert len(service.caller.call("PullEvents")["EventSet"]) == 1

    def test_apps_have_queues_of_their_own(self, service: Service) -> None:
        """Nobody pulls or confirms another app's events."""
        other = service.parts.apps.create("other")
        service.record(sprite_event(), app_id=other.app_id)

        assert service.caller.call("PullEvents")["EventSet"] == []
        [handle] = handles(service.caller.call("PullEvents", SubAppId=other.app_id))
        foreign = service.caller.call("ConfirmEvents", EventHandles=[handle])
        assert foreign["Error"]["Code"] == "InvalidParameterValue"
        own = service.caller.call("ConfirmEvents", EventHandles=[handle], SubAppId=other.app_id)
        assert "Error" not in own


class TestConfirm:
    """ConfirmEvents and ConfirmEvent."""

    def test_a_confirmed_event_is_gone(self, tmp_path: Path) -> None:
        """It does not come back when its lease would have ended."""
        clock = FakeClock()
        with start_service(tmp_path, clock=clock) as service:
            service.record(sprite_event())
            answer = service.caller.call(
                "ConfirmEvents", EventHandles=handles(service.caller.call("PullEvents"))
            )
            clock.advance(seconds=60)

            assert list(answer) == ["RequestId"]
            assert service.caller.call("PullEvents")["EventSet"] == []

    @pytest.mark.parametrize("start", [0, 1, 5])
    def test_the_2017_api_counts_handles_from_anywhere(self, tmp_path: Path, start: int) -> None:
        """Samples of that time begin at 0 or at 1; gaps are tolerated."""
        clock = FakeClock()
        with start_service(tmp_path, clock=clock) as service:
            service.record(sprite_event(1))
            service.record(sprite_event(2))
            first, second = (one["msgHandle"] for one in service.caller.call_2017("PullEvent")["eventList"])
            given = {f"msgHandle__{start}": first, f"msgHandle__{start + 2}": second}
            answer = service.caller.call_2017("ConfirmEvent", **given)
            clock.advance(seconds=60)

            assert answer == example("action2017-ConfirmEvent.json")["response"]
            assert service.caller.call_2017("PullEvent")["eventList"] == []

    def test_either_generation_confirms_what_the_other_pulled(self, service: Service) -> None:
        """A handle is a handle."""
        service.record(sprite_event())
        [handle] = handles(service.caller.call("PullEvents"))

        assert service.caller.call_2017("ConfirmEvent", msgHandle__0=handle)["code"] == 0
        assert "Error" not in service.caller.call("ConfirmEvents", EventHandles=[handle])

    def test_good_handles_count_although_others_are_stale(self, tmp_path: Path) -> None:
        """The error names the stale ones; the good ones are settled."""
        clock = FakeClock()
        with start_service(tmp_path, clock=clock) as service:
            service.record(sprite_event())
            [good] = handles(service.caller.call("PullEvents"))
            mixed = service.caller.call("ConfirmEvents", EventHandles=[good, "stale-one"])
            mixed_2017 = service.caller.call_2017("ConfirmEvent", msgHandle__0="stale-one")
            clock.advance(seconds=60)

            assert mixed["Error"]["Code"] == "InvalidParameterValue"
            assert "stale-one" in mixed["Error"]["Message"]
            assert good not in mixed["Error"]["Message"]
            assert mixed_2017["code"] == 4000
            assert service.caller.call("PullEvents")["EventSet"] == []

    @pytest.mark.parametrize(
        ("members", "code"),
        [
            ({}, "MissingParameter"),
            ({"EventHandles": []}, "InvalidParameterValue"),
            ({"EventHandles": ["h"] * 17}, "InvalidParameterValue"),
            ({"EventHandles": "h"}, "InvalidParameter"),
            ({"EventHandles": [1]}, "InvalidParameter"),
            ({"EventHandles": ["x" * 257]}, "InvalidParameterValue"),
        ],
    )
    def test_a_bad_list_of_handles_has_its_code(
        self, service: Service, members: dict[str, Any], code: str
    ) -> None:
        """One call confirms 1 to 16 handles, which are texts."""
        error = service.caller.call("ConfirmEvents", **members)["Error"]

        assert error["Code"] == code
        assert error["Message"].startswith("EventHandles")

    def test_the_2017_api_needs_a_handle_too(self, service: Service) -> None:
        """None, or one that is not in a list, is a parameter error."""
        assert service.caller.call_2017("ConfirmEvent")["code"] == 4000
        assert service.caller.call_2017("ConfirmEvent", msgHandle="x")["code"] == 4000


class TestConfig:
    """ModifyEventConfig and DescribeEventConfig."""

    def test_a_new_app_has_the_documented_defaults(self, service: Service) -> None:
        """Every member is there, in the documented order, and never the sign key."""
        answer = service.caller.call("DescribeEventConfig")

        assert list(answer) == list(example("action-DescribeEventConfig.json")["response"]["Response"])
        del answer["RequestId"]
        assert answer == {
            "Mode": "PUSH",
            "NotificationUrl": "",
            "UploadMediaCompleteEventSwitch": "OFF",
            "DeleteMediaCompleteEventSwitch": "OFF",
            "PersistenceCompleteEventSwitch": "OFF",
        }

    def test_what_is_absent_keeps_its_value(self, service: Service) -> None:
        """Each member is changed on its own."""
        changes: list[dict[str, Any]] = [
            {"NotificationUrl": "https://app.example.com/cb"},
            {"Mode": "PULL"},
            {"UploadMediaCompleteEventSwitch": "ON"},
            {"SignKey": "callbackKey0001"},
            {"DeleteMediaCompleteEventSwitch": "ON"},
            {"UploadMediaCompleteEventSwitch": "OFF"},
            {"PersistenceCompleteEventSwitch": "ON"},
            {},
        ]
        for change in changes:
            assert list(service.caller.call("ModifyEventConfig", **change)) == ["RequestId"]

        answer = service.caller.call("DescribeEventConfig")
        subscription = service.parts.apps.subscription(service.primary.app_id)
        assert answer["NotificationUrl"] == "https://app.example.com/cb"
        assert answer["Mode"] == "PULL"
        assert answer["UploadMediaCompleteEventSwitch"] == "OFF"
        assert answer["DeleteMediaCompleteEventSwitch"] == "ON"
        assert subscription.sign_key == "callbackKey0001"
        assert subscription.muted == {EventType.FILE_UPLOADED}

    def test_an_empty_address_or_key_is_cleared(self, service: Service) -> None:
        """Present and empty is not the same as absent."""
        service.caller.call("ModifyEventConfig", NotificationUrl="http://a.example/cb", SignKey="abc")
        service.caller.call("ModifyEventConfig", NotificationUrl="", SignKey="")

        assert service.caller.call("DescribeEventConfig")["NotificationUrl"] == ""
        assert service.parts.apps.subscription(service.primary.app_id).sign_key == ""

    def test_an_empty_address_is_cleared_by_a_form_too(self, service: Service) -> None:
        """A query can say that a value is there and empty."""
        service.caller.call("ModifyEventConfig", NotificationUrl="http://a.example/cb")
        service.caller.v1(
            [("Action", "ModifyEventConfig"), ("Version", "2018-07-17"), ("NotificationUrl", "")]
        )

        assert service.caller.call("DescribeEventConfig")["NotificationUrl"] == ""

    def test_both_ways_is_reported_as_push_and_kept_when_told_push(self, service: Service) -> None:
        """The API has no word for it, so saying what it reports must not change it."""
        app_id = service.primary.app_id
        service.parts.apps.change_subscription(app_id, mode=DeliveryMode.BOTH)

        assert service.caller.call("DescribeEventConfig")["Mode"] == "PUSH"
        service.caller.call("ModifyEventConfig", Mode="PUSH")
        assert service.parts.apps.subscription(app_id).mode is DeliveryMode.BOTH
        service.caller.call("ModifyEventConfig", Mode="PULL")
        assert service.parts.apps.subscription(app_id).mode is DeliveryMode.PULL

    @pytest.mark.parametrize(
        "change",
        [
            {"Mode": "BOTH"},
            {"Mode": "push"},
            {"Mode": 1},
            {"NotificationUrl": "ftp://a.example/"},
            {"NotificationUrl": "http://"},
            {"NotificationUrl": "http://a.example/" + "x" * 3000},
            {"SignKey": "x" * 33},
            {"SignKey": "not-alphanumeric"},
            {"UploadMediaCompleteEventSwitch": "YES"},
            {"UploadMediaCompleteEventSwitch": True},
        ],
    )
    def test_a_bad_value_changes_nothing(self, service: Service, change: dict[str, Any]) -> None:
        """InvalidParameter is the one code that this action documents, and its message names the member."""
        answer = service.caller.call("ModifyEventConfig", DeleteMediaCompleteEventSwitch="ON", **change)

        assert answer["Error"]["Code"] == "InvalidParameter"
        assert answer["Error"]["Message"].startswith(next(iter(change)))
        assert service.caller.call("DescribeEventConfig")["DeleteMediaCompleteEventSwitch"] == "OFF"

    def test_a_switch_decides_whether_an_event_is_queued(self, service: Service) -> None:
        """Deletions are silent until asked for."""
        deleted = FileDeleted(files=(DeletedFile(file_id=FileId("1")),))
        service.record(deleted)
        assert service.caller.call("PullEvents")["EventSet"] == []

        service.caller.call("ModifyEventConfig", DeleteMediaCompleteEventSwitch="ON")
        service.record(deleted)

        [event] = service.caller.call("PullEvents")["EventSet"]
        assert event["EventType"] == "FileDeleted"


class TestConsoleConfig:
    """ModifyEventNotificationConfigForConsole: every switch, and an address for each format."""

    def test_both_addresses_stand_side_by_side(self, service: Service) -> None:
        """Each is set, kept and cleared on its own; the other action sees the 3.0 one."""
        action = "ModifyEventNotificationConfigForConsole"
        service.caller.call(
            action, NotificationUrlV3="http://a.example/3", NotificationUrlV2="http://a.example/2"
        )
        service.caller.call(action, NotificationUrlV3="")
        answer = service.caller.call(action, Mode="PULL", NotificationUrlV3="http://b.example/3")

        subscription = service.parts.apps.subscription(service.primary.app_id)
        assert list(answer) == ["RequestId"]
        assert (subscription.url, subscription.url_v2) == ("http://b.example/3", "http://a.example/2")
        assert subscription.mode is DeliveryMode.PULL
        assert service.caller.call("DescribeEventConfig")["NotificationUrl"] == "http://b.example/3"

    @pytest.mark.parametrize(
        ("switch", "event_type"),
        [
            ("UploadMediaCompleteEventSwitch", EventType.FILE_UPLOADED),
            ("CreateSnapshotByTimeOffsetCompleteEventSwitch", EventType.SNAPSHOT_COMPLETE),
            ("CreateImageSpriteCompleteEventSwitch", EventType.IMAGE_SPRITE_COMPLETE),
            ("DeleteMediaCompleteEventSwitch", EventType.FILE_DELETED),
        ],
    )
    def test_each_switch_mutes_its_own_event(
        self, service: Service, switch: str, event_type: EventType
    ) -> None:
        """Off mutes it, on lets it sound, and no other event is touched."""
        action = "ModifyEventNotificationConfigForConsole"
        app_id = service.primary.app_id
        before = service.parts.apps.subscription(app_id).muted

        service.caller.call(action, **{switch: "OFF"})
        assert service.parts.apps.subscription(app_id).muted == before | {event_type}
        service.caller.call(action, **{switch: "ON"})
        assert service.parts.apps.subscription(app_id).muted == before - {event_type}

    def test_a_muted_sprite_event_is_not_queued(self, service: Service) -> None:
        """The switch of the main event does what it says."""
        service.caller.call(
            "ModifyEventNotificationConfigForConsole", CreateImageSpriteCompleteEventSwitch="OFF"
        )
        service.record(sprite_event())

        assert service.caller.call("PullEvents")["EventSet"] == []

    def test_switches_of_what_we_never_send_are_accepted(self, service: Service) -> None:
        """A console that sends every switch gets no error, and nothing changes."""
        before = service.parts.apps.subscription(service.primary.app_id).muted
        answer = service.caller.call(
            "ModifyEventNotificationConfigForConsole",
            TranscodeCompleteEventSwitch="ON",
            ConcatMediaCompleteEventSwitch="OFF",
        )

        assert list(answer) == ["RequestId"]
        assert service.parts.apps.subscription(service.primary.app_id).muted == before

    @pytest.mark.parametrize(
        "change",
        [
            {"Mode": "BOTH"},
            {"NotificationUrlV3": "ftp://a.example/"},
            {"NotificationUrlV2": "http://"},
            {"CreateImageSpriteCompleteEventSwitch": "on"},
        ],
    )
    def test_a_bad_value_changes_nothing(self, service: Service, change: dict[str, Any]) -> None:
        """The message names the member as this action calls it."""
        answer = service.caller.call(
            "ModifyEventNotificationConfigForConsole", DeleteMediaCompleteEventSwitch="ON", **change
        )

        assert answer["Error"]["Code"] == "InvalidParameter"
        assert answer["Error"]["Message"].startswith(next(iter(change)) + " ")
        assert service.caller.call("DescribeEventConfig")["DeleteMediaCompleteEventSwitch"] == "OFF"

    def test_calls_at_once_that_change_different_switches_both_hold(self, service: Service) -> None:
        """Reading, changing and writing is one step: no call writes back what another has just changed."""
        upload, delete = "UploadMediaCompleteEventSwitch", "DeleteMediaCompleteEventSwitch"
        for turn in range(8):
            value = ("ON", "OFF")[turn % 2]
            both = threading.Barrier(2)

            def change(switch: str, value: str = value, both: threading.Barrier = both) -> None:
                both.wait()
                service.caller.call("ModifyEventConfig", **{switch: value})

            callers = [threading.Thread(target=change, args=(switch,)) for switch in (upload, delete)]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join(timeout=10)

            config = service.caller.call("DescribeEventConfig")
            assert (config[upload], config[delete]) == (value, value)


class TestState:
    """DescribeEventsState."""

    def test_it_counts_what_could_be_pulled(self, service: Service) -> None:
        """Every waiting event of the app, and none that somebody holds."""
        other = service.parts.apps.create("other")
        for number in range(1, 19):
            service.record(sprite_event(number))
        service.record(sprite_event(), app_id=other.app_id)

        answer = service.caller.call("DescribeEventsState")
        assert list(answer) == list(example("action-DescribeEventsState.json")["response"]["Response"])
        assert answer["CountOfEventsToPull"] == 18
        service.caller.call("PullEvents")
        assert service.caller.call("DescribeEventsState")["CountOfEventsToPull"] == 2
        theirs = service.caller.call("DescribeEventsState", SubAppId=other.app_id)
        assert theirs["CountOfEventsToPull"] == 1


def signed_pull(service: Service) -> bytes:
    """A raw, signed PullEvents request."""
    headers = {"content-type": "application/json", "host": service.caller.host}
    signed = signing.sign_tc3(
        signing.SignedRequest(method="POST", headers=headers, body=b"{}"),
        secret_id=service.caller.secret_id,
        secret_key=service.caller.secret_key,
        timestamp=to_us(service.parts.clock.now()) // 1_000_000,
    )
    lines = ["POST / HTTP/1.1", *(f"{name}: {value}" for name, value in {**headers, **signed}.items())]
    lines += ["X-TC-Action: PullEvents", "X-TC-Version: 2018-07-17", "Content-Length: 2", "", "{}"]
    return "\r\n".join(lines).encode()
