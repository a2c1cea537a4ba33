"""The running service: what is started, in which order, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import structlog
import uvicorn

from vodsprite import logs
from vodsprite.assembly import Service, build_service, open_installation
from vodsprite.errors import SettingsError
from vodsprite.folder import DataFolder
from vodsprite.settings import Settings

log = structlog.get_logger()

SWEEP_INTERVAL_S = 60
CONNECTIONS_GRACE_S = 2  # a long poll is cut after that; its client pulls again


def run(settings: Settings) -> None:
    """
    Run the service until it is told to stop (SIGTERM or SIGINT; a second one stops it at once).

    Raises:
        DataFolderLocked: Another process serves this folder.
        DataFolderError: The folder cannot be used.
        SettingsError: The address is taken or not ours.
    """
    logs.set_up(settings.log_format)
    folder = DataFolder(settings.data)
    folder.prepare()
    with (
        folder.hold(wait_s=1),
        _listen(settings) as listener,
        open_installation(settings, folder) as installation,
    ):
        url = _local_url(settings.host, listener.getsockname()[1])
        service = build_service(settings, installation, public_url=_public_url(settings, url))
        asyncio.run(_serve(settings, service, listener, url))


def _where_the_key_is(settings: Settings) -> dict[str, str]:
    kept = DataFolder(settings.data).credentials_path
    return {"credentials": str(kept)} if kept.exists() and not settings.secret_id else {}


def _local_url(host: str, port: int) -> str:
    """The address under which this machine reaches the service."""
    wildcards = {"": "127.0.0.1", "0": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
    name = wildcards.get(host, host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _public_url(settings: Settings, local_url: str) -> str | None:
    if settings.public_url:
        return settings.public_url
    if not settings.is_wildcard_host:
        return local_url
    log.warning(
        "results will name the Host that each request came to; set public_url to what the outside should use",
        host=settings.host,
    )
    return None


class _Server(uvicorn.Server):
    """uvicorn, without its signal handling: the renders must be drained before the process may go."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(settings: Settings, service: Service, listener: socket.socket, url: str) -> None:
    server = _Server(
        uvicorn.Config(
            service.api,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=CONNECTIONS_GRACE_S,
        )
    )
    stopping = asyncio.Event()
    _on_signal(stopping, server)
    await asyncio.to_thread(service.worker.start)
    dispatching = asyncio.create_task(service.dispatcher.run())
    sweeping = asyncio.create_task(_sweep(service, stopping))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    watching = asyncio.create_task(stopping.wait())
    log.info("listening", url=url, data=str(settings.data), **_where_the_key_is(settings))
    try:
        await asyncio.wait({serving, dispatching, sweeping, watching}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.set()
        server.should_exit = True
        service.dispatcher.stop()
        drained = asyncio.to_thread(service.worker.stop, settings.drain_s)
        results = await asyncio.gather(serving, dispatching, sweeping, drained, return_exceptions=True)
        watching.cancel()
        await service.outbound.close()
        log.info("stopped")
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _on_signal(stopping: asyncio.Event, server: uvicorn.Server) -> None:
    def stop(name: str) -> None:
        if stopping.is_set():
            log.warning("stopping at once", signal=name)
            # The renders' children end with us, and their tasks are picked up at the next start.
            signal.raise_signal(signal.SIGKILL)
        log.info("stopping", signal=name)
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)


async def _sweep(service: Service, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        try:
            await asyncio.to_thread(service.housekeeper.sweep, service.clock.now())
        except Exception:  # a fence: what failed is swept again a minute later
            log.exception("a sweep failed")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), SWEEP_INTERVAL_S)


@contextlib.contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio turns Nagle's delay off only where the protocol is named; with it, answers wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {settings.host} port {settings.port}: {error.strerror}; "
                "name another with --host and --port"
            ) from error
        listener.listen(2048)
        yield listener
    finally:
        listener.close()
