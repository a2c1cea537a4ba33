"""
A further event type is the recipe and nothing more: a value, a payload row, a sample.

The recipe is followed on a copy of the package, as a contributor would on a checkout, and the copy is then
used from outside like any other installation.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import vodsprite
from vodsprite.apps.app import DeliveryMode
from vodsprite.assembly import open_parts
from vodsprite.client import Client
from vodsprite.settings import load
from vodsprite.testing.receiver import Receiver
from vodsprite.testing.served import Served

EXAMPLE = Path(__file__).parents[1] / "wire/examples/event-concat-complete.json"
SECRET_ID, SECRET_KEY = "AKIDrecipe", "recipeSecretKey"

# File -> what is put before which line of it, each of which it has exactly once.
RECIPE: dict[str, list[tuple[str, str]]] = {
    "events.py": [
        (
            "\n\n@dataclass(frozen=True, slots=True, kw_only=True)\nclass Failure:",
            '    CONCAT_COMPLETE = "concat_complete"  # files were joined into one\n',
        ),
        (
            "Event = (\n",
            "@dataclass(frozen=True, slots=True, kw_only=True)\n"
            "class ConcatComplete:\n"
            '    """Files were joined into one."""\n\n'
            "    task_id: TaskId\n"
            "    file_id: FileId\n"
            "    file_url: str\n"
            "    file_type: str\n\n\n",
        ),
        ("    ImageSpriteComplete | ProcedureStateChanged", "    ConcatComplete |\n"),
        (
            "    ImageSpriteComplete: EventType.IMAGE_SPRITE_COMPLETE,\n",
            "    ConcatComplete: EventType.CONCAT_COMPLETE,\n",
        ),
    ],
    "wire/payloads.py": [
        ("    EventType,\n    FileDeleted,\n", "    ConcatComplete,\n"),
        (
            "_ROWS: tuple[_Row[Any], ...] = (\n",
            "def _concat_task(event):\n"
            '    info = {"ErrCode": 0, "Message": "", "FileId": event.file_id}\n'
            '    info |= {"FileUrl": event.file_url, "FileType": event.file_type}\n'
            '    return {"TaskId": event.task_id, "FileInfoSet": [info]}\n\n\n'
            "def _read_concat_task(task):\n"
            '    info = task.children("FileInfoSet")[0]\n'
            "    return ConcatComplete(\n"
            '        task_id=task.text("TaskId"),\n'
            '        file_id=info.text("FileId"),\n'
            '        file_url=info.text("FileUrl"),\n'
            '        file_type=info.text("FileType"),\n'
            "    )\n\n\n",
        ),
        (
            ")\n\n_BY_TYPE = ",
            "    _Row(\n"
            "        value=ConcatComplete,\n"
            '        name="ConcatComplete",\n'
            '        member="ConcatCompleteEvent",\n'
            "        build=_concat_task,\n"
            "        parse=_read_concat_task,\n"
            "        v2=None,\n"
            "    ),\n",
        ),
    ],
    "samples.py": [
        ("    CoverStep,\n    DeletedFile,\n", "    ConcatComplete,\n"),
        (
            "SAMPLES: dict[str, Event] = {\n",
            "CONCAT_COMPLETE = ConcatComplete(\n"
            '    task_id=TaskId("Concat-ab6c040066603ef2519d512b21dce9ab"),\n'
            "    file_id=_PULLED_FILE,\n"
            '    file_url=f"{_ORIGINALS}/harbour.mp4",\n'
            '    file_type="mp4",\n'
            ")\n\n",
        ),
        (
            '    "image-sprite-complete": IMAGE_SPRITE_COMPLETE,\n',
            '    "concat-complete": CONCAT_COMPLETE,\n',
        ),
    ],
}


def follow_recipe(package: Path) -> None:
    for name, steps in RECIPE.items():
        path = package / name
        text = path.read_text(encoding="utf-8")
        for before, added in steps:
            assert text.count(before) == 1, (name, before)
            text = text.replace(before, added + before)
        path.write_text(text, encoding="utf-8")


def test_a_type_that_is_added_by_the_recipe_is_pushed_and_pulled(tmp_path: Path) -> None:
    """It leaves as the documented example, both ways."""
    code, data = tmp_path / "code", tmp_path / "data"
    shutil.copytree(Path(vodsprite.__file__).parent, code / "vodsprite")
    follow_recipe(code / "vodsprite")
    environment = {"PYTHONPATH": str(code)}
    settings = {"outbound_allow": "loopback", "secret_id": SECRET_ID, "secret_key": SECRET_KEY}
    example = json.loads(EXAMPLE.read_text(encoding="utf-8"))

    with (
        Receiver() as receiver,
        Served(data, settings=settings, environment=environment) as served,
    ):
        with open_parts(load(data=data)) as parts:
            app_id = parts.apps.find(None).app_id
            parts.apps.change_subscription(app_id, mode=DeliveryMode.BOTH, url=receiver.url)
        command(data, environment, "events", "trigger", "ConcatComplete")

        assert ordered(receiver.wait_for(1)[0].json()) == ordered(example)
        [pulled] = asyncio.run(pull(served.url))
        assert next(iter(pulled)) == "EventHandle"
        del pulled["EventHandle"]
        assert ordered(pulled) == ordered(example)


def command(data: Path, environment: dict[str, str], *words: str) -> None:
    """Run a command of the copy."""
    subprocess.run(
        [sys.executable, "-m", "vodsprite.cli.main", *words, "--data", str(data)],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        timeout=60,
    )


async def pull(url: str) -> Any:
    async with Client(url, SECRET_ID, SECRET_KEY) as client:
        return (await client.call("PullEvents"))["EventSet"]


def ordered(body: Any) -> str:
    """*body* as text, so that the order of members counts."""
    return json.dumps(body, ensure_ascii=False)
