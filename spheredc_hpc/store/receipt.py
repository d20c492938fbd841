"""Products: written whole with their receipt, read back, verified.

A product is a directory. Its files are written to a scratch directory, the receipt last,
everything is synced, and one rename publishes it. A directory without a receipt is no product.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spheredc_hpc.errors import ConfigError, DataError, ResourceError
from spheredc_hpc.model.product import InputRef, OutputFile, Receipt, Status
from spheredc_hpc.model.provenance import (
    PRODUCT_VERSIONS,
    environment_digest,
    software_version,
)
from spheredc_hpc.model.quality import FLAGS
from spheredc_hpc.store.codec import (
    canonical_json,
    file_sha256,
    from_plain,
    read_json,
    sync_directory,
    to_plain,
    write_text,
)
from spheredc_hpc.store.lock import acquire
from spheredc_hpc.store.runinfo import run_info

RECEIPT = "receipt.json"
RUN = "run.json"
KEPT = ".receipt.json"
"""Second name of the receipt. Snakemake removes the first one before it starts a job, which
takes the product off the shelf; a job that finds it current puts it back."""
_BESIDE = (RECEIPT, RUN, KEPT)
_NO_PLACE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}
    | {errno.ENOTDIR, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Draft:
    """What is known of a product before it is made.

    Attributes
    ----------
    kind, id : str
        Kind of product and its identity, relative path below the root.
    inputs : tuple of InputRef
        Raw files and upstream products with their digests.
    settings : dict
        All settings that shape the product, JSON-compatible.
    settings_digest : str
        Their digest.
    constants_version, constants_digest : str
        Table of instrument constants that was used.
    """

    kind: str
    id: str
    inputs: tuple[InputRef, ...]
    settings: dict[str, Any]
    settings_digest: str
    constants_version: str = ""
    constants_digest: str = ""

    def matches(self, receipt: Receipt) -> bool:
        """Tell whether `receipt` describes a product of equal inputs, settings and versions."""
        known = {(i.role, i.id): i.digest for i in receipt.inputs}
        wanted = {(i.role, i.id): i.digest for i in self.inputs}
        return (
            receipt.kind == self.kind
            and receipt.id == self.id
            and known == wanted
            and receipt.settings_digest == self.settings_digest
            and receipt.constants_digest == self.constants_digest
            and receipt.product_version == PRODUCT_VERSIONS.get(self.kind, 0)
            and receipt.environment_digest == environment_digest()
        )


@dataclass
class ProductWriter:
    """The product being written: its scratch directory and what the receipt will say."""

    path: Path
    status: Status = Status.OK
    reasons: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    quality: dict[str, Any] = field(default_factory=dict)
    pixel_digests: dict[str, str] = field(default_factory=dict)

    def flag(self, name: str, reason: str) -> None:
        """Mark the product as worse than usual.

        Raises
        ------
        KeyError
            If `name` is not in the list of flags.
        """
        if name not in FLAGS:
            raise KeyError(f"unknown flag {name!r}; add it to spheredc_hpc.model.quality.FLAGS")
        if name not in self.flags:
            self.flags.append(name)
        if reason not in self.reasons:
            self.reasons.append(reason)
        if self.status is Status.OK:
            self.status = Status.FLAGGED

    def reject(self, reason: str) -> None:
        """Say that the data cannot give the result."""
        self.status = Status.REJECTED
        if reason not in self.reasons:
            self.reasons.append(reason)


@contextmanager
def writing(
    target: Path, draft: Draft, umask: str | None = None, group: str | None = None
) -> Iterator[ProductWriter]:
    """Write one product whole or not at all.

    Parameters
    ----------
    target : Path
        Directory of the product; an older version steps aside and is removed.
    draft : Draft
        Inputs and settings, known beforehand.
    umask : str, optional
        Octal umask of the product; that of the process if absent.
    group : str, optional
        Group that owns the product; unchanged if absent.

    Yields
    ------
    ProductWriter
        Its `path` is where the files go.

    Raises
    ------
    ResourceError
        If the place cannot be written (permission, no space left).
    ConfigError
        If there is no such group, or this user may not give files to it.
    """
    token = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    beside = target.parent / f".{target.name}.{token}.part"
    local = os.environ.get("SPHEREDC_SCRATCH")
    scratch = Path(local) / f"{target.name}.{token}.part" if local else beside
    try:
        scratch.mkdir(parents=True)
    except OSError as error:
        raise ResourceError(f"cannot write {scratch}: {error.strerror}") from error
    with run_info() as run:
        try:
            writer = ProductWriter(scratch)
            try:
                yield writer
                receipt = _complete(draft, writer)
                text = seal(to_plain(receipt))
                (scratch / RECEIPT).write_text(text, encoding="utf-8")
                _link(scratch / RECEIPT, scratch / KEPT)
                (scratch / RUN).write_text(seal(run.finish()), encoding="utf-8")
                if scratch != beside:
                    beside.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copytree(scratch, beside)
                _own(beside, umask, group)
                _sync_tree(beside)
                _publish(beside, target, token)
            except OSError as error:
                if error.errno not in _NO_PLACE:
                    raise
                raise ResourceError(f"cannot write {target}: {error}") from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            shutil.rmtree(beside, ignore_errors=True)
    logger.info("published %s (%s)", draft.id, receipt.status)


def _own(root: Path, umask: str | None, group: str | None) -> None:
    """Give every file of a product the configured permissions and group."""
    for path in (root, *root.rglob("*")):
        if umask is not None:
            path.chmod((0o777 if path.is_dir() else 0o666) & ~int(umask, 8))
        if group is not None:
            try:
                shutil.chown(path, group=group)
            except (LookupError, PermissionError) as error:
                raise ConfigError(f"output.group {group!r}: {error}") from error


def _complete(draft: Draft, writer: ProductWriter) -> Receipt:
    outputs = tuple(
        OutputFile(str(path.relative_to(writer.path)), path.stat().st_size, file_sha256(path))
        for path in sorted(writer.path.rglob("*"))
        if path.is_file()
    )
    inputs = tuple(
        replace(ref, sha256=writer.pixel_digests.get(ref.id, ref.sha256)) for ref in draft.inputs
    )
    return Receipt(
        kind=draft.kind,
        id=draft.id,
        status=writer.status,
        reasons=tuple(writer.reasons),
        flags=tuple(sorted(writer.flags)),
        inputs=inputs,
        outputs=outputs,
        settings=draft.settings,
        settings_digest=draft.settings_digest,
        software_version=software_version(),
        product_version=PRODUCT_VERSIONS.get(draft.kind, 0),
        constants_version=draft.constants_version,
        constants_digest=draft.constants_digest,
        environment_digest=environment_digest(),
        quality=writer.quality,
    )


def _publish(ready: Path, target: Path, token: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.parent / f".{target.name}.{token}.old"
    with _locked(target.parent):
        if target.exists():
            target.rename(aside)
        try:
            ready.rename(target)
        except OSError:
            if aside.exists():
                aside.rename(target)
            raise
    sync_directory(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the lock of a directory: two writers of one product publish one after the other."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        acquire(handle, directory)
        yield
    finally:
        os.close(handle)


def _sync_tree(root: Path) -> None:
    for path in sorted(root.rglob("*")):
        if path.is_dir():
            sync_directory(path)
        else:
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    sync_directory(root)


def seal(values: dict[str, Any]) -> str:
    """Canonical JSON text of `values` that carries its own digest."""
    body = {name: value for name, value in values.items() if name != "digest"}
    digest = hashlib.sha256(canonical_json(body).encode()).hexdigest()
    return canonical_json({**body, "digest": digest})


def unseal(path: Path) -> dict[str, Any]:
    """Read what `seal` wrote.

    Raises
    ------
    DataError
        If the file is absent, damaged or was edited.
    """
    values = read_json(path)
    if not isinstance(values, dict) or path.read_text(encoding="utf-8") != seal(values):
        raise DataError(f"{path}: its digest does not match its content (damaged or edited)")
    return values


def read(path: Path) -> Receipt:
    """Read the receipt of a product (its directory or the file).

    Raises
    ------
    DataError
        If there is no receipt or it is damaged.
    """
    return _read_file(path / RECEIPT if path.is_dir() or path.name != RECEIPT else path)


def _read_file(file: Path) -> Receipt:
    values = unseal(file)
    values.pop("digest")
    return from_plain(Receipt, values, str(file))


def digest(path: Path) -> str:
    """Digest of a receipt: what an `InputRef` of a later product carries."""
    return str(unseal(path / RECEIPT if path.is_dir() else path)["digest"])


def product_ref(role: str, directory: Path, product_id: str) -> InputRef:
    """Name the product in `directory` as an input of another one."""
    return InputRef(role, product_id, digest(directory))


def is_current(target: Path, draft: Draft) -> bool:
    """Tell whether `target` already holds a sound product of equal inputs and settings.

    A product whose receipt Snakemake took away counts, by the receipt's second name.
    """
    name = RECEIPT if (target / RECEIPT).is_file() else KEPT
    if not (target / name).is_file():
        return False
    try:
        receipt = _read_file(target / name)
    except DataError:
        return False
    return draft.matches(receipt) and not _problems(target, receipt)


def confirm(target: Path) -> None:
    """Put the receipt of a current product back if it was taken away, and date it now."""
    receipt = target / RECEIPT
    if not receipt.is_file():
        try:
            os.link(target / KEPT, receipt)
        except OSError:
            write_text((target / KEPT).read_text(encoding="utf-8"), receipt)
        sync_directory(target)
    os.utime(receipt)


def verify(directory: Path) -> list[str]:
    """Check a product against its receipt.

    Returns
    -------
    list of str
        One line per problem: damaged, missing or surplus file; empty if it is sound.
    """
    if not (directory / RECEIPT).is_file() and (directory / KEPT).is_file():
        return [f"{directory / RECEIPT}: missing, {KEPT} is there; reduce again to mend it"]
    try:
        receipt = read(directory)
    except DataError as error:
        return [str(error)]
    return _problems(directory, receipt)


def _problems(directory: Path, receipt: Receipt) -> list[str]:
    problems = []
    kept = directory / KEPT
    if kept.is_file() and kept.read_bytes() != seal(to_plain(receipt)).encode():
        problems.append(f"{kept}: differs from {RECEIPT}")
    try:
        unseal(directory / RUN)
    except DataError as error:
        problems.append(str(error))
    expected: Mapping[str, OutputFile] = {output.path: output for output in receipt.outputs}
    found = {
        str(path.relative_to(directory)): path
        for path in sorted(directory.rglob("*"))
        if path.is_file() and str(path.relative_to(directory)) not in _BESIDE
    }
    for name, output in expected.items():
        path = found.pop(name, None)
        if path is None:
            problems.append(f"{directory / name}: missing")
        elif path.stat().st_size != output.size_bytes:
            problems.append(
                f"{path}: {path.stat().st_size} bytes, the receipt says {output.size_bytes}"
            )
        elif file_sha256(path) != output.sha256:
            problems.append(f"{path}: SHA-256 differs from the receipt")
    problems += [f"{path}: not in the receipt" for path in found.values()]
    return problems
