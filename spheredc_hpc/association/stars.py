"""Stars by their place: names in headers differ for one star, and agree for two."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import median

from spheredc_hpc.association.requirements import SCIENCE_CLASSES
from spheredc_hpc.association.screening import POINTING_LIMIT_ARCSEC, distance_arcsec
from spheredc_hpc.instrument import frame_classes as classes
from spheredc_hpc.model.frame import RawFrame
from spheredc_hpc.model.observation import slug

_ON_STAR = (*SCIENCE_CLASSES, classes.CENTER, classes.FLUX)


def one_name_per_star(frames: Sequence[RawFrame]) -> tuple[list[RawFrame], dict[str, str]]:
    """Give frames of one night and place one target name, that of most science frames.

    Parameters
    ----------
    frames : sequence of RawFrame
        With night and time.

    Returns
    -------
    frames : list of RawFrame
        In the same order; those of another name carry that of their star.
    notes : dict
        Archive id to what its header says.
    """
    nights: dict[str, list[RawFrame]] = defaultdict(list)
    for frame in frames:
        if frame.frame_class in _ON_STAR:
            nights[frame.night].append(frame)
    names = {night: _names(held) for night, held in nights.items()}
    renamed, notes = [], {}
    for frame in frames:
        name = names.get(frame.night, {}).get(slug(frame.target))
        if name is None or frame.frame_class == classes.SPARTA:
            renamed.append(frame)
            continue
        notes[frame.archive_id] = f"named {frame.target}, which is {name} by its place"
        renamed.append(replace(frame, target=name))
    return renamed, notes


def _names(frames: Iterable[RawFrame]) -> dict[str, str]:
    """Map the slugs of a night that another name of the same place replaces to that name."""
    spelled: dict[str, str] = {}
    counts: Counter[str] = Counter()
    places: dict[str, list[RawFrame]] = defaultdict(list)
    for frame in frames:
        name = slug(frame.target)
        spelled.setdefault(name, frame.target)
        counts[name] += frame.n_planes * (frame.frame_class in SCIENCE_CLASSES)
        if frame.ra_deg is not None and frame.dec_deg is not None:
            places[name].append(frame)
    if len(places) < 2:
        return {}
    middles = {name: _middle(held) for name, held in places.items()}
    leading: list[str] = []
    replaced = {}
    for name in sorted(middles, key=lambda name: (-counts[name], name)):
        star = next(
            (
                other
                for other in leading
                if distance_arcsec(middles[name], middles[other]) <= POINTING_LIMIT_ARCSEC
            ),
            None,
        )
        if star is None:
            leading.append(name)
        else:
            replaced[name] = spelled[star]
    return replaced


def _middle(frames: Sequence[RawFrame]) -> RawFrame:
    """Median place of frames; right ascensions are taken about that of the first."""
    first = frames[0].ra_deg or 0.0
    offsets = [((frame.ra_deg or 0.0) - first + 180) % 360 - 180 for frame in frames]
    return replace(
        frames[0],
        ra_deg=(first + median(offsets)) % 360,
        dec_deg=median(frame.dec_deg or 0.0 for frame in frames),
    )
