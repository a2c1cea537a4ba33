"""A started `vodsprite serve` in a process of its own, as a user has it, ended by its own process id."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

START_LIMIT_S = 30


class ServiceDidNotStart(AssertionError):
    """The process ended, or said nothing of listening in time; the message holds what it said."""


class Served:
    """
    Runs the service on *data* as a context manager.

    Args:
        data: The data folder.
        settings: Settings by name; they travel in the environment, as `VODSPRITE_<NAME>`.
        options: Further words of the command line.
        program: What to run instead of `-m vodsprite.cli.main`, for tests that wrap the program.
    """

    def __init__(
        self,
        data: Path,
        *,
        settings: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        program: Sequence[str] = ("-m", "vodsprite.cli.main"),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.data = data
        self.url = ""
        self.lines: list[dict[str, Any]] = []
        self._settings = {"log_format": "json", "port": "0", **(settings or {})}
        self._command = [sys.executable, *program, "serve", "--data", str(data), *options]
        self._environment = dict(environment or {})
        self._listening = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def process(self) -> subprocess.Popen[str]:
        """The started process."""
        assert self._process is not None, "the service is not started"
        return self._process

    def start(self, *, wait: bool = True) -> Self:
        """Start the process; with *wait*, return once it listens."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith("VODSPRITE_")}
        named = {f"VODSPRITE_{name.upper()}": value for name, value in self._settings.items()}
        self._listening.clear()
        self._process = subprocess.Popen(
            self._command, env={**clean, **named, **self._environment}, stderr=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        if wait and not (self._listening.wait(START_LIMIT_S) and self.url):
            self.kill()
            raise ServiceDidNotStart("\n".join(json.dumps(line) for line in self.lines[-20:]))
        return self

    def stop(self, *, timeout_s: float = 30) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(timeout_s=timeout_s)

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        self.process.kill()
        self.wait()

    def wait(self, *, timeout_s: float = 30) -> int:
        """Wait for the process to end by itself and return its exit code."""
        code = self.process.wait(timeout_s)
        assert self._reader is not None
        self._reader.join(timeout_s)
        if self.process.stderr is not None:
            self.process.stderr.close()
        return code

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines whose event is *event*."""
        return [line for line in self.lines if line.get("event") == event]

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for text in process.stderr:
            try:
                line = json.loads(text)
            except ValueError:
                line = {"event": "", "text": text.rstrip()}
            self.lines.append(line)
            if line.get("event") == "listening":
                self.url = line["url"]
                self._listening.set()
        self._listening.set()

    def __enter__(self) -> Self:
        return self if self._process is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop()
