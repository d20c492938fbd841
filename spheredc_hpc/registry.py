"""Registries of variants: algorithms, strategies, calibrations, observing modes.

Adding a variant is adding a module: the decorator registers it, and the first look-up
imports every module of the package that holds the variants of that kind.
"""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from spheredc_hpc.errors import ConfigError

Run = TypeVar("Run", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry(Generic[Run]):
    """One registered variant.

    Attributes
    ----------
    name : str
        The name written in configurations and paths.
    run : callable
        What the variant does.
    settings : type or None
        Its settings class, a `spheredc_hpc.config.Section`.
    summary : str
        First line of the docstring of `run`.
    module : str
        Where it is defined.
    """

    name: str
    run: Run
    settings: Any
    summary: str
    module: str


class Registry(Mapping[str, Entry[Any]]):
    """Variants of one kind, by name.

    Parameters
    ----------
    kind : str
        What the entries are, for messages.
    package : str
        Package whose modules hold the entries; imported at the first look-up.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._entries: dict[str, Entry[Any]] = {}
        self._loaded = False
        self._lock = threading.RLock()

    def __call__(self, name: str, *, settings: Any = None) -> Callable[[Run], Run]:
        """Register the decorated function as `name`."""

        def register(run: Run) -> Run:
            held = self._entries.get(name)
            if held is not None and (held.module, held.run.__qualname__) != (
                run.__module__,
                run.__qualname__,
            ):
                raise ConfigError(
                    f"{self.kind} {name!r} is defined twice: {held.module} and {run.__module__}"
                )
            summary = (run.__doc__ or "").strip().partition("\n")[0]
            self._entries[name] = Entry(name, run, settings, summary, run.__module__)
            return run

        return register

    def load(self) -> None:
        """Import every module of the package, once."""
        with self._lock:
            if self._loaded:
                return
            package = importlib.import_module(self.package)
            for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
                importlib.import_module(f"{self.package}.{module.name}")
            self._loaded = True

    def __getitem__(self, name: str) -> Entry[Any]:
        self.load()
        try:
            return self._entries[name]
        except KeyError:
            known = ", ".join(sorted(self._entries)) or "none"
            raise ConfigError(f"unknown {self.kind} {name!r}; known: {known}") from None

    def __contains__(self, name: object) -> bool:
        self.load()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        self.load()
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        self.load()
        return len(self._entries)


ALGORITHMS = Registry("algorithm", "spheredc_hpc.level2.algorithms")
STRATEGIES = Registry("strategy", "spheredc_hpc.level2.strategies")
CALIBRATIONS = Registry("calibration", "spheredc_hpc.calibration")
MODES = Registry("observing mode", "spheredc_hpc.level1.modes")

algorithm = ALGORITHMS
strategy = STRATEGIES
calibration = CALIBRATIONS
mode = MODES
