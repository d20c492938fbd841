"""Inputs of the benchmarks: a real sequence and synthetic ones, as folders of arrays.

Every side of a case reads the same folder, whichever interpreter it runs under: this module
needs NumPy only to read, SciPy to make.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

REVISION = 2  # of the generators: inputs of another revision are made again


@dataclass(frozen=True)
class Input:
    """A sequence whose star stands on pixel ``(n // 2, n // 2)`` of every frame.

    Attributes
    ----------
    name : str
    frames : array of float32, shape (time, n, n) or (wavelength, time, n, n)
    angles_deg : array of float64, shape (time,)
        Counter-clockwise turn, y up, from frame to north-up image.
    psf : array of float64, shape (m, m)
        Star without coronagraph, in the unit of the frames.
    fwhm_px, scale_mas, star_flux : float
        Width of the PSF, pixel scale, flux of the star in an aperture of one FWHM.
    wavelengths_um : array of float64, shape (wavelength,)
        Empty for one channel.
    """

    name: str
    frames: np.ndarray
    angles_deg: np.ndarray
    psf: np.ndarray
    fwhm_px: float
    scale_mas: float
    star_flux: float
    wavelengths_um: np.ndarray


# ------------------------------------------------------------------ on disk


def save(data: Input, folder: Path) -> None:
    """Write an input; the description comes last, so that half an input is none."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {}
    for key, value in vars(data).items():
        if isinstance(value, np.ndarray):
            np.save(folder / f"{key}.npy", value)
        else:
            numbers[key] = value
    text = json.dumps({"revision": REVISION, **numbers})
    (folder / "input.json").write_text(text, encoding="utf-8")


def load(folder: Path) -> Input:
    """Read an input into memory."""
    numbers = json.loads((folder / "input.json").read_text(encoding="utf-8"))
    numbers.pop("revision")
    arrays = {path.stem: np.load(path) for path in folder.glob("*.npy")}
    return Input(**numbers, **arrays)


def is_made(folder: Path) -> bool:
    """Tell whether a folder holds a whole input of this revision."""
    try:
        described = json.loads((folder / "input.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    return bool(described["revision"] == REVISION)


def excerpt(data: Input, frames: int = 40, channels: int = 4, side: int = 61) -> Input:
    """Small part of an input with the same rotation, to warm up on."""
    n_time, n = data.angles_deg.size, data.frames.shape[-1]
    half = min(side, n - 1) // 2
    middle = slice(n // 2 - half, n // 2 + half + 1)
    times = np.unique(np.linspace(0, n_time - 1, min(frames, n_time)).astype(int))
    cut = data.frames[..., times, middle, middle]
    colours = data.wavelengths_um
    if colours.size:
        pick = np.unique(np.linspace(0, colours.size - 1, min(channels, colours.size)).astype(int))
        cut, colours = cut[pick], colours[pick]
    small = np.ascontiguousarray(cut)
    return replace(data, frames=small, angles_deg=data.angles_deg[times], wavelengths_um=colours)


# ------------------------------------------------------------------ synthetic sequences


@dataclass(frozen=True)
class Scene:
    """What a synthetic sequence is made of.

    Attributes
    ----------
    n_time, side, n_channel : int
        Size; one channel means no wavelength axis.
    fwhm_px, scale_mas : float
        Of the shortest wavelength.
    turn_deg : float
        Field rotation, fastest in the middle as at meridian passage.
    n_modes : int
        Speckle patterns that drift independently, beside the static one.
    noise : float
        Scatter of a pixel that has nothing to do with the star.
    companions : tuple
        Separation [share of the side], angle from the x axis [deg], peak.
    seed : int
    tapered : bool
        Whether the frames fall to zero at their edges.
    """

    n_time: int
    side: int
    n_channel: int
    fwhm_px: float
    scale_mas: float
    turn_deg: float
    n_modes: int
    noise: float
    companions: tuple[tuple[float, float, float], ...]
    seed: int
    tapered: bool = False

    @property
    def well_sampled(self) -> bool:
        """Whether the spectrum of a frame ends before the Nyquist frequency: no noise, no edge."""
        return self.tapered and self.noise == 0.0


_PAIR = ((0.17, 35.0, 9.0), (0.36, 205.0, 4.0))
# Widths at which no edge of an annulus falls on a whole pixel: there, packages round differently.
SCENES = {
    "irdis": Scene(120, 400, 1, 4.43, 12.255, 56.0, 8, 2.0, _PAIR, 11),
    "irdis_small": Scene(64, 200, 1, 4.43, 12.255, 56.0, 8, 2.0, _PAIR, 12),
    "smooth": Scene(16, 200, 1, 4.43, 12.255, 56.0, 8, 0.0, _PAIR, 16, tapered=True),
    "ifs_small": Scene(12, 100, 39, 4.2, 7.46, 42.0, 4, 1.5, ((0.23, 55.0, 5.0),), 13),
    "ifs": Scene(40, 160, 39, 4.2, 7.46, 42.0, 4, 1.5, ((0.23, 55.0, 5.0),), 14),
    "ifs_tiny": Scene(8, 80, 12, 4.2, 7.46, 42.0, 4, 1.5, ((0.23, 55.0, 5.0),), 15),
}
FIRST_UM, LAST_UM = 0.957, 1.329  # Y-J mode of the integral-field spectrograph
STATIC_PEAK, DRIFTING_PEAK = 110.0, 28.0
CORE_PX = 12.0  # the halo falls with the square of the radius from here on


def synthetic(name: str) -> Input:
    """Make a synthetic sequence: speckles that drift and scale with wavelength, companions."""
    scene = SCENES[name]
    random = np.random.default_rng(scene.seed)
    angles = _angles(scene)
    stretch = LAST_UM / FIRST_UM if scene.n_channel > 1 else 1.0
    patterns = _patterns(scene, random, int(np.ceil(scene.side * max(1.0, stretch))) | 1)
    drift = random.standard_normal((scene.n_time, scene.n_modes))
    drift = np.cumsum(drift, axis=0) / np.sqrt(scene.n_time)
    weights = np.concatenate([np.ones((scene.n_time, 1)), drift], axis=1)
    colours = np.linspace(FIRST_UM, LAST_UM, scene.n_channel)
    cube = np.empty((scene.n_channel, scene.n_time, scene.side, scene.side), np.float32)
    for channel, colour in enumerate(colours):
        seen = _at_scale(patterns, scene.side, FIRST_UM / colour)
        cube[channel] = np.tensordot(weights, seen, 1)
        for frame in cube[channel]:
            frame += scene.noise * _noise(scene, random)
        _add_companions(cube[channel], angles, scene)
        if scene.tapered:
            window = np.sin(np.pi * (np.arange(scene.side) + 0.5) / scene.side) ** 2
            cube[channel] *= (window * window[:, np.newaxis]).astype(np.float32)
    one = scene.n_channel == 1
    psf = _gaussian(int(4.5 * scene.fwhm_px) | 1, scene.fwhm_px, 0.0, 0.0)
    return Input(
        name,
        cube[0] if one else cube,
        angles,
        psf,
        scene.fwhm_px,
        scene.scale_mas,
        1.0,
        np.empty(0) if one else colours,
    )


def _angles(scene: Scene) -> np.ndarray:
    time = np.linspace(-1.0, 1.0, scene.n_time)
    return 0.5 * scene.turn_deg * np.arctan(1.5 * time) / np.arctan(1.5)


def _patterns(scene: Scene, random: np.random.Generator, side: int) -> np.ndarray:
    """Static and drifting speckles at the shortest wavelength, shape (1 + n_modes, side, side)."""
    from scipy import ndimage

    y, x = np.mgrid[:side, :side] - side // 2
    halo = 1.0 / (1.0 + (x * x + y * y) / CORE_PX**2)
    peaks = [STATIC_PEAK, *[DRIFTING_PEAK] * scene.n_modes]
    maps = []
    for peak in peaks:
        grains = ndimage.gaussian_filter(random.standard_normal((side, side)), scene.fwhm_px / 2.35)
        maps.append(peak * halo * grains / grains.std())
    return np.stack(maps)


def _at_scale(patterns: np.ndarray, side: int, shrink: float) -> np.ndarray:
    """Cut patterns out, stretched by ``1 / shrink`` about the star."""
    from scipy import ndimage

    middle = patterns.shape[-1] // 2
    grid = (np.arange(side) - side // 2) * shrink + middle
    if shrink == 1.0:
        part = slice(middle - side // 2, middle - side // 2 + side)
        return patterns[:, part, part]
    places = np.stack(np.meshgrid(grid, grid, indexing="ij"))
    return np.stack([ndimage.map_coordinates(p, places, order=3) for p in patterns])


def _noise(scene: Scene, random: np.random.Generator) -> np.ndarray:
    """Noise of unit scatter; imaging has been interpolated once, so its neighbours go along."""
    from scipy import ndimage

    white = random.standard_normal((scene.side, scene.side))
    if scene.n_channel > 1:
        return white
    smooth = ndimage.gaussian_filter(white, 0.6)
    return smooth / smooth.std()


def _gaussian(side: int, fwhm_px: float, dx: float, dy: float) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - side // 2
    return np.exp(-4 * np.log(2) * ((x - dx) ** 2 + (y - dy) ** 2) / fwhm_px**2)


def _add_companions(frames: np.ndarray, angles_deg: np.ndarray, scene: Scene) -> None:
    half = int(2.5 * scene.fwhm_px)
    middle = scene.side // 2
    for share, place_deg, peak in scene.companions:
        for frame, angle in zip(frames, angles_deg, strict=True):
            turn = np.deg2rad(place_deg - angle)
            x = middle + share * scene.side * np.cos(turn)
            y = middle + share * scene.side * np.sin(turn)
            ix, iy = round(x), round(y)
            spot = peak * _gaussian(2 * half + 1, scene.fwhm_px, x - ix, y - iy)
            frame[iy - half : iy + half + 1, ix - half : ix + half + 1] += spot
