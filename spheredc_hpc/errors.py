"""Errors of the project and the exit codes that they map to.

Four branches tell a scheduler what to do next: wrong settings and wrong data are never
retried, a lack of resources is retried with more, an external fault later.
"""

from __future__ import annotations

from typing import ClassVar


class SphereDCError(Exception):
    """Base of every error that the project raises on purpose."""

    exit_code: ClassVar[int] = 1
    retry: ClassVar[str] = "never"


class ConfigError(SphereDCError):
    """A setting, option or constant is unknown or out of range; never retried."""

    exit_code = 2


class DataError(SphereDCError):
    """Files or arrays cannot be what they claim to be; never retried."""

    exit_code = 3


class KernelInputError(DataError):
    """The arguments of a kernel do not fit together."""


class ResourceError(SphereDCError):
    """Memory, disk or time did not suffice; retried with more."""

    exit_code = 4
    retry = "more"


class ExternalError(SphereDCError):
    """Something outside of the project failed; retried later."""

    exit_code = 5
    retry = "later"
