"""Calibrations of an observation: ranked sources, validity windows, shared products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from spheredc_hpc.association.explain import pick_reason, setup_of
from spheredc_hpc.association.grouping import Group
from spheredc_hpc.association.index import FrameIndex
from spheredc_hpc.association.picks import TIERS, Pick, age_of, tier_of
from spheredc_hpc.association.refusals import rejections
from spheredc_hpc.association.rules import (
    NO_CORONAGRAPH,
    REQUIREMENTS,
    ROLES,
    Need,
    Source,
    key_value,
)
from spheredc_hpc.config import AssociationSettings, ValidityWindow, digest_of
from spheredc_hpc.instrument import frame_classes as classes
from spheredc_hpc.model.association import (
    Association,
    CalibrationJob,
    CalibrationUse,
    Missing,
    Rejected,
)
from spheredc_hpc.model.frame import FrameRef, RawFrame
from spheredc_hpc.model.provenance import PRODUCT_VERSIONS

KEY_LENGTH = 16

Requirements = Mapping[tuple[str, str], tuple[Need, ...]]


@dataclass(frozen=True)
class Versions:
    """What besides the frames shapes a calibration product.

    Attributes
    ----------
    settings : mapping
        Digest of the settings of each kind.
    constants : str
        Digest of the instrument constants.
    """

    settings: Mapping[str, str]
    constants: str


@dataclass
class Associator:
    """Picks calibrations and collects the products to make.

    Parameters
    ----------
    index : FrameIndex
        All frames that may calibrate.
    settings : AssociationSettings
        Validity windows and preferences.
    versions : Versions
        Digests that enter the identity of products.
    requirements : mapping, optional
        Needs by arm and mode.
    """

    index: FrameIndex
    settings: AssociationSettings
    versions: Versions
    requirements: Requirements = field(default_factory=lambda: REQUIREMENTS)
    jobs: dict[str, CalibrationJob] = field(default_factory=dict)

    def associate(self, group: Group) -> Association:
        """Find what serves `group`; a rejected group gets its frames and its reasons only."""
        found = Association(
            observation=group.observation,
            frames={role: tuple(map(FrameRef.of, frames)) for role, frames in group.frames.items()},
            flags=group.flags,
            rejected_because=group.rejected_because,
            notes=group.notes,
        )
        if group.rejected_because:
            return found
        uses: list[CalibrationUse] = []
        missing = list(_missing_roles(group))
        key = group.observation.key
        for need in self.requirements.get((key.arm, key.mode), ()):
            if need.serves not in group.frames:
                continue
            served = group.frames[need.serves][0]
            result = self._resolve(need, served, group.observation.mjd_mid or 0.0, uses)
            if isinstance(result, CalibrationUse):
                uses.append(result)
            else:
                missing.append(result)
        flags = {*group.flags, *(f for use in uses for f in use.flags), *(m.flag for m in missing)}
        return replace(
            found,
            calibrations=tuple(uses),
            missing=tuple(missing),
            flags=tuple(sorted(flags - {""})),
        )

    def _resolve(
        self, need: Need, served: RawFrame, mjd: float, uses: Sequence[CalibrationUse]
    ) -> CalibrationUse | Missing:
        window: ValidityWindow = getattr(self.settings, need.window)
        picks = sorted(self._picks(need, served, mjd, window), key=lambda pick: pick.order)
        best = picks[0] if picks else None
        refused = rejections(need, served, mjd, self.index, window, picks)
        if need.sources and best is None:
            return _missing(need, served, refused)
        upstream = self._upstream(need, best, uses)
        if not need.sources and not upstream:
            return _missing(need, served, refused)
        job = self._job(need.kind, best.frames if best else (), upstream)
        if best is None:
            return _derived(need, job, uses)
        flags = [best.source.flag] if best.source.flag else []
        if best.tier != TIERS[0] and need.age_flag:
            flags.append(need.age_flag)
        return CalibrationUse(
            role=need.role,
            kind=need.kind,
            product=job.product,
            source_class=best.source.frame_class,
            tier=best.tier,
            age_h=best.age_h,
            rank=best.rank,
            relaxed=best.relaxed,
            flags=tuple(flags),
            frames=tuple(frame.archive_id for frame in best.frames),
            rejected=refused,
            why=pick_reason(need, served, best, window),
        )

    def _picks(
        self, need: Need, served: RawFrame, mjd: float, window: ValidityWindow
    ) -> Iterator[Pick]:
        """Give the best set of each source, with and without its tolerant keys."""
        for rank, source in enumerate(self._ordered(need.sources), start=1):
            exact = tuple(match.key for match in source.exact)
            wanted = tuple(match.wanted(served) for match in source.exact)
            tolerant = tuple(key for key in source.tolerant if key_value(served, key))
            liked = tuple(key_value(served, key) for key in tolerant)
            closest, enough = (exact + tolerant, wanted + liked), (exact, wanted)
            for keys, values in dict.fromkeys((closest, enough)):
                pick = self._nearest_set(source, rank, (keys, values), mjd, window)
                if pick is not None:
                    yield replace(pick, relaxed=tuple(_relaxed(pick, served, tolerant)))

    def _ordered(self, sources: Sequence[Source]) -> list[Source]:
        if self.settings.prefer_sky:
            return list(sources)
        order = (classes.BACKGROUND, classes.SKY)
        return sorted(
            sources,
            key=lambda s: order.index(s.frame_class) if s.frame_class in order else len(order),
        )

    def _nearest_set(
        self,
        source: Source,
        rank: int,
        wanted: tuple[tuple[str, ...], tuple[str, ...]],
        mjd: float,
        window: ValidityWindow,
    ) -> Pick | None:
        """Search outward in time; a complete set beats an incomplete one of its tier."""
        keys, values = wanted
        tried: set[str] = set()
        incomplete: Pick | None = None
        for nearest in self.index.outward(source.frame_class, keys, values, mjd):
            age_h = age_of(nearest, mjd)
            tier = tier_of(age_h, window)
            if tier is None or (incomplete is not None and tier != incomplete.tier):
                break
            if nearest.archive_id in tried:
                continue
            frames = self._set_of(source, nearest, (keys, values), mjd)
            tried |= {frame.archive_id for frame in frames}
            levels = len({frame.dit_s for frame in frames})
            if levels < source.usable_levels:
                continue
            pick = Pick(source, rank, frames, tier, age_h, source.relaxed)
            if levels >= source.levels:
                return pick
            incomplete = incomplete or replace(pick, relaxed=(*pick.relaxed, "levels"))
        return incomplete

    def _set_of(
        self,
        source: Source,
        nearest: RawFrame,
        wanted: tuple[tuple[str, ...], tuple[str, ...]],
        mjd: float,
    ) -> tuple[RawFrame, ...]:
        keys, values = wanted
        if source.bundle != "nearest":
            # Files of one set agree in the tolerant keys too, whatever their values.
            alike = tuple(dict.fromkeys((*keys, *source.tolerant)))
            return tuple(self.index.bundle(nearest, alike, source.bundle))
        around = self.index.outward(source.frame_class, keys, values, mjd)
        taken = [frame for frame, _ in zip(around, range(source.take), strict=False)]
        return tuple(sorted(taken, key=lambda frame: (frame.mjd_start or 0.0, frame.archive_id)))

    def _upstream(
        self, need: Need, pick: Pick | None, uses: Sequence[CalibrationUse]
    ) -> dict[str, str]:
        """Products that `need` is made of: of the observation, or of its own frames."""
        upstream = {}
        for name, origin in need.upstream:
            if isinstance(origin, str):
                product = next((use.product for use in uses if use.role == origin), "")
            else:
                product = self._own(origin, pick) if pick else ""
            if product:
                upstream[name] = product
        return upstream

    def _own(self, need: Need, pick: Pick) -> str:
        first = pick.frames[0]
        result = self._resolve(need, first, first.mjd_start or 0.0, ())
        return result.product if isinstance(result, CalibrationUse) else ""

    def _job(
        self, kind: str, frames: Sequence[RawFrame], upstream: dict[str, str]
    ) -> CalibrationJob:
        refs = tuple(map(FrameRef.of, frames))
        job = CalibrationJob(
            kind=kind,
            key=product_key(kind, refs, upstream, self.versions),
            setup=setup_of(frames) if frames else self._setup_of(upstream),
            frames=refs,
            upstream=upstream,
        )
        return self.jobs.setdefault(job.product, job)

    def _setup_of(self, upstream: Mapping[str, str]) -> dict[str, str]:
        """Describe a product that is made of others by what they agree in."""
        first, *others = (self.jobs[product].setup for product in upstream.values())
        return {
            key: value
            for key, value in first.items()
            if all(other.get(key) == value for other in others)
        }


def product_key(
    kind: str, frames: Sequence[FrameRef], upstream: Mapping[str, str], versions: Versions
) -> str:
    """Name of a calibration product: a digest of all that it is made of, paths excepted."""
    identity = {
        "kind": kind,
        "frames": [[f.archive_id, f.size_bytes, f.datasum, f.header_digest] for f in frames],
        "upstream": dict(upstream),
        "settings": versions.settings.get(kind, ""),
        "constants": versions.constants,
        "product_version": PRODUCT_VERSIONS.get(kind, 0),
    }
    return digest_of(identity)[:KEY_LENGTH]


def _relaxed(pick: Pick, served: RawFrame, tolerant: Sequence[str]) -> Iterator[str]:
    yield from pick.relaxed
    first = pick.frames[0]
    yield from (key for key in tolerant if key_value(first, key) != key_value(served, key))


def _missing(need: Need, served: RawFrame, refused: tuple[Rejected, ...]) -> Missing:
    return Missing(
        role=need.role,
        kind=need.kind,
        keys={key: key_value(served, key) for key in need.missing_keys},
        consequence=need.consequence,
        flag=need.missing_flag,
        rejected=refused,
    )


def _missing_roles(group: Group) -> Iterator[Missing]:
    """Exposures that the observation lacks."""
    key = group.observation.key
    for rule in ROLES:
        if not rule.missing_flag or rule.role in group.frames:
            continue
        if rule.coronagraph_only and key.coronagraph in NO_CORONAGRAPH:
            continue
        keys = rule.ladder[0] if rule.ladder else ("night", "block")
        first = next(iter(group.frames.values()))[0]
        yield Missing(
            role=rule.role,
            kind="exposure",
            keys={name: key_value(first, name) for name in keys},
            consequence=rule.consequence,
            flag=rule.missing_flag,
        )


def _derived(need: Need, job: CalibrationJob, uses: Sequence[CalibrationUse]) -> CalibrationUse:
    """Describe a product that is made of other products only: as old as the oldest of them."""
    made_of = [use for use in uses if use.product in job.upstream.values()]
    worst = max(made_of, key=lambda use: (TIERS.index(use.tier), use.age_h))
    names = " and ".join(sorted(job.upstream))
    lacking = sorted({name for name, _ in need.upstream} - set(job.upstream))
    without = f", without {' and '.join(lacking)}" if lacking else ""
    return CalibrationUse(
        role=need.role,
        kind=need.kind,
        product=job.product,
        source_class="",
        tier=worst.tier,
        age_h=worst.age_h,
        relaxed=tuple(lacking),
        why=f"{need.kind} from {names}{without}",
    )
