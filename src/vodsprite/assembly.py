"""From settings to parts that work together: the only place that builds concrete things."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from starlette.applications import Starlette

from vodsprite import __version__
from vodsprite.api.app import ApiSettings, create_app
from vodsprite.apps.registry import AppRegistry
from vodsprite.clock import Clock, SystemClock
from vodsprite.database.engine import Database, DatabaseSettings
from vodsprite.database.upgrade import is_current, upgrade
from vodsprite.database.wakeup import Wakeup
from vodsprite.delivery.dispatcher import Dispatcher, DispatcherSettings
from vodsprite.delivery.outbox import Outbox
from vodsprite.delivery.pull import PullQueue, PullSettings
from vodsprite.delivery.replay import EventLog
from vodsprite.errors import AppNotFound, DataFolderError, DataFolderLocked, SettingsError
from vodsprite.folder import DataFolder
from vodsprite.housekeeping import Housekeeper, Keeping
from vodsprite.ids import RandomIds
from vodsprite.media.links import Links, ensure_path_key
from vodsprite.media.registry import MediaRegistry
from vodsprite.outbound.addresses import AddressRules
from vodsprite.outbound.http import Outbound
from vodsprite.parts import Parts
from vodsprite.settings import Settings
from vodsprite.sprite.spec import Accuracy
from vodsprite.storage.store import Store
from vodsprite.tasks.dbos_engine import DbosEngine, EngineSettings
from vodsprite.tasks.failover import Reconciler
from vodsprite.tasks.process import Limits
from vodsprite.tasks.queue import TaskQueue, TaskSettings
from vodsprite.tasks.runner import Runner, RunnerSettings
from vodsprite.tasks.worker import RenderWorker
from vodsprite.templates.catalog import TemplateCatalog

log = structlog.get_logger()

MIB = 1024 * 1024
OTHERS_SET_UP_WITHIN_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The parts of one installation, with what only a running service asks for."""

    parts: Parts
    engine: DbosEngine
    outbox: Outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What runs while the service is up."""

    api: Starlette
    worker: RenderWorker
    dispatcher: Dispatcher
    housekeeper: Housekeeper
    outbound: Outbound
    clock: Clock


@contextmanager
def open_parts(settings: Settings) -> Iterator[Parts]:
    """
    Open the installation that *settings* name, for a command that works beside a service or without one.

    A new folder is set up as the service's first start would.

    Raises:
        DataFolderError: The folder cannot be used, or a service of another version holds it.
    """
    folder = DataFolder(settings.data)
    folder.prepare()
    _set_up(settings, folder)
    with _opened(settings) as installation:
        yield installation.parts


@contextmanager
def open_installation(settings: Settings, folder: DataFolder) -> Iterator[Installation]:
    """
    Bring the tables up, see to the first app and credential, and open everything. The caller holds *folder*.

    Raises:
        SchemaTooNew: A newer version wrote the database.
    """
    database = Database(DatabaseSettings(url=settings.effective_database_url()))
    try:
        upgrade(database, backup_folder=settings.data / "backups")
    finally:
        database.close()
    with _opened(settings) as installation:
        _ensure_credential(settings, folder, installation.parts)
        yield installation


def build_service(settings: Settings, installation: Installation, *, public_url: str | None) -> Service:
    """
    Build what runs while the service is up.

    Args:
        public_url: What the URLs in results start with; None takes the `Host` of the submitting request.
    """
    parts, engine = installation.parts, installation.engine
    runner = Runner(
        parts.database,
        parts.store,
        parts.media,
        engine,
        installation.outbox,
        parts.wakeup,
        parts.links,
        parts.clock,
        parts.ids,
        RunnerSettings(
            work_folder=settings.data / "work",
            absolute_vtt_urls=settings.vtt_urls == "absolute",
            limits=Limits(
                time_base_s=settings.render_timeout_base_s,
                time_factor=settings.render_timeout_factor,
                memory_bytes=settings.render_memory_mib * MIB,
                tiles=settings.tile_limit,
            ),
        ),
    )
    reconciler = Reconciler(parts.database, engine)
    outbound = Outbound(AddressRules.parse(settings.outbound_allow), user_agent=f"vodsprite/{__version__}")
    dispatcher = Dispatcher(
        parts.database,
        outbound,
        parts.clock,
        parts.ids,
        random.Random(),  # noqa: S311  jitter, not a secret
        parts.wakeup,
        DispatcherSettings(alone=parts.database.is_sqlite),
    )
    return Service(
        api=create_app(
            parts,
            ApiSettings(
                public_url=public_url, trust_host=public_url is None, clock_skew_s=settings.clock_skew_s
            ),
        ),
        worker=RenderWorker(engine, runner, reconciler),
        dispatcher=dispatcher,
        housekeeper=Housekeeper(
            parts.database,
            parts.store,
            parts.media,
            reconciler,
            parts.pulls,
            Keeping(settled_s=settings.keep_settled_s, dead_s=settings.keep_dead_s),
        ),
        outbound=outbound,
        clock=parts.clock,
    )


def _set_up(settings: Settings, folder: DataFolder) -> None:
    """See to it that the installation is one: by our own hands, or those of the process that has it."""
    end = time.monotonic() + OTHERS_SET_UP_WITHIN_S
    while not _is_set_up(settings):
        try:
            with folder.hold(), open_installation(settings, folder):
                return
        except DataFolderLocked as held:
            # Who holds it may be starting at this moment.
            if time.monotonic() > end:
                raise DataFolderError(
                    f"{held}; it is of another version, whose own vodsprite command works beside it"
                ) from held
        time.sleep(0.05)


def _is_set_up(settings: Settings) -> bool:
    database = Database(DatabaseSettings(url=settings.effective_database_url()))
    try:
        if not is_current(database):
            return False
        AppRegistry(database, SystemClock(), RandomIds()).find(None)
    except AppNotFound:
        return False
    finally:
        database.close()
    return True


@contextmanager
def _opened(settings: Settings) -> Iterator[Installation]:
    clock, ids = SystemClock(), RandomIds()
    database = Database(DatabaseSettings(url=settings.effective_database_url()))
    engine = DbosEngine(database, EngineSettings(concurrency=settings.renders))
    wakeup = Wakeup(database)
    try:
        store = Store.from_url(settings.effective_store_url())
        outbox = Outbox(ids)
        media = MediaRegistry(database, store, clock, ids)
        templates = TemplateCatalog(database, clock)
        links = Links(ensure_path_key(database), settings.original_link_s)
        pull_settings = PullSettings(
            lease_s=settings.lease_s, wait_s=settings.pull_wait_s, retention_s=settings.retention_s
        )
        task_settings = TaskSettings(accuracy=Accuracy(settings.accuracy))
        parts = Parts(
            database=database,
            apps=AppRegistry(database, clock, ids),
            templates=templates,
            media=media,
            links=links,
            tasks=TaskQueue(
                database, engine, media, templates, outbox, wakeup, links, clock, ids, task_settings
            ),
            pulls=PullQueue(database, wakeup, clock, ids, pull_settings),
            events=EventLog(database, outbox, wakeup, clock),
            store=store,
            wakeup=wakeup,
            clock=clock,
            ids=ids,
        )
        yield Installation(parts=parts, engine=engine, outbox=outbox)
    finally:
        wakeup.close()
        engine.close()
        database.close()


def _ensure_credential(settings: Settings, folder: DataFolder, parts: Parts) -> None:
    """See to the primary app and the first credential: the given one, the kept one, or a new one."""
    given = settings.secret_id, settings.secret_key.get_secret_value()
    if bool(given[0]) != bool(given[1]):
        raise SettingsError("settings secret_id and secret_key go together: set both or neither")
    if given[0]:
        parts.apps.ensure_primary(*given)
        return
    kept = folder.read_credential()
    if kept is None:
        kept = parts.ids.secret_id(), parts.ids.secret_key()
        # Kept before it counts: after a crash in between, the next start finds and uses it.
        folder.keep_credential(*kept)
        log.info("made a credential", file=str(folder.credentials_path), show="vodsprite key show")
    parts.apps.ensure_primary(*kept)
