"""The surroundings of a verb that makes one product."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)


@contextmanager
def job_context(step: str, receipt: Path, attempt: int) -> Iterator[None]:
    """Name the observation (or calibration) and the step in every record of the job.

    Raises
    ------
    ConfigError
        If `receipt` is no path of a receipt.
    """
    from spheredc_hpc.log import log_context
    from spheredc_hpc.steps.layout import product_directory, split_product

    _, product = split_product(product_directory(receipt))
    parts = product.split("/")
    with log_context(observation=parts[1] if parts[0] == "observations" else product, step=step):
        if attempt > 1:
            logger.info("attempt %d", attempt)
        yield
