"""What was really there: the truth file beside the frames, for tests only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spheredc_hpc.instrument.filters import nd_transmission
from spheredc_hpc.simulate.detector import DetectorMaps
from spheredc_hpc.simulate.keywords import archive_id
from spheredc_hpc.simulate.light import Integration, Night
from spheredc_hpc.simulate.timeline import PlannedFile

TRUTH_FILE = "truth.json"
MAPS_FILE = "truth_maps.npz"


@dataclass(frozen=True)
class Truth:
    """Truth of one simulated night.

    Attributes
    ----------
    folder : Path
        Where the frames lie.
    values : dict
        Content of ``truth.json``.
    """

    folder: Path
    values: dict[str, Any]

    @property
    def files(self) -> list[dict[str, Any]]:
        """Entries of the raw image files, in the order of time."""
        entries: list[dict[str, Any]] = self.values["files"]
        return entries

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """Entries of one frame class."""
        return [entry for entry in self.files if entry["kind"] == kind]

    def write(self) -> Path:
        """Write ``truth.json``."""
        path = self.folder / TRUTH_FILE
        path.write_text(json.dumps(self.values, indent=1) + "\n", encoding="utf-8")
        return path


def load_truth(folder: Path) -> Truth:
    """Read the truth file of a simulated night."""
    return Truth(folder, json.loads((folder / TRUTH_FILE).read_text(encoding="utf-8")))


def write_maps(folder: Path, maps: DetectorMaps) -> None:
    """Write the maps of the detector to ``truth_maps.npz``."""
    np.savez(
        folder / MAPS_FILE,
        response=maps.response,
        dark_adu_s=maps.dark_adu_s,
        pattern_adu=maps.pattern_adu,
        bad=maps.bad,
    )


def file_truth(night: Night, file: PlannedFile, integrations: list[Integration]) -> dict[str, Any]:
    """Truth of one image file."""
    entry: dict[str, Any] = {
        "archive_id": archive_id(file),
        "file": f"{archive_id(file)}.fits",
        "kind": file.kind,
        "number": file.number,
        "target": night.scenario.of_star(file.star).target.name if file.on_sky else "",
        "start_mjd": file.start_mjd,
        "end_mjd": file.end_mjd,
        "dit_s": file.dit_s,
        "ndit": file.ndit,
        "n_planes": file.n_planes,
        "nd": file.nd,
        "nd_transmission": [
            nd_transmission(file.nd, band.name, night.constants) for band in night.bands
        ],
        "dither_px": list(file.dither_px),
    }
    if file.on_sky:
        entry["integrations"] = [
            _integration_truth(night, file, plane, integration)
            for plane, integration in enumerate(integrations)
        ]
    return entry


def _integration_truth(
    night: Night, file: PlannedFile, plane: int, integration: Integration
) -> dict[str, Any]:
    sky = night.sky[file.index]
    conditions = sky.conditions
    parang, turn = sky.parang_deg[plane], sky.derotation_deg[plane]
    entry: dict[str, Any] = {
        "mjd_mid": float(file.mid_mjd[plane]),
        "parang_mid_deg": float(parang[(len(parang) - 1) // 2 : len(parang) // 2 + 1].mean()),
        "parang_mean_deg": float(parang.mean()),
        "derotation_mean_deg": float(turn.mean()),
        "derotation_first_deg": float(turn[0]),
        "derotation_last_deg": float(turn[-1]),
        "derotator_error_deg": float(sky.error_deg[plane]),
        "altitude_deg": float(sky.altitude_deg[plane]),
        "transparency": float(conditions.transparency[plane]),
        "seeing_arcsec": float(conditions.seeing_arcsec[plane]),
        "tau0_ms": float(conditions.tau0_ms[plane]),
        "degraded": sky.bad[plane],
    }
    if file.kind != "SKY":
        entry |= {
            "star_px": sky.star_px[plane].tolist(),
            "mask_px": sky.mask_px[plane].tolist(),
            "strehl": integration.strehl,
            "companions_px": integration.companions,
            "companion_transmission": integration.transmissions,
        }
    return entry


def night_truth(
    night: Night, entries: list[dict[str, Any]], telemetry: list[str]
) -> dict[str, Any]:
    """Content of the truth file."""
    telescope = night.telescope
    return {
        "scenario": night.scenario.plain(),
        "scenario_digest": night.scenario.digest,
        "seed": night.scenario.seed,
        "constants": {"version": night.constants.version, "digest": night.constants.digest},
        "bands": [
            {
                "name": band.name,
                "wavelength_um": band.wavelength_um,
                "bandwidth_um": band.bandwidth_um,
                "pixel_scale_mas": telescope.scale_mas[i],
                "lambda_over_d_mas": telescope.resolution_mas(band.wavelength_um),
                "star_rate_adu_s": night.star_rates[0][i],
                "background_adu_s": night.background[i],
            }
            for i, band in enumerate(night.bands)
        ],
        "anamorphism_y": telescope.anamorphism,
        "companions": [companion.plain() for companion in night.scenario.companions],
        "summary": _summary(entries),
        "maps": MAPS_FILE,
        "telemetry": telemetry,
        "files": entries,
    }


def _summary(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the science and the FLUX integrations, and the rotation of the field."""
    summary: dict[str, Any] = {}
    for kind in ("OBJECT", "FLUX"):
        shots = [i for entry in entries if entry["kind"] == kind for i in entry["integrations"]]
        if shots:
            summary[kind] = {
                "integrations": len(shots),
                "strehl": np.mean([shot["strehl"] for shot in shots], axis=0).tolist(),
                "transparency": float(np.mean([shot["transparency"] for shot in shots])),
            }
    turns = [
        turn
        for entry in entries
        if entry["kind"] == "OBJECT"
        for shot in entry["integrations"]
        for turn in (shot["derotation_first_deg"], shot["derotation_last_deg"])
    ]
    if turns:
        unwrapped = np.degrees(np.unwrap(np.radians(turns)))
        summary["rotation_deg"] = float(np.ptp(unwrapped))
    return summary
