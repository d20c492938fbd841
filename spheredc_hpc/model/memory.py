"""Memory of a job before it starts, in a form that the workflow can keep and evaluate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CubeShape:
    """What the master cubes of an observing mode look like, whatever the observation.

    Attributes
    ----------
    channels : int
        Wavelengths.
    side : int
        Side of the frames [px].
    pixel_scale_mas : float
        Finest pixel scale of the mode [mas/px].
    fwhm_px : float
        Narrowest PSF of the mode [px].
    """

    channels: int
    side: int
    pixel_scale_mas: float
    fwhm_px: float


@dataclass(frozen=True)
class MemoryLaw:
    """Peak memory of a job as a function of frames and threads.

    Attributes
    ----------
    fixed : float
        Whatever the frames [MB].
    frame : float
        For each frame [MB].
    pair : float
        For each pair of frames [MB]: matrices.
    thread, thread_frame, thread_pair : float
        For each thread, for each thread and frame, and for each thread and pair of frames [MB].
    """

    fixed: float
    frame: float
    pair: float
    thread: float
    thread_frame: float
    thread_pair: float = 0.0

    def mb(self, frames: int, threads: int = 1) -> float:
        """Memory for a number of frames and threads [MB]."""
        shared = self.fixed + self.frame * frames + self.pair * frames**2
        own = self.thread + self.thread_frame * frames + self.thread_pair * frames**2
        return shared + threads * own
