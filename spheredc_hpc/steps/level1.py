"""Step: raw frames and calibrations of one observation to its Level 1 product."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from spheredc_hpc.association.requirements import LEVEL1_MODES
from spheredc_hpc.config import Config, digest_of
from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument.constants import Constants, default_constants
from spheredc_hpc.kernels.parallel import worker_threads
from spheredc_hpc.level1.io import Calibration, Level1Inputs, Level1Result
from spheredc_hpc.log import log_context
from spheredc_hpc.model.association import Association
from spheredc_hpc.model.product import InputRef, Receipt, Status
from spheredc_hpc.registry import MODES
from spheredc_hpc.steps.guard import make
from spheredc_hpc.steps.inputs import FrameReader, raw_ref, refuse_absent, upstream_calibration
from spheredc_hpc.steps.layout import product_directory, split_product
from spheredc_hpc.steps.preview import PREVIEW, write_level1_preview
from spheredc_hpc.store import receipt as receipts
from spheredc_hpc.store.codec import read_record, to_plain
from spheredc_hpc.store.cube import write_cube
from spheredc_hpc.store.runinfo import run_info, stage

logger = logging.getLogger(__name__)

CUBE = "cube.zarr"
ROLES = ("OBJECT", "CENTER", "FLUX", "SPARTA")


def reduce_level1(association_file: Path, receipt: Path, config: Config, threads: int) -> Receipt:
    """Reduce the raw frames of one observation to its master cube.

    Parameters
    ----------
    association_file : Path
        `Association` that the plan wrote.
    receipt : Path
        Receipt of the product to make; its folder is the product.
    config : Config
        All settings.
    threads : int
        Threads of the job; the result does not depend on it.

    Returns
    -------
    Receipt
        Of the product; ``rejected``, without a cube, if the plan refused the observation or no
        frame can be used.

    Raises
    ------
    ConfigError
        If a path is no receipt below a result root.
    DataError
        If the plan, a calibration or a header is damaged, or a raw file is gone.
    """
    association = read_record(Association, association_file)
    target = product_directory(receipt)
    constants = default_constants().with_overrides(config.constants)
    root, _ = split_product(target)

    def build(writer: receipts.ProductWriter) -> None:
        observation = association.observation.id
        with (
            run_info() as run,
            worker_threads(threads),
            log_context(observation=observation, step="level1"),
        ):
            run.threads = threads
            _build(association, root, config, constants, writer)

    return make(target, _draft(association, target, config, constants), build, config.output)


def mode_of(association: Association) -> str:
    """Find the recipe of an observation in the registry of modes.

    Raises
    ------
    DataError
        If there is none for its arm and mode.
    """
    key = association.observation.key
    name = LEVEL1_MODES.get((key.arm, key.mode))
    if name is None:
        known = ", ".join(f"{arm} {mode}" for arm, mode in LEVEL1_MODES)
        raise DataError(
            f"{association.observation.id}: no Level 1 recipe for {key.arm} {key.mode}; "
            f"there are recipes for {known}"
        )
    return name


def _draft(
    association: Association, target: Path, config: Config, constants: Constants
) -> receipts.Draft:
    root, product_id = split_product(target)
    settings: dict[str, Any] = {}
    if not association.rejected_because:
        name = mode_of(association)
        settings = {"mode": name, **config.level1[name].plain()}
    frames = [raw_ref(role, ref) for role in ROLES for ref in association.frames.get(role, ())]
    calibrations = [
        receipts.product_ref(use.role, root / use.product, use.product)
        for use in association.calibrations
        if not association.rejected_because
    ]
    plan = InputRef("plan", association.observation.id, _plan_digest(association))
    return receipts.Draft(
        kind="level1",
        id=product_id,
        inputs=(plan, *frames, *calibrations),
        settings=settings,
        settings_digest=digest_of(settings),
        constants_version=constants.version,
        constants_digest=constants.digest,
    )


def _plan_digest(association: Association) -> str:
    """Digest of what the plan says beside the files: identity, flags, reasons."""
    return digest_of(
        {
            "observation": to_plain(association.observation),
            "flags": list(association.flags),
            "missing": [[item.role, item.flag] for item in association.missing],
            "rejected_because": list(association.rejected_because),
        }
    )


def _build(
    association: Association,
    root: Path,
    config: Config,
    constants: Constants,
    writer: receipts.ProductWriter,
) -> None:
    if association.rejected_because:
        for reason in association.rejected_because:
            writer.reject(reason)
        return
    refuse_absent(ref for role in ROLES for ref in association.frames.get(role, ()))
    reader = FrameReader(root, writer.pixel_digests)
    inputs = Level1Inputs(
        association=association,
        constants=constants,
        read_header=reader.header,
        read=reader.planes,
        read_table=reader.table,
        calibrations=_calibrations(association, root, writer),
    )
    name = mode_of(association)
    result: Level1Result = MODES[name].run(inputs, config.level1[name])
    reader.report(writer)
    writer.quality |= result.quality
    _set_status(association, result, writer)
    if result.cube is None:
        return
    result.cube.attrs["flags"] = sorted(writer.flags)
    with stage("write"):
        write_cube(result.cube, writer.path / CUBE, config.output.compression_level)
    with stage("preview"):
        write_level1_preview(result.cube, writer.path / PREVIEW)


def _calibrations(
    association: Association, root: Path, writer: receipts.ProductWriter
) -> dict[str, Calibration]:
    """Read what the plan picked; a rejected product is left out, flags of others are passed on."""
    held: dict[str, Calibration] = {}
    made: dict[str, Calibration] = {}
    for use in association.calibrations:
        receipt, images = upstream_calibration(root, use.product)
        if receipt.status is Status.REJECTED:
            reason = f"{use.role} was rejected: {'; '.join(receipt.reasons)}"
            logger.warning("%s", reason)
            writer.reasons.append(reason)
            continue
        for flag in receipt.flags:
            writer.flag(flag, f"{use.role}: {'; '.join(receipt.reasons)}")
        if use.product not in made:
            made[use.product] = Calibration(images, receipt.quality)
        held[use.role] = made[use.product]
    return held


def _set_status(
    association: Association, result: Level1Result, writer: receipts.ProductWriter
) -> None:
    for flag, reason in result.flags:
        writer.flag(flag, reason)
    reasons = {item.flag: f"no {item.role}: {item.consequence}" for item in association.missing}
    for use in association.calibrations:
        for flag in use.flags:
            reasons.setdefault(flag, f"{use.role}: {use.why}" if use.why else use.role)
    for flag in association.flags:
        if flag not in writer.flags:
            writer.flag(flag, reasons.get(flag, f"{flag} set by the plan"))
    for reason in result.rejected:
        writer.reject(reason)
