"""Callbacks of the driver: progress on a terminal, structured lines in a log."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from retrodict.solvers.base import Metrics
from retrodict.solvers.files import append_line

__all__ = ["Callback", "JsonLog", "ProgressBar"]

Callback = Callable[[int, Metrics], None]


class JsonLog:
    """Append one JSON line a step to a file; the last lines survive a kill because each is flushed.

    Parameters
    ----------
    path : Path
        The file, appended to.
    every : int, optional
        Steps between two lines.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "log.jsonl"
    >>> JsonLog(path)(1, {"loss": 0.5})
    >>> "loss" in path.read_text()
    True
    """

    def __init__(self, path: Path, every: int = 1) -> None:
        self.path = path
        self.every = every

    def __call__(self, step: int, metrics: Metrics) -> None:
        """Log one step."""
        if step % self.every == 0:
            self.write("step", step=step, **{k: float(v) for k, v in metrics.items()})

    def write(self, event: str, **details: Any) -> None:
        """Append one event with the time of day."""
        line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "event": event, **details}, default=str)
        append_line(self.path, line)


class ProgressBar:
    """A progress bar on a terminal, silent elsewhere; use it as a context.

    Parameters
    ----------
    title : str
        What is under way.
    total : int
        Largest number of steps.
    show : bool, optional
        Default: whether standard error is a terminal.

    Examples
    --------
    >>> with ProgressBar("fit", 2, show=False) as bar:
    ...     bar(1, {"loss": 0.5})
    """

    def __init__(self, title: str, total: int, show: bool | None = None) -> None:
        self.title, self.total = title, total
        self.show = sys.stderr.isatty() if show is None else show
        self._progress: Any = None
        self._task: Any = None

    def __enter__(self) -> ProgressBar:
        if self.show:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
            self._progress.start()
            self._task = self._progress.add_task(self.title, total=self.total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            with suppress(OSError):  # the terminal has gone, and with it whoever looked at the bar
                self._progress.stop()

    def __call__(self, step: int, metrics: Metrics) -> None:
        """Move the bar."""
        if self._progress is not None:
            shown = next(iter(metrics.items()), None)
            text = f"{self.title} {shown[0]}={shown[1]:.4g}" if shown else self.title
            with suppress(OSError):
                self._progress.update(self._task, completed=step, description=text)
