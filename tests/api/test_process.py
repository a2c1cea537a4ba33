"""Starting tasks and asking what became of them, in both generations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vodsprite.errors import FailureKind
from vodsprite.events import Failure
from vodsprite.ids import TaskId
from vodsprite.tasks import table
from vodsprite.tasks.task import SpriteResult, SpriteWork
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.service import Service, start_service

EXAMPLES = Path(__file__).parents[1] / "wire" / "examples"
TASK = {"ImageSpriteTaskSet": [{"Definition": 10}]}


def example(name: str) -> Any:
    """A documented example; members keep their order."""
    return json.loads((EXAMPLES / name).read_text())


@pytest.fixture
def file_id(service: Service, tmp_path: Path) -> str:
    """A media of the primary app."""
    return service.add_media(tmp_path).file_id


def error_of(answer: dict[str, Any]) -> tuple[str, str]:
    """Code and message of an error."""
    return answer["Error"]["Code"], answer["Error"]["Message"]


class TestProcessMedia:
    """ProcessMedia starts a task flow."""

    def test_it_starts_one_task(self, service: Service, file_id: str) -> None:
        """The answer is a task id, and exactly that task was enqueued."""
        answer = service.caller.call("ProcessMedia", FileId=file_id, MediaProcessTask=TASK)

        assert list(answer) == ["TaskId", "RequestId"]
        assert [run.task_id for run in service.engine.runs] == [answer["TaskId"]]

    def test_everything_it_was_given_comes_back(self, service: Service, file_id: str) -> None:
        """Priority, notify mode, session and the order of subtasks are kept."""
        made = service.caller.call(
            "ProcessMedia",
            FileId=file_id,
            MediaProcessTask={"ImageSpriteTaskSet": [{"Definition": 10}, {"Definition": 10}]},
            TasksPriority=-3,
            TasksNotifyMode="Change",
            SessionContext="order=77",
            SessionId="job-77",
            ExtInfo="{}",
        )

        task = service.caller.call("DescribeTaskDetail", TaskId=made["TaskId"])["ProcedureTask"]
        assert task["TasksPriority"] == -3
        assert task["TasksNotifyMode"] == "Change"
        assert task["SessionContext"] == "order=77"
        assert task["SessionId"] == "job-77"
        assert [one["ImageSpriteTask"]["Input"] for one in task["MediaProcessResultSet"]] == [
            {"Definition": 10},
            {"Definition": 10},
        ]

    def test_a_session_id_is_good_once(self, service: Service, file_id: str) -> None:
        """A repeat inside the window starts nothing and is told by the documented code."""
        first = service.caller.call("ProcessMedia", FileId=file_id, MediaProcessTask=TASK, SessionId="job-77")
        again = service.caller.call("ProcessMedia", FileId=file_id, MediaProcessTask=TASK, SessionId="job-77")

        assert "TaskId" in first
        documented = example("action-ProcessMedia-error.json")["response"]["Response"]["Error"]
        assert error_of(again)[0] == documented["Code"]
        assert error_of(again)[1].lower() == documented["Message"].lower().replace("sessionid", "session id")
        assert len(service.engine.runs) == 1

    @pytest.mark.parametrize(
        ("members", "code", "named"),
        [
            ({"SessionId": "x" * 51}, "InvalidParameterValue.SessionIdTooLong", "SessionId"),
            ({"SessionContext": "x" * 1001}, "InvalidParameterValue.SessionContextTooLong", "SessionContext"),
            ({"TasksPriority": 11}, "InvalidParameterValue", "TasksPriority"),
            ({"TasksPriority": "1"}, "InvalidParameter", "TasksPriority"),
            ({"TasksNotifyMode": "Sometimes"}, "InvalidParameterValue", "TasksNotifyMode"),
            ({"FileId": "404"}, "InvalidParameterValue.FileId", "404"),
            ({"FileId": 404}, "InvalidParameter", "FileId"),
            ({"FileId": "x" * 65}, "InvalidParameterValue.FileId", "FileId"),
            ({"FileId": ""}, "MissingParameter", "FileId"),
            ({"FileId": None}, "MissingParameter", "FileId"),
            ({"MediaProcessTask": None}, "InvalidParameter", "MediaProcessTask"),
            ({"MediaProcessTask": {}}, "InvalidParameter", "MediaProcessTask"),
            ({"MediaProcessTask": []}, "InvalidParameter", "MediaProcessTask"),
            ({"MediaProcessTask": {"ImageSpriteTaskSet": []}}, "InvalidParameter", "MediaProcessTask"),
            (
                {"MediaProcessTask": {"ImageSpriteTaskSet": [{}]}},
                "MissingParameter",
                "MediaProcessTask.ImageSpriteTaskSet.0.Definition",
            ),
            (
                {"MediaProcessTask": {"ImageSpriteTaskSet": [{"Definition": "10"}]}},
                "InvalidParameter",
                "MediaProcessTask.ImageSpriteTaskSet.0.Definition",
            ),
            (
                {"MediaProcessTask": {"ImageSpriteTaskSet": [{"Definition": 99}]}},
                "InvalidParameterValue",
                "99",
            ),
            (
                {"MediaProcessTask": {"ImageSpriteTaskSet": [{"Definition": 2**64 - 1}]}},
                "InvalidParameterValue",
                "Definition",
            ),
            (
                {"MediaProcessTask": {"ImageSpriteTaskSet": [{"Definition": 10}] * 101}},
                "InvalidParameterValue",
                "ImageSpriteTaskSet",
            ),
        ],
    )
    def test_a_bad_value_is_told_with_its_name(
        self, service: Service, file_id: str, members: dict[str, Any], code: str, named: str
    ) -> None:
        """Each mistake has its documented code, its message names the culprit, and nothing starts."""
        request = {"FileId": file_id, "MediaProcessTask": TASK, **members}

        answer = service.caller.call("ProcessMedia", **request)

        assert error_of(answer)[0] == code
        assert named in error_of(answer)[1]
        assert service.engine.runs == []

    @pytest.mark.parametrize(
        ("members", "named"),
        [
            ({"AiContentReviewTask": {"Definition": 10}}, "AiContentReviewTask"),
            ({"AiAnalysisTask": {"Definition": 10}}, "AiAnalysisTask"),
            ({"AiRecognitionTask": {"Definition": 10}}, "AiRecognitionTask"),
            (
                {"MediaProcessTask": {**TASK, "TranscodeTaskSet": [{"Definition": 100}]}},
                "MediaProcessTask.TranscodeTaskSet",
            ),
            (
                {"MediaProcessTask": {**TASK, "SampleSnapshotTaskSet": [{"Definition": 10}]}},
                "MediaProcessTask.SampleSnapshotTaskSet",
            ),
            (
                {"MediaProcessTask": {"CoverBySnapshotTaskSet": [{"Definition": 10}]}},
                "MediaProcessTask.CoverBySnapshotTaskSet",
            ),
            ({"FileId": "", "Url": "http://example.com/a.mp4"}, "Url"),
            ({"FileId": "", "MediaStoragePath": "/a.mp4"}, "MediaStoragePath"),
        ],
    )
    def test_work_that_is_not_done_here_is_refused_by_name(
        self, service: Service, file_id: str, members: dict[str, Any], named: str
    ) -> None:
        """Nothing that was asked for is dropped in silence."""
        request = {"FileId": file_id, "MediaProcessTask": TASK, **members}

        answer = service.caller.call("ProcessMedia", **request)

        assert error_of(answer)[0] == "UnsupportedOperation"
        assert error_of(answer)[1].startswith(f"{named} ")
        assert service.engine.runs == []

    def test_empty_members_of_other_work_ask_for_nothing(self, service: Service, file_id: str) -> None:
        """Clients that serialise empty lists are served."""
        answer = service.caller.call(
            "ProcessMedia",
            FileId=file_id,
            MediaProcessTask={**TASK, "TranscodeTaskSet": [], "SampleSnapshotTaskSet": []},
            AiAnalysisTask={},
            Url="",
        )

        assert "TaskId" in answer

    def test_it_is_called_by_get_with_flat_names(self, service: Service, file_id: str) -> None:
        """A query has text only, and lists by number."""
        answer = service.caller.v1(
            [
                ("Action", "ProcessMedia"),
                ("Version", "2018-07-17"),
                ("FileId", file_id),
                ("MediaProcessTask.ImageSpriteTaskSet.0.Definition", "10"),
                ("TasksPriority", "5"),
            ]
        )

        assert "TaskId" in answer.json()["Response"]


class TestCreateImageSprite:
    """CreateImageSprite starts a sprite task of its own, in both generations."""

    def test_both_generations_start_the_same_kind_of_task(self, service: Service, file_id: str) -> None:
        """A task of either is found by either."""
        new = service.caller.call("CreateImageSprite", FileId=file_id, Definition=10, SessionContext="c")
        old = service.caller.call_2017("CreateImageSprite", fileId=file_id, definition="10")

        assert list(old) == list(example("action2017-CreateImageSprite.json")["response"])
        assert [run.task_id for run in service.engine.runs] == [new["TaskId"], old["vodTaskId"]]
        assert (
            service.caller.call("DescribeTaskDetail", TaskId=old["vodTaskId"])["TaskType"] == "ImageSprites"
        )
        assert service.caller.call_2017("GetTaskInfo", vodTaskId=new["TaskId"])["type"] == "imageSprite"

    def test_it_may_be_posted_in_the_2017_api(self, service: Service, file_id: str) -> None:
        """A form does what a query does."""
        answer = service.caller.call_2017(
            "CreateImageSprite", method="POST", fileId=file_id, definition="10", Region="gz"
        )

        assert answer["code"] == 0

    def test_a_session_id_is_good_once(self, service: Service, file_id: str) -> None:
        """The extension of this generation has the same guard against doubles as ProcessMedia."""
        request = {"FileId": file_id, "Definition": 10, "SessionId": "s"}
        assert "TaskId" in service.caller.call("CreateImageSprite", **request)
        again = service.caller.call("CreateImageSprite", **request)

        assert error_of(again)[0] == "InvalidParameterValue.SessionId"

    @pytest.mark.parametrize(
        ("members", "code"),
        [
            ({"FileId": None}, "MissingParameter"),
            ({"Definition": None}, "MissingParameter"),
            ({"Definition": "10"}, "InvalidParameter"),
            ({"Definition": True}, "InvalidParameter"),
            ({"Definition": 99}, "InvalidParameterValue"),
            ({"FileId": "404"}, "InvalidParameterValue.FileId"),
            ({"SessionId": "x" * 51}, "InvalidParameterValue.SessionIdTooLong"),
        ],
    )
    def test_a_bad_value_has_its_documented_code(
        self, service: Service, file_id: str, members: dict[str, Any], code: str
    ) -> None:
        """The extension speaks the codes of ProcessMedia."""
        request = {"FileId": file_id, "Definition": 10, **members}

        assert error_of(service.caller.call("CreateImageSprite", **request))[0] == code
        assert service.engine.runs == []

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({"definition": "10"}, 4000),
            ({"fileId": "404", "definition": "10"}, 10008),
            ({"fileId": "FILE", "definition": "99"}, 1000),
            ({"fileId": "FILE", "definition": "ten"}, 4000),
            ({"fileId": "FILE"}, 4000),
        ],
    )
    def test_a_bad_value_has_its_number_in_the_2017_api(
        self, service: Service, file_id: str, params: dict[str, str], code: int
    ) -> None:
        """The numbers are the documented ones; the message leads with the module's code."""
        given = {name: file_id if value == "FILE" else value for name, value in params.items()}

        answer = service.caller.call_2017("CreateImageSprite", **given)

        assert answer["code"] == code
        assert answer["message"].startswith(f"({1000 if code == 4000 else code})")
        assert service.engine.runs == []

    def test_a_missing_parameter_reads_as_documented(self, service: Service) -> None:
        """The documented example of an error, but for its wording."""
        documented = example("action2017-error.json")["response"]
        answer = service.caller.call_2017("CreateImageSprite", definition="10")

        assert answer == {**documented, "message": "(1000)fileId is required"}

    def test_an_unknown_action_is_not_supported(self, service: Service) -> None:
        """The 2017 API has no documented code for it; 6100 says that this version has no such action."""
        assert service.caller.call_2017("RedoTask", vodTaskId="x")["code"] == 6100


