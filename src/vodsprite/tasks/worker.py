"""What makes a process render: the engine brings runs, the runner carries them out, none is forgotten."""

from __future__ import annotations

import threading

import structlog

from vodsprite.tasks.engine import Engine
from vodsprite.tasks.failover import Reconciler
from vodsprite.tasks.runner import Runner

log = structlog.get_logger()

RECONCILE_EVERY_S = 60.0
_ENDING_S = 12.0  # what stopped renders may take to hand their tasks back, on top of the grace


class RenderWorker:
    """Starts and stops what renders."""

    def __init__(self, engine: Engine, runner: Runner, reconciler: Reconciler) -> None:
        self._engine = engine
        self._runner = runner
        self._reconciler = reconciler
        self._stopping = threading.Event()
        self._minutely = threading.Thread(target=self._reconcile_on, name="reconciler", daemon=True)

    def start(self) -> None:
        """Begin to render; what an earlier process left comes first."""
        self._runner.prepare()
        self._engine.prepare()
        self._engine.start(self._runner.execute)
        self._minutely.start()

    def stop(self, grace_s: float) -> None:
        """Take up nothing more; give running renders *grace_s* seconds, then hand their tasks back."""
        self._stopping.set()
        # The engine stops handing out at once, then waits for what the drain brings to an end.
        engine = threading.Thread(target=self._engine.stop, kwargs={"grace_s": grace_s + _ENDING_S})
        engine.start()
        self._runner.drain(grace_s=grace_s)
        engine.join()
        self._minutely.join()

    def _reconcile_on(self) -> None:
        while True:
            try:
                self._reconciler.reconcile()
            except Exception:  # a fence: it is tried again a minute later
                log.exception("the reconciler failed")
            if self._stopping.wait(RECONCILE_EVERY_S):
                return
