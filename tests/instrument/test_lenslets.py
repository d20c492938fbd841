"""Places of lenslets and spectra: against the sheet's figures and the published solution."""

import numpy as np
import pytest
from astropy.io import fits

from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument.lenslets import (
    DETECTOR_PX,
    Dispersion,
    Lenslets,
    Placement,
    channel_wavelengths_um,
    crosstalk_kernel,
    lit_lenslets,
    prism_of,
    spot_sigma_px,
)


@pytest.mark.parametrize(("prism", "published"), [("YJ", 19242), ("YH", 19213)])
def test_as_many_lenslets_are_lit_as_published(real_data, prism, published):
    mask = fits.getdata(real_data / "sphere-ifs-static-calibs" / "ifu_mask.fits.gz") > 0
    dispersion = Dispersion.of(prism)
    lenslets = lit_lenslets(dispersion)
    x, y = dispersion.at(lenslets, channel_wavelengths_um(prism))
    lit = mask[np.rint(y).astype(int), np.rint(x).astype(int)].all(axis=0)
    assert lit.sum() == pytest.approx(published, rel=0.01)
    # The rest stands in the vignetted corners.
    assert len(lenslets) < 1.03 * lit.sum()


def test_a_margin_keeps_spectra_off_the_edges():
    dispersion = Dispersion.of("YJ")
    lenslets = lit_lenslets(dispersion, margin_px=8)
    assert len(lenslets) == pytest.approx(19342, rel=0.005)


@pytest.mark.parametrize("prism", ["YJ", "YH"])
def test_spectra_lie_where_the_published_solution_has_them(real_data, prism):
    path = real_data / "sphere-ifs-static-calibs" / f"lamsol_{prism}.dat"
    lenslets = lit_lenslets(Dispersion.of(prism))
    for row in np.loadtxt(path):
        # The sheet's lines: powers of v run fastest, ten coefficients of x, then of y.
        terms = [lenslets.u**p * lenslets.v**q for p in range(4) for q in range(4 - p)]
        expected = row[1:11] @ terms, row[11:21] @ terms
        found = Dispersion.of(prism).at(lenslets, row[0] / 1000)
        for ours, theirs in zip(found, expected, strict=True):
            assert np.abs(ours[0] - theirs).max() < 0.1


def test_spectra_fall_on_the_lit_part_of_the_detector(real_data):
    mask = fits.getdata(real_data / "sphere-ifs-static-calibs" / "ifu_mask.fits.gz") > 0
    for prism in ("YJ", "YH"):
        dispersion = Dispersion.of(prism)
        lenslets = lit_lenslets(dispersion)
        x, y = dispersion.at(lenslets, 1.15)
        lit = mask[np.rint(y[0]).astype(int), np.rint(x[0]).astype(int)]
        assert lit.mean() > 0.97


@pytest.mark.parametrize(
    ("prism", "wavelength_um", "nm_per_px"),
    [
        *(("YJ", w, d) for w, d in ((0.96, 9.00), (1.0, 9.47), (1.1, 10.7), (1.2, 11.9))),
        *(("YJ", w, d) for w, d in ((1.3, 13.2), (1.35, 13.9))),
        *(("YH", w, d) for w, d in ((0.96, 13.8), (1.0, 15.0), (1.1, 17.6), (1.2, 19.7))),
        *(("YH", w, d) for w, d in ((1.3, 21.1), (1.5, 22.0), (1.65, 21.6))),
    ],
)
def test_dispersion_is_that_of_the_prism(prism, wavelength_um, nm_per_px):
    middle = Lenslets.within(0.6)
    _, y = Dispersion.of(prism).at(middle, [wavelength_um - 1e-3, wavelength_um + 1e-3])
    assert 2.0 / np.mean(y[1] - y[0]) == pytest.approx(nm_per_px, rel=0.012)


def test_spectra_are_interleaved_as_on_the_detector():
    dispersion = Dispersion.of("YJ")
    middle = Lenslets.within(8)
    x, y = (part[0] for part in dispersion.at(middle, 1.12371))
    origin = np.argmin(np.hypot(middle.u, middle.v))
    steps = np.stack([x - x[origin], y - y[origin]], axis=1)
    for expected in ((-5.09, 14.69), (5.08, 26.45), (-0.005, 41.15), (10.17, 11.76)):
        assert np.hypot(*(steps - expected).T).min() < 0.05


def test_wavelengths_beyond_the_prism_stay_at_its_end():
    dispersion = Dispersion.of("YH")
    middle = Lenslets.within(0.6)
    assert dispersion.at(middle, 1.9)[1] == pytest.approx(dispersion.at(middle, 1.67)[1])


def test_a_placement_turns_about_the_middle_and_shifts():
    x, y = np.array([1023.5, 1123.5]), np.array([1023.5, 1023.5])
    moved = Placement(2.0, -1.0, 90.0, 1.01).apply(x, y)
    np.testing.assert_allclose(moved[0], [1025.5, 1025.5])
    np.testing.assert_allclose(moved[1], [1022.5, 1123.5])
    assert DETECTOR_PX == 2048


def test_the_scattering_kernel_is_that_of_the_data_centre():
    kernel = crosstalk_kernel()
    assert kernel.shape == (41, 41)
    assert kernel.sum() == pytest.approx(0.2205, abs=2e-4)
    assert kernel[20, 22] == pytest.approx(8.2e-3, rel=0.01)
    assert kernel[25, 20] == pytest.approx(5.3e-4, rel=0.01)
    assert not kernel[19:22, 19:22].any()


def test_channels_and_widths():
    waves = channel_wavelengths_um("YJ")
    assert (waves[0], waves[-1], len(waves)) == (0.950, 1.346, 39)
    assert np.diff(channel_wavelengths_um("YH"))[0] == pytest.approx(0.0179, abs=1e-4)
    sigma = spot_sigma_px([0.99, 1.15, 1.31])
    assert sigma[1] == 0.75
    assert sigma[2] / sigma[0] == pytest.approx(1.10, abs=0.01)


@pytest.mark.parametrize(
    ("name", "prism"),
    [("OBS_YJ", "YJ"), ("PRI_YJ", "YJ"), ("PRIS_YJ", "YJ"), ("OBS_H", "YH"), ("PRI_YJH", "YH")],
)
def test_setups_have_a_prism(name, prism):
    assert prism_of(name) == prism


@pytest.mark.parametrize("name", ["", "OBS_K", "CAL"])
def test_what_is_no_setup_is_named(name):
    with pytest.raises(DataError, match="IFS setup"):
        prism_of(name)
    with pytest.raises(DataError, match="prism"):
        Dispersion.of("K")
