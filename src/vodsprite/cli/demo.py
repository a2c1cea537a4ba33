"""
`vodsprite demo`: the main job from end to end on a real video, each step as it happens.

A service of its own on a free port, a receiver beside it, a real video, a sprite task, the callback, the
pulled event, the files. Nothing of it touches another installation.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from vodsprite.errors import VodspriteError

VIDEO = Path(__file__).parent / "assets" / "bottle-detection.mp4"
START_LIMIT_S = 30
STEP_LIMIT_S = 60


class DemoFailed(VodspriteError):
    """A step of the demo did not do what it shows."""


@click.command()
@click.option("--keep", is_flag=True, help="Stay up afterwards, until Ctrl-C.")
@click.option(
    "--output",
    "-o",
    "output",
    type=click.Path(path_type=Path),
    default="vodsprite-demo",
    show_default=True,
    help="Folder for the sheet and the WebVTT.",
)
def demo(
    keep: bool,
    output: Path,
) -> None:
    """Show the main job on a real video: render, callback, pull, confirm."""
    try:
        _check_writable(output)
        asyncio.run(_demo(keep=keep, output=output))
    except TimeoutError as error:
        click.echo("vodsprite demo: a step took too long", err=True)
        raise click.exceptions.Exit(1) from error
    except (VodspriteError, OSError) as error:
        click.echo(f"vodsprite demo: {error}", err=True)
        raise click.exceptions.Exit(1) from error
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise click.exceptions.Exit(130) from None


def _check_writable(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise DemoFailed(f"{output} cannot be written: {error.strerror}") from error


async def _demo(*, keep: bool, output: Path) -> None:
    steps = _Steps()
    # Ended from outside, we still end the service and remove the folder.
    main = asyncio.current_task()
    if main is not None and sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, main.cancel)
    with tempfile.TemporaryDirectory(prefix="vodsprite-demo-") as folder:
        data = Path(folder) / "data"
        async with _service(data) as url, _receiver() as (callback_url, callbacks):
            steps.done("start the service", url)
            steps.say("start a receiver", callback_url)
            file_id, definition, secret = _set_up(data, callback_url)
            steps.done("register a video", f"{VIDEO.name} is FileId {file_id}")
            steps.say("make a template", f"Definition {definition}: one tile a second, 160 x 90, 8 x 5")
            await _main_job(steps, url, secret, file_id, definition, callbacks, output)
            if keep:
                _say_how_to_go_on(url, secret, data)
                await asyncio.Event().wait()


async def _main_job(
    steps: _Steps,
    url: str,
    secret: tuple[str, str],
    file_id: str,
    definition: int,
    callbacks: asyncio.Queue[bytes],
    output: Path,
) -> None:
    from vodsprite.client import CallFailed, Client

    try:
        async with Client(url, *secret) as client:
            asked = await client.call("CreateImageSprite", {"FileId": file_id, "Definition": definition})
            steps.done("CreateImageSprite", f"TaskId {asked['TaskId']}")
            async with asyncio.timeout(STEP_LIMIT_S):
                body = await callbacks.get()
            steps.done("render, and normal callback", f"{len(body)} bytes arrived at the receiver:")
            told = json.loads(body)
            _print_event(told)
            pulled = await _pull(client)
            steps.done("reliable callback", "PullEvents gave, without its null members:")
            _print_event(pulled)
            _agree(told, pulled, asked["TaskId"])
            await client.call("ConfirmEvents", {"EventHandles": [pulled["EventHandle"]]})
            steps.done("ConfirmEvents", "the event is gone from the queue")
    except CallFailed as error:
        raise DemoFailed(str(error)) from error
    sprites = told["CreateImageSpriteCompleteEvent"]
    files = await _fetch([*sprites["ImageSpriteUrlSet"], sprites["WebVttUrl"]], output)
    steps.done("fetch the files", "")
    for path in files:
        click.echo(f"      {path}  ({path.stat().st_size:,} bytes)")
    steps.total(f"{sprites['TotalCount']} tiles on {len(sprites['ImageSpriteUrlSet'])} sheet(s)")


def _set_up(data: Path, callback_url: str) -> tuple[str, int, tuple[str, str]]:
    """Register the video, make the template and subscribe, beside the running service."""
    from vodsprite import settings
    from vodsprite.apps.app import DeliveryMode
    from vodsprite.assembly import open_parts
    from vodsprite.folder import DataFolder
    from vodsprite.sprite.spec import EveryInterval, Grid, SpriteSpec, TileSize

    # By the defaults alone: what the environment sets belongs to another installation.
    with open_parts(settings.defaults(data)) as parts:
        app_id = parts.apps.find(None).app_id
        parts.apps.change_subscription(app_id, mode=DeliveryMode.BOTH, url=callback_url)
        media = parts.media.add_file(app_id, VIDEO)
        spec = SpriteSpec(
            sampling=EveryInterval(seconds=Fraction(1)),
            grid=Grid(rows=5, columns=8),
            tile=TileSize(width_px=160, height_px=90),
        )
        template = parts.templates.create(app_id, spec, name="demo")
    secret = DataFolder(data).read_credential()
    if secret is None:
        raise DemoFailed("the service kept no credential")
    return media.file_id, template.definition, secret


async def _pull(client: Any) -> dict[str, Any]:
    async with asyncio.timeout(STEP_LIMIT_S):
        while True:
            events: list[dict[str, Any]] = (await client.call("PullEvents"))["EventSet"]
            if events:
                return events[0]


def _agree(told: dict[str, Any], pulled: dict[str, Any], task_id: str) -> None:
    pushed_event = told["CreateImageSpriteCompleteEvent"]
    if pulled["CreateImageSpriteCompleteEvent"] != pushed_event:
        raise DemoFailed("the pushed and the pulled event differ")
    if pushed_event["TaskId"] != task_id:
        raise DemoFailed("the event is of another task")
    if pushed_event["ErrCode"] != 0:
        raise DemoFailed(f"the render failed: {pushed_event['Message']}")


def _print_event(event: dict[str, Any]) -> None:
    filled = {name: value for name, value in event.items() if value is not None}
    text = json.dumps(filled, indent=2, ensure_ascii=False)
    click.echo("\n".join("      " + line for line in text.splitlines()))


async def _fetch(urls: list[str], output: Path) -> list[Path]:
    import aiohttp

    paths = []
    async with aiohttp.ClientSession() as session:
        for url in urls:
            async with session.get(url) as answer:
                if answer.status != 200:
                    raise DemoFailed(f"{url} answered {answer.status}")
                path = output / url.rsplit("/", 1)[1]
                path.write_bytes(await answer.read())
                paths.append(path)
    return paths


def _say_how_to_go_on(url: str, secret: tuple[str, str], data: Path) -> None:
    click.echo(
        f"\nThe service stays up until Ctrl-C.\n  endpoint   {url}\n  SecretId   {secret[0]}\n"
        f"  SecretKey  {secret[1]}\n  data       {data}"
    )


@asynccontextmanager
async def _receiver() -> AsyncIterator[tuple[str, asyncio.Queue[bytes]]]:
    """Listen on a free port; yield the address, and the bodies that arrive there."""
    from aiohttp import web

    bodies: asyncio.Queue[bytes] = asyncio.Queue()

    async def receive(request: web.Request) -> web.Response:
        bodies.put_nowait(await request.read())
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_post("/callback", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}/callback", bodies
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _service(data: Path) -> AsyncIterator[str]:
    """Run `vodsprite serve` on a free port in a process of its own; yield its address."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("VODSPRITE_")}
    environment |= {"VODSPRITE_OUTBOUND_ALLOW": "loopback", "VODSPRITE_LOG_FORMAT": "json"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vodsprite.cli.main", "serve", "--port", "0", "--data", str(data)),
        env=environment,
        stderr=asyncio.subprocess.PIPE,
        # Ctrl-C is for us alone: we end the service in our own time.
        start_new_session=True,
    )
    lines: list[str] = []
    reading: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(START_LIMIT_S):
            url = await _listening(process, lines)
        reading = asyncio.create_task(_drain(process))
        yield url
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()
        if reading is not None:
            await reading


async def _listening(process: asyncio.subprocess.Process, lines: list[str]) -> str:
    if process.stderr is None:
        raise RuntimeError("standard error is a pipe")
    while line := (await process.stderr.readline()).decode(errors="replace").strip():
        lines.append(line)
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("event") == "listening":
            return str(entry["url"])
    raise DemoFailed("the service did not start:\n" + "\n".join(lines[-20:]))


async def _drain(process: asyncio.subprocess.Process) -> None:
    # A full pipe would stop the service.
    if process.stderr is not None:
        while await process.stderr.readline():
            pass


class _Steps:
    """Prints each step with the time that it took."""

    def __init__(self) -> None:
        self._begun = self._last = time.perf_counter()

    def done(self, what: str, detail: str) -> None:
        now = time.perf_counter()
        click.echo(f"{now - self._last:6.2f} s  {what:<28} {detail}")
        self._last = now

    def say(self, what: str, detail: str) -> None:
        click.echo(f"          {what:<28} {detail}")

    def total(self, detail: str) -> None:
        click.echo(f"{time.perf_counter() - self._begun:6.2f} s  in all: {detail}")
