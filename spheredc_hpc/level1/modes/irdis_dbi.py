"""IRDIS imaging, dual-band or classical: one recipe from raw frames to the master cube."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from pydantic import Field

from spheredc_hpc.config import ModeSettings
from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument.constants import default_constants
from spheredc_hpc.instrument.waffle import lambda_over_d_px
from spheredc_hpc.level1.io import Flag, Floats, Level1Inputs, Level1Result
from spheredc_hpc.level1.parts.angles import (
    Reference,
    SequenceAngles,
    derotator_mode,
    sequence_angles,
)
from spheredc_hpc.level1.parts.astrometry import astrometry
from spheredc_hpc.level1.parts.backgrounds import fit_quality
from spheredc_hpc.level1.parts.center_frames import CentringSettings, solve_centres
from spheredc_hpc.level1.parts.centres import CentreSolution
from spheredc_hpc.level1.parts.coherence import tau0_relation
from spheredc_hpc.level1.parts.cosmetics import CosmeticSettings
from spheredc_hpc.level1.parts.flux_frames import FluxSolution, reduce_flux
from spheredc_hpc.level1.parts.photometry import PhotometrySettings
from spheredc_hpc.level1.parts.science_frames import Stack, compact, reduce_science
from spheredc_hpc.level1.parts.selection import METRICS, SelectionSettings
from spheredc_hpc.level1.parts.setup import ARM, Bench, irdis_setup
from spheredc_hpc.level1.parts.strehl import carried, scale_errors
from spheredc_hpc.level1.parts.telemetry import (
    TelemetryRows,
    TelemetrySettings,
    per_frame,
    read_telemetry,
    telemetry,
)
from spheredc_hpc.level1.parts.zero_point import star_magnitudes
from spheredc_hpc.model.memory import CubeShape
from spheredc_hpc.registry import mode
from spheredc_hpc.store.cube import AO_QUANTITIES, Level1Cube
from spheredc_hpc.store.runinfo import stage

logger = logging.getLogger(__name__)


class IrdisDbiSettings(ModeSettings):
    """IRDIS imaging from raw frames to the master cube."""

    crop_px: int = Field(800, ge=64, le=1024, description="Side of the frames of the cube [px].")
    angle_reference: Reference = Field(
        "mid", description="Angle of an integration: that of its middle, or its mean."
    )
    cosmetics: CosmeticSettings = Field(CosmeticSettings(), description="Clean counts.")
    centring: CentringSettings = Field(CentringSettings(), description="Star centre.")
    photometry: PhotometrySettings = Field(PhotometrySettings(), description="FLUX exposures.")
    telemetry: TelemetrySettings = Field(TelemetrySettings(), description="Adaptive optics.")
    selection: SelectionSettings = Field(SelectionSettings(), description="Frames left out.")

    @property
    def cube_shape(self) -> CubeShape:
        """Two channels of `crop_px`; the narrowest PSF is that of Y2."""
        constants = default_constants()
        shortest_um = constants.value("filter_wavelength_um", band="Y2")
        width = float(lambda_over_d_px(shortest_um, constants, arm=ARM))
        return CubeShape(2, self.crop_px, constants.value("pixel_scale_mas", arm=ARM), width)


@mode("irdis_dbi", settings=IrdisDbiSettings)
def irdis_dbi(inputs: Level1Inputs, settings: IrdisDbiSettings) -> Level1Result:
    """Reduce IRDIS imaging frames of one observation to a recentred cube.

    Returns
    -------
    Level1Result
        Without a cube, and with the reasons, if no frame can be used.

    Raises
    ------
    DataError
        If the headers do not say what the frames are (filter, derotator mode, coordinates).
    """
    bench, problem = _open_bench(inputs, settings.cosmetics)
    if bench is None:
        return Level1Result(None, rejected=(problem,))
    with stage("centres"):
        centres = solve_centres(bench, settings.centring)
    with stage("flux"):
        flux = reduce_flux(bench, centres, settings.photometry)
    with stage("science"):
        stack = reduce_science(bench, centres, settings.crop_px, settings.selection)
    if not stack.kept.any():
        reasons = tuple(dict.fromkeys(stack.reasons))
        return Level1Result(None, rejected=("no usable science frame", *reasons))
    with stage("angles"):
        angles = sequence_angles(stack.files, ARM, inputs.constants, settings.angle_reference)
        held = read_telemetry(bench.frames("SPARTA"), inputs.read_table)
        ao, ao_flags = telemetry(held, stack.files, settings.telemetry)
    flags = [*bench.flags, *centres.flags, *flux.flags, *stack.flags, *angles.flags, *ao_flags]
    flags += _own_flags(bench, stack)
    cube = _assemble(bench, centres, flux, stack, (angles, ao), flags)
    quality = _quality(cube, centres, flux, stack)
    quality["flux"] = _flux_quality(bench, flux, held, cube.ao, settings.telemetry)
    law = derotator_mode(stack.files[0][0])
    quality["astrometry"] = astrometry(
        bench.setup.bands, cube.mjd.tolist(), law, ARM, inputs.constants
    )
    return Level1Result(cube, flags=tuple(dict.fromkeys(flags)), quality=quality)


def _open_bench(inputs: Level1Inputs, settings: CosmeticSettings) -> tuple[Bench | None, str]:
    """Read the setup from the first science file that can be read."""
    problem = "no science file"
    for ref in inputs.association.frames.get("OBJECT", ()):
        try:
            header = inputs.read_header(ref)
        except DataError as error:
            problem = str(error)
            continue
        derotator_mode(header)
        setup = irdis_setup(header, ref.mjd_start or _mjd(inputs), inputs.constants)
        return Bench(inputs, setup, settings), ""
    return None, problem


def _mjd(inputs: Level1Inputs) -> float:
    mjd = inputs.association.observation.mjd_mid
    if mjd is None:
        raise DataError("neither the science frames nor the observation have a date")
    return mjd


def _own_flags(bench: Bench, stack: Stack) -> list[Flag]:
    flags: list[Flag] = []
    if stack.reasons:
        kept, total = int(stack.kept.sum()), len(stack.names)
        reason = f"{kept} of {total} science frames kept; {stack.reasons[0]}"
        flags.append(("FRAMES_REJECTED", reason))
    dits = sorted({round(times.dit_s, 2) for _, times in stack.files})
    if len(dits) > 1:
        flags.append(("MIXED_DIT", f"science frames of {', '.join(f'{d:.2f} s' for d in dits)}"))
    worst = float(np.nanmax(stack.centre_error[:, : len(stack.names)]))
    if worst > POOR_CENTRE_PX:
        flags.append(("CENTER_POOR", f"star centre uncertain by {worst:.2f} px"))
    return flags


POOR_CENTRE_PX = 0.7


def _assemble(
    bench: Bench,
    centres: CentreSolution,
    flux: FluxSolution,
    stack: Stack,
    sequence: tuple[SequenceAngles, np.ndarray[Any, np.dtype[np.float64]]],
    flags: list[Flag],
) -> Level1Cube:
    angles, ao = sequence
    setup, kept = bench.setup, stack.kept
    used = kept[: len(stack.names)]
    times = [times for _, times in stack.files]
    mjd = np.concatenate([item.mid_mjd for item in times])
    dit = np.concatenate([np.full(len(item.mid_mjd), item.dit_s) for item in times])
    return Level1Cube(
        science=compact(stack.science, kept),
        weight=compact(stack.weight, kept),
        psf=flux.psf,
        centre_px=stack.centre[:, kept],
        centre_err_px=stack.centre_error[:, kept],
        ao=ao[used],
        quality=stack.quality[kept],
        metrics=METRICS,
        wavelength_um=np.array([band.wavelength_um for band in setup.bands]),
        bandwidth_um=np.array([band.bandwidth_um for band in setup.bands]),
        pixel_scale_mas=np.array(setup.scale_mas),
        mjd=mjd[used],
        dit_s=dit[used],
        parang_deg=angles.parang_deg[used],
        derotation_deg=angles.derotation_deg[used],
        derotation_start_deg=angles.derotation_start_deg[used],
        derotation_end_deg=angles.derotation_end_deg[used],
        airmass=angles.airmass[used],
        attrs=_attrs(bench, centres, flux, stack, flags),
    )


def _attrs(
    bench: Bench, centres: CentreSolution, flux: FluxSolution, stack: Stack, flags: list[Flag]
) -> dict[str, Any]:
    """Facts beside the arrays, JSON-compatible."""
    observation, setup = bench.inputs.association.observation, bench.setup
    header = stack.files[0][0]
    return {
        "observation": observation.id,
        "target": observation.target,
        "arm": ARM,
        "mode": observation.key.mode,
        "filter": observation.key.filter,
        "bands": [band.name for band in setup.bands],
        "coronagraph": setup.coronagraph,
        "nd": setup.nd,
        "derotator_mode": derotator_mode(header),
        "centre_method": centres.method,
        "centres_measured": centres.table,
        "dither_px": stack.dither[stack.kept].tolist(),
        "frames": [name for name, kept in zip(stack.names, stack.kept, strict=False) if kept],
        "frames_left_out": stack.reasons,
        "psf_calibrated": flux.mjd.size > 0,
        "psf_mjd": flux.mjd.tolist(),
        "lambda_over_d_px": list(setup.resolution_px),
        "anamorphism": list(setup.anamorphism),
        "flags": sorted({name for name, _ in flags}),
        "constants_version": bench.inputs.constants.version,
    }


def _quality(
    cube: Level1Cube, centres: CentreSolution, flux: FluxSolution, stack: Stack
) -> dict[str, Any]:
    """Figures for the receipt; a value that is no number becomes None."""
    turns = [cube.derotation_start_deg, cube.derotation_end_deg]
    medians = {
        name: _number(np.nanmedian(column)) if np.isfinite(column).any() else None
        for name, column in zip(cube.metrics, cube.quality.T, strict=True)
    }
    weather = {
        name: _number(np.nanmedian(column)) if np.isfinite(column).any() else None
        for name, column in zip(AO_QUANTITIES, cube.ao.T, strict=True)
    }
    return {
        "frames": int(cube.mjd.size),
        "frames_left_out": stack.reasons,
        "rotation_deg": float(np.ptp(np.concatenate(turns))),
        "exposure_s": float(cube.dit_s.sum()),
        "centring": {
            **centres.quality,
            "centre_err_px": float(np.nanmax(cube.centre_err_px)),
            "measured": centres.table,
        },
        "background": fit_quality(stack.backgrounds),
        "metrics": medians,
        "ao": weather,
        "tau0_relation": tau0_relation(
            cube.quality[:, cube.metrics.index("intensity_10")],
            cube.ao[:, AO_QUANTITIES.index("tau0_ms")],
        ),
    }


def _flux_quality(
    bench: Bench,
    flux: FluxSolution,
    held: TelemetryRows,
    science_ao: Floats,
    settings: TelemetrySettings,
) -> dict[str, Any]:
    """Figures of the FLUX exposures, what telemetry says of the science, and the zero point."""
    if not flux.mjd.size:
        return flux.quality
    setup, constants = bench.setup, bench.inputs.constants
    column = AO_QUANTITIES.index("strehl")
    rows = [
        per_frame(held.rows, times, settings.longest_gap_s)[np.isin(times.mid_mjd, flux.mjd)]
        for _, times in flux.files
    ]
    transfer = carried(
        np.concatenate(rows)[:, column], science_ao[:, column], setup.bands, constants
    )
    densities, _ = setup.nd_of(setup.nd)
    combination = str(bench.inputs.association.observation.key.filter)
    magnitudes = star_magnitudes(
        flux.quality["flux"], densities, setup.bands, (combination, ARM), constants
    )
    return {
        **flux.quality,
        "telemetry_strehl": transfer,
        "scale_err": scale_errors(flux.quality, transfer),
        **magnitudes,
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
