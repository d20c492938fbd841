"""Channels on the grid of equal speckles."""

from dataclasses import replace

import numpy as np
import pytest

from spheredc_hpc.kernels.inject import Rotation, Stamp
from spheredc_hpc.level2.alignment import aligned_rows
from spheredc_hpc.level2.sequence import Channel, Star

SIDE, OUTER_PX = 101, 42.0
WAVES = (1.0, 1.1, 1.33)
Y, X = np.mgrid[:SIDE, :SIDE] - SIDE // 2
RADIUS = np.hypot(X, Y)


def halo(radius):
    return 100 / (1 + (radius / 12) ** 2)


def channels(flux=(1.0, 1.0, 1.0), hole=False):
    offset = np.arange(15) - 7
    found = []
    for wavelength, amount in zip(WAVES, flux, strict=True):
        width = 3.3 * wavelength
        psf = np.exp(-4 * np.log(2) * (offset[:, None] ** 2 + offset[None, :] ** 2) / width**2)
        frames = np.repeat((amount * halo(RADIUS / wavelength) / wavelength**2)[None], 3, axis=0)
        common = np.ones((SIDE, SIDE), bool)
        if hole:
            common[30:33, 64:67] = False
            frames[:, ~common] = 0
        zone = (RADIUS >= 5) & (RADIUS <= OUTER_PX) & common
        turn = np.array([0.0, 20.0, 40.0])
        found.append(
            Channel(
                frames.astype(np.float32),
                common,
                zone,
                Rotation(turn, turn, turn),
                Star(Stamp.of(psf), width, amount, 0.0),
                12.0,
                5.0,
                OUTER_PX,
                np.ones(3),
                0.0,
                wavelength,
            )
        )
    return found


@pytest.mark.parametrize("hole", [False, True])
def test_halos_coincide_wherever_a_channel_counts(hole):
    rows = aligned_rows(channels(hole=hole))
    for k, wavelength in enumerate(WAVES):
        seen = rows.covered[k] & rows.zone
        ratio = rows.frames[3 * k][seen] / halo(RADIUS[seen])
        # Also at the border of the frames, which the window cuts from larger ones. Two pixels
        # from a hole what fills it is still felt.
        np.testing.assert_allclose(ratio / np.median(ratio), 1, atol=6e-3 if hole else 1e-3)
        reach = 46 / wavelength if wavelength > 1 else OUTER_PX
        assert RADIUS[seen].max() > min(reach, OUTER_PX) - 1
        assert seen.sum() > 0.8 * rows.zone[RADIUS.reshape(SIDE, SIDE) < reach].sum()


def test_the_halo_tells_the_flux_of_a_star_that_was_not_measured():
    given = channels(flux=(1.0, 3.0, 2.0))
    blind = replace(given[1].star, flux=float("nan"))
    given[1] = replace(given[1], star=blind)
    rows = aligned_rows(given)
    assert rows.channels[1].star.unit_flux == pytest.approx(3.0, rel=0.02)
    assert not rows.channels[1].star.calibrated
    flux = rows.table.flux
    assert flux[3] / flux[0] == pytest.approx(WAVES[1] ** 2, rel=0.02)
    image = rows.channels[1].star.stamp.image
    np.testing.assert_allclose(image, 3 * blind.stamp.image, rtol=0.02)


def test_without_any_measured_star_halos_are_the_measure():
    given = [
        replace(channel, star=replace(channel.star, flux=float("nan")))
        for channel in channels(flux=(1.0, 3.0, 2.0))
    ]
    unit = np.array([channel.star.unit_flux for channel in aligned_rows(given).channels])
    np.testing.assert_allclose(unit / unit[0], [1, 3, 2], rtol=0.02)
