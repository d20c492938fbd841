"""One raw file, as far as its primary header tells."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class RawFrame:
    """Normalised columns of one raw file.

    Empty strings and None mean that the header does not say. Times are UTC; `dit_s` is
    rounded to two decimals, the precision at which integration times are compared.

    Attributes
    ----------
    archive_id : str
        ``SPHER.YYYY-MM-DDTHH:MM:SS.mmm``, from ``ARCFILE`` or the file name.
    path : str
        Absolute path of the file.
    size_bytes : int
        Size of the file on disk.
    header_digest : str
        SHA-256 of the canonical header cards.
    datasum : str
        ``DATASUM`` of the primary unit, empty if absent.
    arm, mode, frame_class : str
        As classified; ``UNKNOWN`` and ``IGNORED`` classes carry a `reason`.
    n_planes : int
        Detector planes stored (``NAXIS3``, the authority).
    ndit : int
        Planes planned (``DET NDIT``).
    mjd_start, mjd_end : float
        Start of the first and end of the last integration [d].
    notes : tuple of str
        What was estimated or odd about the file.
    """

    archive_id: str
    path: str
    size_bytes: int
    header_digest: str
    datasum: str = ""
    arm: str = ""
    mode: str = ""
    frame_class: str = "UNKNOWN"
    reason: str = ""
    category: str = ""
    dpr_type: str = ""
    technique: str = ""
    target: str = ""
    night: str = ""
    mjd_start: float | None = None
    mjd_end: float | None = None
    dit_s: float | None = None
    n_planes: int = 0
    ndit: int = 0
    filter: str = ""
    nd: str = ""
    coronagraph: str = ""
    derotator_mode: str = ""
    readmode: str = ""
    lyot_stop: str = ""
    ifs_setup: str = ""
    prism: str = ""
    obs_id: str = ""
    container_id: str = ""
    programme: str = ""
    template_id: str = ""
    template_start: str = ""
    ra_deg: float | None = None
    dec_deg: float | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def mjd_mid(self) -> float | None:
        """Middle of the exposure sequence [d]."""
        if self.mjd_start is None:
            return None
        return (self.mjd_start + (self.mjd_end or self.mjd_start)) / 2


@dataclass(frozen=True)
class FrameRef:
    """What a job has to know of a raw file to read it and to name it in a receipt."""

    archive_id: str
    path: str
    size_bytes: int
    header_digest: str
    datasum: str = ""
    frame_class: str = ""
    dit_s: float | None = None
    n_planes: int = 0
    nd: str = ""
    mjd_start: float | None = None
    mjd_end: float | None = None

    @classmethod
    def of(cls, frame: RawFrame) -> FrameRef:
        """Make the reference of a scanned frame."""
        return cls(
            archive_id=frame.archive_id,
            path=frame.path,
            size_bytes=frame.size_bytes,
            header_digest=frame.header_digest,
            datasum=frame.datasum,
            frame_class=frame.frame_class,
            dit_s=frame.dit_s,
            n_planes=frame.n_planes,
            nd=frame.nd,
            mjd_start=frame.mjd_start,
            mjd_end=frame.mjd_end,
        )
