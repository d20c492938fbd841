"""When each integration of a raw file started and ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spheredc_hpc.errors import DataError
from spheredc_hpc.instrument.constants import Constants
from spheredc_hpc.instrument.headers import (
    EARLIEST_MJD,
    LATEST_MJD,
    mjd_from_iso,
    read_value,
)
from spheredc_hpc.level1.io import Flag, Floats, Header

DAY_S = 86400.0
# Largest overhead per integration that is believed, in units of the table's value.
LONGEST_OVERHEAD = 5.0


@dataclass(frozen=True)
class FrameTimes:
    """Times of the integrations of one file.

    Attributes
    ----------
    start_mjd, mid_mjd, end_mjd : array, shape (n,)
        UTC [d].
    dit_s : float
        Integration time [s].
    cadence_s : float
        From one integration to the next [s].
    flags : tuple of (str, str)
        What had to be estimated.
    """

    start_mjd: Floats
    mid_mjd: Floats
    end_mjd: Floats
    dit_s: float
    cadence_s: float
    flags: tuple[Flag, ...] = ()


def frame_times(header: Header, n_planes: int, constants: Constants, arm: str) -> FrameTimes:
    """Share the time between the start and end of a file among its integrations.

    Parameters
    ----------
    header : mapping
        Primary header without ``HIERARCH``.
    n_planes : int
        Planes stored; the header's NDIT is only what was planned.
    constants : Constants
        Gives delay and overhead where the header lacks them.
    arm : str
        ``IRDIS`` or ``IFS``.

    Returns
    -------
    FrameTimes
        Integration `k` starts at ``DATE-OBS + k (FRAM UTC - DATE-OBS) / n + DITDELAY``.
        Without an end, or with one that leaves less than the integration time or an
        absurd overhead, the table's overhead per integration is used and the file is flagged.

    Raises
    ------
    DataError
        If the start or the integration time is missing or makes no sense.
    """
    start = _start_mjd(header)
    dit_s = float(read_value(header, "dit_s"))
    if not dit_s > 0:
        raise DataError(f"integration time {dit_s:g} s; expected more than 0")
    overhead_s = constants.value("detector_overhead_s", arm=arm)
    cadence_s, flags = dit_s + overhead_s, []
    delay_s = constants.value("dit_delay_s", arm=arm)
    delay = read_value(header, "dit_delay_s", None)
    if delay is not None and not 0 <= delay <= LONGEST_OVERHEAD * overhead_s:
        flags.append(f"delay of {delay:g} s before an integration; {delay_s:g} s assumed")
    elif delay is not None:
        delay_s = float(delay)
    end_text = read_value(header, "frame_end", "")
    if end_text:
        found_s = (mjd_from_iso(end_text) - start) * DAY_S / n_planes
        if dit_s <= found_s <= dit_s + LONGEST_OVERHEAD * overhead_s:
            cadence_s = found_s
        else:
            flags.append(
                f"{found_s:.2f} s per integration of {dit_s:.2f} s do not fit; "
                f"{cadence_s:.2f} s assumed"
            )
    else:
        flags.append(f"no end of the exposure in the header; {cadence_s:.2f} s per DIT assumed")
    begins: Floats = start + (np.arange(n_planes, dtype=np.float64) * cadence_s + delay_s) / DAY_S
    return FrameTimes(
        start_mjd=begins,
        mid_mjd=begins + dit_s / 2 / DAY_S,
        end_mjd=begins + dit_s / DAY_S,
        dit_s=dit_s,
        cadence_s=cadence_s,
        flags=tuple(("TIME_ESTIMATED", text) for text in flags),
    )


def _start_mjd(header: Header) -> float:
    date = read_value(header, "date_obs", "")
    mjd = mjd_from_iso(date) if date else read_value(header, "mjd_obs", None)
    if mjd is None:
        raise DataError("header has neither DATE-OBS nor MJD-OBS")
    if not EARLIEST_MJD <= mjd <= LATEST_MJD:
        raise DataError(f"the exposure starts at MJD {mjd:g}; expected a date of 1900 to 2100")
    return float(mjd)
