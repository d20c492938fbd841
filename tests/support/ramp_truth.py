"""Lamp ramps and darks of a detector whose response and faults are known.

The response may be a real flat; everything else is drawn. Noise is Gaussian with the variance of
photons, which at hundreds of electrons and more is the same thing.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy.ndimage import gaussian_filter1d, median_filter

from spheredc_hpc.calibration.io import CalibrationInputs, CalibrationResult
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.instrument.detectors import detector
from spheredc_hpc.model.association import CalibrationJob
from spheredc_hpc.model.frame import FrameRef
from spheredc_hpc.registry import CALIBRATIONS

DEVICE = detector("IRDIS")
LIT = np.concatenate(list(DEVICE.illuminated_mask()), axis=1)
LAMP_ADU_S = 2000.0
DARK_ADU_S = 0.06
OWN_BIAS_ADU = 1.5
TIMES_S = (2.0, 4.0, 6.0, 8.0, 10.0)
BENT = 0.003
"""Loss of all pixels at the linear limit; it grows with the square of the level."""


def real_flat(folder: Path) -> np.ndarray:
    """Published master flat in H, shape (1024, 2048); what is no response counts as none."""
    with gzip.open(folder / "sphere-irdis-static-calibs" / "master_flat_H.fits.gz") as file:
        return np.clip(fits.getdata(file).astype(np.float32), 0, None)


@dataclass
class FaultyDetector:
    """A detector with known response, pattern and faults; each fault has pixels of its own.

    Attributes
    ----------
    response : array, shape (1024, 2048)
        Including the dead pixels.
    dead, hot, noisy, bent : array of int
        Flat indices of the pixels with a fault.
    hot_adu_s, noisy_adu, bend : array
        Extra dark [adu/s], extra noise of each plane [adu], and loss at the linear limit.
    """

    response: np.ndarray
    rng: np.random.Generator
    share: float = 5e-4
    faults: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng, shape = self.rng, self.response.shape
        usable = np.flatnonzero(LIT & (self.response > 0.5) & (self.response < 1.4))
        number = int(self.share * LIT.sum())
        picked = rng.choice(usable, size=4 * number, replace=False).reshape(4, number)
        self.dead, self.hot, self.noisy, self.bent = picked
        self.hot_adu_s = np.exp(rng.uniform(np.log(0.02), np.log(100), size=number))
        self.noisy_adu = np.exp(rng.uniform(np.log(3), np.log(100), size=number))
        self.bend = np.exp(rng.uniform(np.log(0.005), np.log(0.5), size=number))
        self.response = self.response.copy()
        self.response.flat[self.dead] *= rng.uniform(0.0, 1.0, size=number).astype(np.float32)
        columns = gaussian_filter1d(rng.standard_normal(shape[1]), 3.0)
        columns *= 1.2 / columns.std()
        rows = 0.5 * (-1.0) ** np.arange(shape[0])
        own = rng.normal(scale=OWN_BIAS_ADU, size=shape)
        self.bias = (8.0 + columns + rows[:, np.newaxis] + own).astype(np.float32)
        y, x = (np.abs(np.linspace(-1, 1, n)) for n in shape)
        self.dark = (DARK_ADU_S * (1 + y[:, np.newaxis] ** 8 + x**8)).astype(np.float32)
        self.dark.flat[self.hot] += self.hot_adu_s.astype(np.float32)

    def expose(self, lamp_adu_s: float, dit_s: float) -> np.ndarray:
        """One plane [adu]."""
        device, rng = DEVICE, self.rng
        plane = (self.response * np.float32(lamp_adu_s) + self.dark) * np.float32(dit_s)
        variance = plane / np.float32(device.gain_e_per_adu)
        variance += np.float32((device.read_noise_e / device.gain_e_per_adu) ** 2)
        plane += np.sqrt(variance) * rng.standard_normal(plane.shape, dtype=np.float32)
        loss = np.full(plane.shape, BENT, dtype=np.float32)
        loss.flat[self.bent] += self.bend.astype(np.float32)
        plane *= 1 - loss * (np.maximum(plane, 0) / np.float32(device.linear_limit_adu)) ** 2
        extra = rng.standard_normal(len(self.noisy)) * self.noisy_adu
        plane.flat[self.noisy] += extra.astype(np.float32)
        return np.minimum(plane, np.float32(device.saturation_adu)) + self.bias

    def ramp(self, planes: int, lamp_rms: float = 0.01) -> list[tuple[float, np.ndarray]]:
        """Lamp exposures (integration time, planes); the lamp differs from file to file."""
        levels = []
        for dit_s in TIMES_S:
            lamp = LAMP_ADU_S * (1 + lamp_rms * self.rng.standard_normal())
            levels.append((dit_s, np.stack([self.expose(lamp, dit_s) for _ in range(planes)])))
        return levels

    def darks(self, planes: int, dit_s: float = 64.0) -> list[tuple[float, np.ndarray]]:
        """One dark file."""
        return [(dit_s, np.stack([self.expose(0.0, dit_s) for _ in range(planes)]))]

    def photon_limit(self, planes: int) -> np.ndarray:
        """Relative error of the response if only the photons of the ramp were uncertain."""
        electrons = self.response * LAMP_ADU_S * sum(TIMES_S) * planes * DEVICE.gain_e_per_adu
        return 1 / np.sqrt(np.maximum(electrons, 1))


def run(
    kind: str,
    frames: list,
    upstream: dict | None = None,
    interpolate_dit_s: float | None = None,
    **settings,
) -> CalibrationResult:
    """Run one calibration on frames given as (integration time [s], planes)."""
    held = {f"SPHER.{i}": frame for i, frame in enumerate(frames)}

    def read(ref):
        dit_s, planes = held[ref.archive_id]
        return {"ESO DET SEQ1 DIT": dit_s}, planes

    refs = tuple(FrameRef(name, "", 0, "") for name in held)
    setup = {"arm": "IRDIS"}
    job = CalibrationJob(kind, "key", setup, refs, interpolate_dit_s=interpolate_dit_s)
    inputs = CalibrationInputs(read, default_constants(), upstream or {})
    entry = CALIBRATIONS[kind]
    return entry.run(job, inputs, entry.settings(**settings))


def per_field(image: np.ndarray) -> list[np.ndarray]:
    """Cut the illuminated windows of both fields."""
    return [
        image[:, part][window]
        for part, window in zip(DEVICE.fields, DEVICE.illuminated, strict=True)
    ]


def normalised(response: np.ndarray) -> np.ndarray:
    """Response over its median in each illuminated field."""
    out = response.copy()
    for part, window in zip(DEVICE.fields, DEVICE.illuminated, strict=True):
        out[:, part] /= np.median(response[:, part][window])
    return out


@dataclass(frozen=True)
class Verdict:
    """How well flat and bad pixels came out.

    Attributes
    ----------
    error_over_limit : float
        Rms error of the response over the photon limit of the ramp.
    error_over_stated : float
        The same over the stated error.
    odd : float
        Share of the pixels whose response deviates by more than 7 sigma.
    found : dict of float
        By fault: share of the pixels that deviate by more than 7 sigma that is on the map.
    false : float
        Share of the other pixels that is on the map.
    clearly_false : float
        The same of pixels that deviate by less than 5 sigma.
    """

    error_over_limit: float
    error_over_stated: float
    odd: float
    found: dict[str, float]
    false: float
    clearly_false: float


def judge(device: FaultyDetector, flat: dict, bad: np.ndarray, planes: tuple[int, int]) -> Verdict:
    """Compare flat and map of bad pixels with the truth; `planes` of each level and of the dark."""
    truth = normalised(device.response)
    deviation = response_deviation(truth)
    faulty = {
        "hot": _hot_deviation(device, planes[1]),
        "bent": _bent_deviation(device, planes[0]),
    }
    places = {"hot": device.hot, "bent": device.bent}
    found = {"response": float(bad[LIT & (deviation > 7)].mean())}
    found |= {name: float(bad.flat[places[name]][faulty[name] > 7].mean()) for name in faulty}
    times = _noise_factor(device)
    found["noise times 5"] = float(bad.flat[device.noisy][times > 5].mean())
    sound = LIT.copy()
    for index in (device.hot, device.noisy, device.bent):
        sound.flat[index] = False
    usable = sound & (truth > 0.2) & np.isfinite(flat["FLAT"])
    error = (flat["FLAT"] - truth)[usable]
    limit = (truth * device.photon_limit(planes[0]))[usable]
    return Verdict(
        float(np.sqrt(np.mean((error / limit) ** 2))),
        float(np.sqrt(np.mean((error / flat["ERROR"][usable]) ** 2))),
        float((deviation > 7)[LIT].mean()),
        found,
        float(bad[sound & (deviation <= 7)].mean()),
        float(bad[sound & (deviation <= 5)].mean()),
    )


def response_deviation(truth: np.ndarray, box: int = 9) -> np.ndarray:
    """Distance of each pixel from the median of its box, in robust standard deviations."""
    out = np.zeros(truth.shape)
    for part, window in zip(DEVICE.fields, DEVICE.illuminated, strict=True):
        response, half = truth[:, part][window], box // 2
        padded = np.pad(response, half, mode="reflect", reflect_type="odd")
        around = median_filter(padded, size=box)[half:-half, half:-half]
        share = np.full(response.shape, np.inf)
        np.divide(response, around, out=share, where=around > 0)
        share = np.abs(share - 1)
        out[:, part][window] = share / (1.4826 * np.median(share))
    return out


def _hot_deviation(device: FaultyDetector, planes: int, dit_s: float = 64.0) -> np.ndarray:
    """Excess over the scatter of the averaged background: offsets of the pixels and noise."""
    noise2 = (DEVICE.read_noise_e / DEVICE.gain_e_per_adu) ** 2
    noise2 += DARK_ADU_S * dit_s / DEVICE.gain_e_per_adu
    return device.hot_adu_s * dit_s / np.sqrt(OWN_BIAS_ADU**2 + noise2 / planes)


def _bent_deviation(device: FaultyDetector, planes: int) -> np.ndarray:
    """Departure from the best straight line over its noise."""
    response = device.response.flat[device.bent].astype(np.float64)
    found = np.empty(len(response))
    for i, own in enumerate(response):
        level = own * LAMP_ADU_S * np.array(TIMES_S)
        noise = np.sqrt(level / DEVICE.gain_e_per_adu / planes)
        shape = level * (level / DEVICE.linear_limit_adu) ** 2 / noise
        basis = np.linalg.qr(np.stack([1 / noise, level / noise], axis=1))[0]
        found[i] = device.bend[i] * np.linalg.norm(shape - basis @ (basis.T @ shape))
    return found


def _noise_factor(device: FaultyDetector) -> np.ndarray:
    own = DEVICE.read_noise_e / DEVICE.gain_e_per_adu
    return np.hypot(device.noisy_adu, own) / own
