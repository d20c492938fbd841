"""Receipts, run records, failure records and benchmarks below a root, as facts."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from spheredc_hpc.campaign.joblog import error_line
from spheredc_hpc.campaign.report.facts import Failure, Product, Run, number
from spheredc_hpc.errors import DataError
from spheredc_hpc.steps.guard import failure_path
from spheredc_hpc.store import receipt as receipts
from spheredc_hpc.store.codec import read_json


def read_product(root: Path, product_id: str, kind: str) -> Product:
    """Tell what there is of one product.

    Parameters
    ----------
    root : Path
        Result root.
    product_id : str
        Directory of the product, relative to the root.
    kind : str
        Its kind, for products that are not there.

    Returns
    -------
    Product
        Never raises: a receipt that cannot be read gives ``damaged``, a failure record or a
        log that ends with an error ``failed``, none of them ``absent``.
    """
    directory = root / product_id
    log = log_path(root, product_id)
    record = failure_path(root, product_id)
    if record.is_file():
        failure = read_failure(root, record)
        return Product(product_id, kind, "failed", (failure.message,), log=log)
    if not (directory / receipts.RECEIPT).is_file():
        error = error_line(root / log) if log else ""
        if error:
            return Product(product_id, kind, "failed", (_relative(root, error),), log=log)
        return Product(product_id, kind, "absent", log=log)
    try:
        receipt = receipts.read(directory)
    except DataError as error:
        return Product(product_id, kind, "damaged", (_relative(root, str(error)),), log=log)
    return Product(
        id=product_id,
        kind=receipt.kind,
        status=str(receipt.status),
        reasons=receipt.reasons,
        flags=receipt.flags,
        size_bytes=sum(output.size_bytes for output in receipt.outputs),
        n_inputs=len(receipt.inputs),
        settings=receipt.settings,
        settings_digest=receipt.settings_digest,
        software_version=receipt.software_version,
        product_version=receipt.product_version,
        constants_version=receipt.constants_version,
        constants_digest=receipt.constants_digest,
        environment_digest=receipt.environment_digest,
        quality=receipt.quality,
        run=_read_run(root, directory, product_id),
        log=log,
    )


def read_failures(root: Path) -> list[Failure]:
    """Read every failure record, ordered by product."""
    found = [read_failure(root, path) for path in sorted((root / "quarantine").glob("*.json"))]
    return sorted(found, key=lambda failure: failure.product)


def read_failure(root: Path, path: Path) -> Failure:
    """Read one failure record; a damaged one says so."""
    try:
        values = read_json(path)
    except DataError as error:
        values = {"message": _relative(root, str(error)), "error": "DataError"}
    if not isinstance(values, dict):
        values = {"message": "the failure record is no mapping", "error": "DataError"}
    product = str(values.get("product", path.stem.replace("__", "/")))
    return Failure(
        product=product,
        error=str(values.get("error", "")),
        exit_code=int(values.get("exit_code", 1)),
        message=_relative(root, str(values.get("message", ""))),
        try_again=str(values.get("try_again", "")),
        log=log_path(root, product),
    )


def log_path(root: Path, product_id: str) -> str:
    """Log file of the job that makes a product, relative to the root; empty if there is none."""
    relative = _beside(product_id, "logs", ".log")
    return relative if (root / relative).is_file() else ""


def _beside(product_id: str, top: str, suffix: str) -> str:
    """Place of the log or benchmark of a product, as the rules name it."""
    match product_id.split("/"):
        case ["calibrations", kind, key]:
            return f"{top}/calibrations/{kind}.{key}{suffix}"
        case ["observations", observation, level]:
            return f"{top}/{observation}/{level}{suffix}"
        case ["observations", observation, level, recipe]:
            return f"{top}/{observation}/{level}.{recipe}{suffix}"
    return f"{top}/{product_id}{suffix}"


def _read_run(root: Path, directory: Path, product_id: str) -> Run | None:
    try:
        values = receipts.unseal(directory / receipts.RUN)
    except DataError:
        return None
    job = _read_benchmark(root / _beside(product_id, "benchmarks", ".tsv"))
    job_mib = _cell(job, "max_rss")  # Snakemake calls it MB
    stages = {str(k): float(v) for k, v in dict(values.get("stages_s", {})).items()}
    return Run(
        started=str(values.get("started", "")),
        host=str(values.get("host", "")),
        cpu=str(values.get("cpu", "")),
        executor=str(values.get("executor", "")),
        threads=int(values.get("threads", 1)),
        wall_s=number(values.get("wall_s")),
        cpu_s=number(values.get("cpu_s")),
        peak_rss_mb=number(values.get("peak_rss_mb")),
        stages_s=stages,
        job_wall_s=_cell(job, "s"),
        job_max_rss_mb=None if job_mib is None else job_mib * 2**20 / 1e6,
    )


def _read_benchmark(path: Path) -> dict[str, str]:
    """Read the last row of a Snakemake benchmark; empty if there is none."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except OSError:
        return {}
    return rows[-1] if rows else {}


def _cell(row: dict[str, Any], name: str) -> float | None:
    try:
        return number(row.get(name))
    except ValueError:
        return None


def _relative(root: Path, text: str) -> str:
    """Leave the place of the root out of a message, so that a moved root reads the same."""
    return text.replace(f"{root.absolute()}/", "").replace(f"{root}/", "")
