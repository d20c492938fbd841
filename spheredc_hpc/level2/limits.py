"""Detection limits of all channels and of their stack, for one spectrum of a companion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from spheredc_hpc.level2 import stack
from spheredc_hpc.level2.contrast import contrast_curves, noise_curve
from spheredc_hpc.level2.scene import Scene
from spheredc_hpc.level2.snr import source_labels
from spheredc_hpc.level2.sources import LABEL_FWHM, Source
from spheredc_hpc.level2.spectrum import CompanionSpectrum
from spheredc_hpc.level2.throughput import Injection, measure_throughput

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rings:
    """Noise of the channels and of the stack, sources absent.

    Attributes
    ----------
    separation_mas, radius_px : array of float64, shape (n,)
        Radii [mas], [image px].
    noise, elements : array of float64, shape (n_channel, n)
        Scatter of apertures of one FWHM and independent elements of each ring.
    stack_noise, stack_elements : array of float64, shape (n,)
        Of the stack.
    """

    separation_mas: Floats
    radius_px: Floats
    noise: Floats
    elements: Floats
    stack_noise: Floats
    stack_elements: Floats

    @classmethod
    def of(cls, empty: Scene, sources: Sequence[Source], separation_mas: Floats) -> Rings:
        """Measure the images of a scene without its sources; their places do not count."""
        radius = separation_mas / empty.pixel_scale_mas
        each = [
            noise_curve(image, float(width), radius, labels_of(empty, sources, float(width)))
            for image, width in zip(empty.images, empty.widths_px, strict=True)
        ]
        labels = labels_of(empty, sources, empty.fwhm_px)
        noise, elements = (np.stack(part) for part in zip(*each, strict=True))
        return cls(
            separation_mas,
            radius,
            noise,
            elements,
            *noise_curve(empty.stack, empty.fwhm_px, radius, labels),
        )


@dataclass(frozen=True)
class Limits:
    """Throughput and contrast for one spectrum.

    Attributes
    ----------
    spectrum : CompanionSpectrum
        Assumed of the companion.
    curves : tuple of Curves
        Noise and throughput of each channel.
    contrast : array of float64, shape (2, n_channel, n)
        5-sigma contrast of each channel, Gaussian and Student.
    stack_throughput : array of float64, shape (n,)
        Throughput of the stack.
    stack_contrast : array of float64, shape (2, n)
        5-sigma contrast of the stack: the mean over the channels of a companion that reaches it.
    how : tuple of str
        How the throughput was measured.
    """

    spectrum: CompanionSpectrum
    curves: tuple[stack.Curves, ...]
    contrast: Floats
    stack_throughput: Floats
    stack_contrast: Floats
    how: tuple[str, ...]


def measure_limits(
    empty: Scene,
    rings: Rings,
    spectrum: CompanionSpectrum,
    transmission: Floats,
    injection: Injection,
) -> Limits:
    """Measure throughput for a spectrum and what contrast is detected with it.

    Parameters
    ----------
    empty : Scene
        Reductions without their sources.
    rings : Rings
        Noise of its images.
    spectrum : CompanionSpectrum
        Of the companions that are injected.
    transmission : array of float64, shape (n,)
        Of the coronagraph, at the radii of `rings`.
    injection : Injection
        How throughput is measured; its spectrum is replaced.

    Returns
    -------
    Limits
        Contrasts are NaN where the star was not measured.
    """
    found, how = _throughputs(empty, rings.radius_px, spectrum, injection)
    channels = empty.channels
    flux = np.array([channel.star.flux for channel in channels])
    curves = tuple(
        stack.Curves(rings.radius_px, *values)
        for values in zip(
            rings.noise,
            rings.elements,
            found,
            empty.unit_flux,
            spectrum.contrast,
            empty.stack_flux,
            strict=True,
        )
    )
    each = [
        contrast_curves(c.noise, c.elements, float(f), c.throughput, transmission)
        for c, f in zip(curves, flux, strict=True)
    ]
    used = list(compress(curves, empty.alive))
    together = stack.stacked_throughput(used, empty.weights_alive)
    known = np.where(np.isfinite(flux[empty.alive]).all(), 1.0, np.nan)
    reached = contrast_curves(
        rings.stack_noise / stack.stacked_flux(used, empty.weights_alive),
        rings.stack_elements,
        float(known),
        together,
        transmission,
    )
    return Limits(spectrum, curves, np.stack(each, axis=1), together, reached, how)


def _throughputs(
    empty: Scene, radius_px: Floats, spectrum: CompanionSpectrum, injection: Injection
) -> tuple[Floats, tuple[str, ...]]:
    """Throughput of every channel, shape (n_channel, n), and how it was measured."""
    found, how = [], []
    for reduction, part in zip(empty.reductions, empty.parts(), strict=True):
        light = spectrum.contrast[part]
        if not np.any(light > 0):
            # A channel by itself, in which the companion does not shine: any light will do.
            light = np.ones(light.size)
        asked = Injection(injection.how, injection.branches, injection.level, light)
        measured = measure_throughput(reduction, empty.images[part], asked)
        found.append(measured.at(radius_px))
        how.append(measured.method)
    return np.concatenate(found), tuple(dict.fromkeys(how))


def labels_of(scene: Scene, sources: Sequence[Source], fwhm_px: float) -> NDArray[np.int32]:
    """Pixels of the sources on the images of a scene, by their numbers."""
    return source_labels(scene.side, [source.place for source in sources], LABEL_FWHM * fwhm_px)