class TestDescribe:
    """DescribeTaskDetail and GetTaskInfo."""

    @pytest.mark.parametrize("kind", ["ProcessMedia", "CreateImageSprite"])
    def test_a_waiting_task_has_every_member_in_order(
        self, service: Service, file_id: str, kind: str
    ) -> None:
        """The members are those of the documented answer, null but for the task's own."""
        work = {"Definition": 10} if kind == "CreateImageSprite" else {"MediaProcessTask": TASK}
        task_id = service.caller.call(kind, FileId=file_id, **work)["TaskId"]

        answer = service.caller.call("DescribeTaskDetail", TaskId=task_id)

        documented = example("action-DescribeTaskDetail.json")["response"]["Response"]
        assert list(answer) == list(documented)
        assert answer["Status"] == "WAITING"
        assert answer["CreateTime"].endswith("Z")
        assert answer["BeginProcessTime"] == answer["FinishTime"] == ""
        filled = [name for name in answer if name.endswith("Task") and answer[name] is not None]
        assert filled == (["ProcedureTask"] if kind == "ProcessMedia" else [])
        if kind == "ProcessMedia":
            assert answer["TaskType"] == "Procedure"
            assert list(answer["ProcedureTask"]) == list(documented["ProcedureTask"])
            assert answer["ProcedureTask"]["Status"] == "PROCESSING"

    def test_a_waiting_task_has_no_data_in_the_2017_api(self, service: Service, file_id: str) -> None:
        """Times that have not come are 0."""
        for made in (
            service.caller.call("CreateImageSprite", FileId=file_id, Definition=10),
            service.caller.call("ProcessMedia", FileId=file_id, MediaProcessTask=TASK),
        ):
            answer = service.caller.call_2017("GetTaskInfo", vodTaskId=made["TaskId"])

            assert answer["status"] == "WAITING"
            assert answer["createTime"] > 1_700_000_000
            assert answer["beginProcessTime"] == answer["finishTime"] == 0
            assert "data" not in answer

    @pytest.mark.parametrize("task_id", ["CreateImageSprite-" + "0" * 32, "?", "x" * 257, ""])
    def test_an_unknown_task_is_told_as_such(self, service: Service, task_id: str) -> None:
        """Whatever was never handed out does not exist."""
        answer = service.caller.call("DescribeTaskDetail", TaskId=task_id)

        assert error_of(answer)[0] == "InvalidParameterValue.TaskId"

    def test_an_unknown_task_has_its_number_in_the_2017_api(self, service: Service) -> None:
        """70014 is documented for it."""
        assert service.caller.call_2017("GetTaskInfo", vodTaskId="?")["code"] == 70014
        assert service.caller.call_2017("GetTaskInfo")["code"] == 4000

    def test_a_finished_sprite_task_looks_as_documented(self, service: Service, file_id: str) -> None:
        """Both generations show the result of the one task in their own words."""
        task_id = service.caller.call("CreateImageSprite", FileId=file_id, Definition=10)["TaskId"]
        end(service, task_id, result=RESULT)

        new = service.caller.call("DescribeTaskDetail", TaskId=task_id)
        old = service.caller.call_2017("GetTaskInfo", vodTaskId=task_id)

        documented = example("action-DescribeTaskDetail-image-sprite-2017.json")["response"]["Response"]
        assert list(new) == list(documented)
        assert new["Status"] == "FINISH"
        assert new["BeginProcessTime"].endswith("Z")
        assert new["FinishTime"].endswith("Z")
        sprites = new["CreateImageSpriteTask"]
        assert sorted(sprites) == sorted(documented["CreateImageSpriteTask"])
        base = f"http://127.0.0.1:{service.port}"
        assert sprites["ImageSpriteUrlSet"] == [f"{base}/{RESULT.sheet_keys[0]}"]
        assert sprites["WebVttUrl"] == f"{base}/{RESULT.vtt_key}"
        assert sprites["ErrCode"] == 0
        documented_2017 = example("action2017-GetTaskInfo.json")["response"]
        assert list(old) == list(documented_2017)
        assert list(old["data"]) == list(documented_2017["data"])
        assert old["status"] == "FINISH"
        assert old["finishTime"] >= old["beginProcessTime"] >= old["createTime"] > 0
        assert old["data"]["imageSpriteUrl"] == sprites["ImageSpriteUrlSet"]

    def test_a_failed_sprite_task_says_why(self, service: Service, file_id: str) -> None:
        """The error code and a message stand where a result would."""
        task_id = service.caller.call("CreateImageSprite", FileId=file_id, Definition=10)["TaskId"]
        end(service, task_id, failure=Failure(kind=FailureKind.NO_PICTURE, message="it has sound only"))

        sprites = service.caller.call("DescribeTaskDetail", TaskId=task_id)["CreateImageSpriteTask"]
        data = service.caller.call_2017("GetTaskInfo", vodTaskId=task_id)["data"]

        assert (sprites["ErrCode"], sprites["Message"]) == (60000, "it has sound only")
        assert (sprites["TotalCount"], sprites["ImageSpriteUrlSet"], sprites["WebVttUrl"]) == (0, [], "")
        assert (data["status"], data["message"]) == (30009, "it has sound only")

    def test_a_finished_task_flow_shows_its_subtasks(self, service: Service, file_id: str) -> None:
        """The flow is finished whether or not its subtasks succeeded."""
        task_id = service.caller.call("ProcessMedia", FileId=file_id, MediaProcessTask=TASK)["TaskId"]
        end(service, task_id, result=RESULT)

        new = service.caller.call("DescribeTaskDetail", TaskId=task_id)["ProcedureTask"]
        old = service.caller.call_2017("GetTaskInfo", vodTaskId=task_id)

        assert new["Status"] == "FINISH"
        [subtask] = new["MediaProcessResultSet"]
        assert subtask["ImageSpriteTask"]["Output"]["TotalCount"] == RESULT.total_count
        assert old["type"] == "Procedure"
        assert old["data"]["processTaskList"][0]["output"]["totalCount"] == RESULT.total_count

    def test_a_task_is_described_for_three_days(self, tmp_path: Path) -> None:
        """Later it is as if it had never been."""
        clock = FakeClock()
        with start_service(tmp_path, clock=clock) as service:
            media = service.add_media(tmp_path)
            task_id = service.caller.call("CreateImageSprite", FileId=media.file_id, Definition=10)["TaskId"]
            clock.advance(seconds=3 * 86400 - 1)
            assert "TaskType" in service.caller.call("DescribeTaskDetail", TaskId=task_id)
            clock.advance(seconds=2)
            gone = service.caller.call("DescribeTaskDetail", TaskId=task_id)

        assert error_of(gone)[0] == "InvalidParameterValue.TaskId"


RESULT = SpriteResult(
    tile_width_px=142,
    tile_height_px=80,
    total_count=13,
    sheet_keys=("sprites/1/t/imageSprite_10_0.jpg",),
    vtt_key="sprites/1/t/imageSprite_10.vtt",
)


def end(
    service: Service, task_id: str, *, result: SpriteResult | None = None, failure: Failure | None = None
) -> None:
    """Let a run of the task have ended, as its runner writes it down."""
    now = service.parts.clock.now()
    token = service.parts.ids.token()

    def ended(step: SpriteWork) -> SpriteWork:
        if result is not None:
            return step.begun(now).succeeded(result, now)
        assert failure is not None
        return step.begun(now).failed(failure, now)

    with service.parts.database.transaction() as conn:
        task = table.begin(conn, TaskId(task_id), 1, token, now)
        assert task is not None
        assert table.finish(conn, task.task_id, token, [ended(step) for step in task.steps], now)
