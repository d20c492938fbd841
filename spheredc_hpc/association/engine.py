"""Calibrations of an observation: ranked sources, validity windows, shared products."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from spheredc_hpc.association.explain import (
    describe_keys,
    pick_reason,
    setup_of,
    title_of_role,
)
from spheredc_hpc.association.grouping import Group
from spheredc_hpc.association.index import FrameIndex
from spheredc_hpc.association.picks import TIERS, Pick
from spheredc_hpc.association.refusals import rejections
from spheredc_hpc.association.requirements import REQUIREMENTS, ROLES
from spheredc_hpc.association.rules import NO_CORONAGRAPH, Need, Source, fits, key_value
from spheredc_hpc.association.sets import SetFinder
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
Found = tuple[list[CalibrationUse], list[Missing]]


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
        Digests that enter the identity of products; only kinds named there can be made.
    requirements : mapping, optional
        Needs by arm and mode.
    jobs : dict
        Products to make, by directory: those of observations that are reduced.
    """

    index: FrameIndex
    settings: AssociationSettings
    versions: Versions
    requirements: Requirements = field(default_factory=lambda: REQUIREMENTS)
    jobs: dict[str, CalibrationJob] = field(default_factory=dict)
    _known: dict[str, CalibrationJob] = field(default_factory=dict)
    _own: dict[tuple[str, str, str], tuple[Found, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sets = SetFinder(self.index, self.settings.largest_bracket)

    def associate(self, group: Group) -> Association:
        """Find what serves `group`; products are only asked for if it is to be reduced."""
        uses: list[CalibrationUse] = []
        missing = list(_missing_roles(group))
        key, mjd = group.observation.key, group.observation.mjd_mid or 0.0
        for need in self.requirements.get((key.arm, key.mode), ()):
            frames = group.frames.get(need.serves, ())
            for role, served in _served(need, frames):
                self._resolve(replace(need, role=role), served, mjd, (uses, missing))
        if not group.rejected_because:
            for use in uses:
                self._ask_for(use.product)
        flags = {*group.flags, *(f for use in uses for f in use.flags), *(m.flag for m in missing)}
        return Association(
            observation=group.observation,
            frames={role: tuple(map(FrameRef.of, frames)) for role, frames in group.frames.items()},
            calibrations=tuple(dict.fromkeys(uses)),
            missing=tuple(missing),
            flags=tuple(sorted(flags - {""})),
            rejected_because=group.rejected_because,
            notes=group.notes,
            partners=group.partners,
        )

    def _ask_for(self, product: str) -> None:
        job = self._known[product]
        if job.kind in self.versions.settings:
            self.jobs[product] = job

    def _resolve(self, need: Need, served: RawFrame, mjd: float, found: Found) -> str:
        """Add what serves `need`, or that nothing does, to `found`; the product, if any."""
        uses, missing = found
        window: ValidityWindow = getattr(self.settings, need.window)
        picks = sorted(self._picks(need, served, mjd, window), key=lambda pick: pick.order)
        best = picks[0] if picks else None
        refused = rejections(need, served, mjd, self.index, window, picks)
        if need.sources and best is None:
            missing.append(_missing(need, served, refused))
            return ""
        upstream = self._upstream(need, best, found)
        if not need.sources and not upstream:
            missing.append(_missing(need, served, refused))
            return ""
        dit_s = served.dit_s if best is not None and best.source.bracketing else None
        job = self._job(need.kind, best.frames if best else (), upstream, dit_s)
        if best is None:
            uses.append(_derived(need, job, uses))
        else:
            why = pick_reason(need, served, best, window)
            keys = _wanted_keys(need, served)
            liked = (key for key in best.relaxed if key in best.source.tolerant)
            keys |= {key: key_value(served, key) for key in liked}
            wanted = describe_keys(title_of_role(need.role), keys)
            uses.append(replace(_use(need, job, best, refused, why), wanted=wanted))
        return job.product

    def _picks(
        self, need: Need, served: RawFrame, mjd: float, window: ValidityWindow
    ) -> Iterator[Pick]:
        """Give the best set of each source, with and without its tolerant keys."""
        fresh = False
        for rank, source in enumerate(self._ordered(need.sources), start=1):
            if source.bracketing and fresh:
                continue
            exact = tuple(match.key for match in source.exact)
            wanted = tuple(match.wanted(served) for match in source.exact)
            if not all(map(fits, exact, wanted, wanted)):
                continue
            tolerant = tuple(key for key in source.tolerant if key_value(served, key))
            liked = tuple(key_value(served, key) for key in tolerant)
            closest, enough = (exact + tolerant, wanted + liked), (exact, wanted)
            for keys, values in dict.fromkeys((closest, enough)):
                query = ((keys, values), mjd, window)
                if source.bracketing:
                    pick = self._sets.bracketing(source, rank, query, served.dit_s)
                else:
                    pick = self._sets.nearest(source, rank, query)
                if pick is not None:
                    fresh = fresh or pick.tier != TIERS[-1]
                    yield replace(pick, relaxed=tuple(_relaxed(pick, served, tolerant)))

    def _ordered(self, sources: Sequence[Source]) -> list[Source]:
        if self.settings.prefer_sky:
            return list(sources)
        order = (classes.BACKGROUND, classes.SKY)
        return sorted(
            sources,
            key=lambda s: (
                order.index(s.frame_class)
                if s.frame_class in order and not s.bracketing
                else len(order)
            ),
        )

    def _upstream(self, need: Need, pick: Pick | None, found: Found) -> dict[str, str]:
        """Products that `need` is made of: of the observation, or of its own frames."""
        upstream = {}
        for name, origin in need.upstream:
            if isinstance(origin, str):
                product = next((use.product for use in found[0] if use.role == origin), "")
                upstream[name] = product
                continue
            frames = pick.frames if pick else ()
            own = f"{name}:{need.role}"
            for role, served in _served(replace(origin, role=own), frames):
                upstream[role.replace(own, name, 1)] = self._of_its_own(
                    replace(origin, role=role), served, found
                )
        return {name: product for name, product in upstream.items() if product}

    def _of_its_own(self, need: Need, served: RawFrame, found: Found) -> str:
        """Resolve a need of a calibration's frame, once for all observations it serves."""
        key = (need.role, need.kind, served.archive_id)
        if key not in self._own:
            mine: Found = ([], [])
            product = self._resolve(need, served, served.mjd_start or 0.0, mine)
            self._own[key] = mine, product
        mine, product = self._own[key]
        found[0].extend(mine[0])
        found[1].extend(mine[1])
        return product

    def _job(
        self,
        kind: str,
        frames: Sequence[RawFrame],
        upstream: dict[str, str],
        dit_s: float | None,
    ) -> CalibrationJob:
        refs = tuple(map(FrameRef.of, frames))
        job = CalibrationJob(
            kind=kind,
            key=product_key(kind, refs, upstream, self.versions, dit_s),
            setup=setup_of(frames) if frames else self._setup_of(upstream),
            frames=refs,
            upstream=upstream,
            interpolate_dit_s=dit_s,
        )
        return self._known.setdefault(job.product, job)

    def _setup_of(self, upstream: Mapping[str, str]) -> dict[str, str]:
        """Describe a product that is made of others by what they agree in."""
        first, *others = (self._known[product].setup for product in upstream.values())
        return {
            key: value
            for key, value in first.items()
            if all(other.get(key) == value for other in others)
        }


def _served(need: Need, frames: Sequence[RawFrame]) -> Iterator[tuple[str, RawFrame]]:
    """Give the first frame of each setup that needs a product of its own, and its role.

    Setups differ in integration time, and in density if that must be equal. The time of most
    exposure has the plain role, another ``<role>@<DIT>``; within one time the density of most
    exposure has no mark, another ``@<density>`` behind the time.
    """
    first: dict[float, dict[str, RawFrame]] = defaultdict(dict)
    exposure_s: dict[tuple[float, str], float] = defaultdict(float)
    by_nd = any(match.key == "nd" for source in need.sources for match in source.exact)
    for frame in frames if need.per_dit else frames[:1]:
        dit_s, nd = frame.dit_s or 0.0, frame.nd if by_nd else ""
        first[dit_s].setdefault(nd, frame)
        exposure_s[dit_s, nd] += dit_s * frame.n_planes

    def longest(dit_s: float) -> tuple[float, float]:
        return sum(exposure_s[dit_s, nd] for nd in first[dit_s]), dit_s

    for place, dit_s in enumerate(sorted(first, key=longest, reverse=True)):
        densities = sorted((-exposure_s[dit_s, nd], nd) for nd in first[dit_s])
        for number, (_, nd) in enumerate(densities):
            role = f"{need.role}@{dit_s:.2f}" if place or number else need.role
            yield f"{role}@{nd}" if number else role, first[dit_s][nd]


def _use(
    need: Need, job: CalibrationJob, best: Pick, refused: tuple[Rejected, ...], why: str
) -> CalibrationUse:
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
        why=why,
    )


def product_key(
    kind: str,
    frames: Sequence[FrameRef],
    upstream: Mapping[str, str],
    versions: Versions,
    interpolate_dit_s: float | None = None,
) -> str:
    """Name of a calibration product: a digest of all that it is made of, paths excepted."""
    identity: dict[str, object] = {
        "kind": kind,
        "frames": [[f.archive_id, f.size_bytes, f.datasum, f.header_digest] for f in frames],
        "upstream": dict(upstream),
        "settings": versions.settings.get(kind, ""),
        "constants": versions.constants,
        "product_version": PRODUCT_VERSIONS.get(kind, 0),
    }
    if interpolate_dit_s is not None:
        identity["interpolate_dit_s"] = interpolate_dit_s
    return digest_of(identity)[:KEY_LENGTH]


def _relaxed(pick: Pick, served: RawFrame, tolerant: Sequence[str]) -> Iterator[str]:
    yield from pick.relaxed
    first = pick.frames[0]
    yield from (key for key in tolerant if key_value(first, key) != key_value(served, key))


def _wanted_keys(need: Need, served: RawFrame) -> dict[str, str]:
    """Keys that name what is needed, as the best source has them."""
    best = need.sources[0].exact if need.sources else ()
    wanted = {match.key: match.wanted(served) for match in best}
    return {key: wanted.get(key, key_value(served, key)) for key in need.missing_keys}


def _missing(need: Need, served: RawFrame, refused: tuple[Rejected, ...]) -> Missing:
    return Missing(
        role=need.role,
        kind=need.kind,
        keys=_wanted_keys(need, served),
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
