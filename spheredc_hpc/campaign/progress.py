"""Progress of a run: a bar on a terminal, a line per minute elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType
from typing import Any, Self

logger = logging.getLogger(__name__)

LINE_EVERY_S = 60.0


class Progress:
    """Shows how many jobs of how many are done.

    Parameters
    ----------
    quiet : bool
        Show nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.done = 0
        self.total = 0
        self.latest = ""
        self._said = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        self._quiet = quiet

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = Bar(
                *columns, TextColumn("{task.description}"), console=Console(stderr=True)
            )
            self._task = self._bar.add_task("planning", total=None)
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def started(self, job: str) -> None:
        """Tell that a job has started."""
        self.latest = job
        self._show()

    def update(self, done: int, total: int) -> None:
        """Tell how many jobs are done."""
        self.done, self.total = done, total
        self._show()

    def _show(self) -> None:
        if self._bar is not None:
            self._bar.update(
                self._task,
                completed=self.done,
                total=self.total or None,
                description=self.latest or "planning",
            )

    def tick(self) -> None:
        """Say something if there is no bar and a minute has passed."""
        if self._bar is not None or self._quiet:
            return
        if time.monotonic() - self._said >= LINE_EVERY_S:
            self._said = time.monotonic()
            logger.info("%d of %d jobs done; at %s", self.done, self.total, self.latest or "start")
