"""Step: raw calibration frames to one calibration product."""

from __future__ import annotations

import logging
from pathlib import Path

from spheredc_hpc.calibration.io import CalibrationInputs, CalibrationResult
from spheredc_hpc.config import Config
from spheredc_hpc.errors import ConfigError
from spheredc_hpc.instrument.constants import Constants, default_constants
from spheredc_hpc.kernels.parallel import worker_threads
from spheredc_hpc.model.association import CalibrationJob
from spheredc_hpc.model.product import Receipt
from spheredc_hpc.registry import CALIBRATIONS
from spheredc_hpc.steps.guard import make
from spheredc_hpc.steps.inputs import FrameReader, raw_ref, refuse_absent, upstream_calibration
from spheredc_hpc.steps.layout import product_directory, split_product
from spheredc_hpc.store import receipt as receipts
from spheredc_hpc.store.calibrations import write_calibration
from spheredc_hpc.store.codec import read_record
from spheredc_hpc.store.runinfo import run_info, stage

logger = logging.getLogger(__name__)


def make_calibration(job_file: Path, receipt: Path, config: Config, threads: int) -> Receipt:
    """Make one calibration product.

    Parameters
    ----------
    job_file : Path
        `CalibrationJob` that the plan wrote.
    receipt : Path
        Receipt of the product to make; its folder is the product.
    config : Config
        All settings.
    threads : int
        Threads of the job; the result does not depend on it.

    Returns
    -------
    Receipt
        Of the product; ``rejected`` if the frames give no such calibration.

    Raises
    ------
    ConfigError
        If the receipt is not where the job belongs.
    DataError
        If the job or an upstream product is damaged, or a frame cannot be what it claims.
    """
    job = read_record(CalibrationJob, job_file)
    target = product_directory(receipt)
    root, product_id = split_product(target)
    if product_id != job.product:
        raise ConfigError(f"{job_file} belongs to {job.product}, not to {product_id}")
    constants = default_constants().with_overrides(config.constants)

    def build(writer: receipts.ProductWriter) -> None:
        with run_info() as run, worker_threads(threads):
            run.threads = threads
            _build(job, root, config, constants, writer)

    return make(target, _draft(job, root, config, constants), build, config.output)


def _draft(job: CalibrationJob, root: Path, config: Config, constants: Constants) -> receipts.Draft:
    settings = config.calibration[CALIBRATIONS[job.kind].name]
    upstream = tuple(
        receipts.product_ref(role, root / product, product)
        for role, product in sorted(job.upstream.items())
    )
    return receipts.Draft(
        kind=job.kind,
        id=job.product,
        inputs=(*(raw_ref(ref.frame_class or "RAW", ref) for ref in job.frames), *upstream),
        settings=settings.plain(),
        settings_digest=settings.digest,
        constants_version=constants.version,
        constants_digest=constants.digest,
    )


def _build(
    job: CalibrationJob,
    root: Path,
    config: Config,
    constants: Constants,
    writer: receipts.ProductWriter,
) -> None:
    refuse_absent(job.frames)
    upstream = {}
    for role, product in job.upstream.items():
        known, images = upstream_calibration(root, product)
        if images:
            upstream[role] = images
        else:
            logger.warning("%s is not used: %s", product, "; ".join(known.reasons))
            writer.quality.setdefault("upstream_rejected", []).append(product)
    reader = FrameReader(root, writer.pixel_digests)
    entry = CALIBRATIONS[job.kind]
    inputs = CalibrationInputs(read=reader.planes, constants=constants, upstream=upstream)
    result: CalibrationResult = entry.run(job, inputs, config.calibration[job.kind])
    reader.report(writer)
    writer.quality |= {"setup": dict(job.setup), **result.quality}
    for flag, reason in result.flags:
        writer.flag(flag, reason)
    for reason in result.rejected:
        writer.reject(reason)
    if result.rejected:
        return
    with stage("write"):
        write_calibration(result.images, result.facts, writer.path)
