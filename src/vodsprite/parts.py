"""The feature objects that the API, the console and the command line use."""

from __future__ import annotations

from dataclasses import dataclass

from vodsprite.apps.registry import AppRegistry
from vodsprite.clock import Clock
from vodsprite.database.engine import Database
from vodsprite.database.wakeup import Wakeup
from vodsprite.delivery.pull import PullQueue
from vodsprite.delivery.replay import EventLog
from vodsprite.ids import IdSource
from vodsprite.media.links import Links
from vodsprite.media.registry import MediaRegistry
from vodsprite.storage.store import Store
from vodsprite.tasks.queue import TaskQueue
from vodsprite.templates.catalog import TemplateCatalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that an outer layer needs to serve one installation; built by `assembly`."""

    database: Database
    apps: AppRegistry
    templates: TemplateCatalog
    media: MediaRegistry
    links: Links
    tasks: TaskQueue
    pulls: PullQueue
    events: EventLog
    store: Store
    wakeup: Wakeup
    clock: Clock
    ids: IdSource
