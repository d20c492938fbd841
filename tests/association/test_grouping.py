import dataclasses

import pytest

from spheredc_hpc.association.grouping import group_frames
from spheredc_hpc.config import AssociationSettings

MIDNIGHT = 57647.0
HOUR = 1 / 24


def group_of(frames):
    (group,) = group_frames(frames).groups
    return group


def test_one_block_is_one_observation_with_its_roles(block):
    group = group_of(block())
    assert {role: len(frames) for role, frames in group.frames.items()} == {
        "CENTER": 1,
        "FLUX": 1,
        "OBJECT": 8,
        "SPARTA": 1,
    }
    assert group.observation.n_frames == 64
    assert group.observation.mjd_mid == pytest.approx(MIDNIGHT, abs=1e-9)
    assert group.level1_mode == "irdis_dbi"
    assert not group.rejected_because


def test_identity_is_the_same_on_every_machine(block):
    # First digits of `sha256sum` of the key as JSON, keys sorted, no blanks.
    assert group_of(block()).observation.id == "2016-09-15_hd-1160_irdis_db_h23_1001_4b30b0d9"
    assert group_of(block()).observation.parent == "2016-09-15_hd-1160_1001"


def test_the_order_of_the_files_does_not_matter(block):
    assert group_of(reversed(block())) == group_of(block())


def test_two_blocks_over_midnight_are_two_observations_of_one_night(block):
    frames = block(MIDNIGHT - 0.5 * HOUR, obs_id="1001") + block(MIDNIGHT + 1.5 * HOUR, obs_id="2")
    first, second = group_frames(frames).groups
    assert first.observation.key.night == second.observation.key.night == "2016-09-15"
    assert len(first.frames["OBJECT"]) == len(second.frames["OBJECT"]) == 8


def test_a_block_that_crosses_midnight_stays_whole(block):
    frames = block(MIDNIGHT)
    assert {f.archive_id[6:16] for f in frames} == {"2016-09-15", "2016-09-16"}
    assert len(group_of(frames).frames["OBJECT"]) == 8


def test_blocks_of_a_container_are_merged_for_one_target(block):
    frames = block(MIDNIGHT, obs_id="1", container_id="77")
    frames += block(MIDNIGHT + 2 * HOUR, obs_id="2", container_id="77")
    group = group_of(frames)
    assert group.observation.key.block == "77"
    assert group.observation.n_frames == 128


def test_the_reference_star_of_a_container_is_another_observation(block):
    frames = block(MIDNIGHT, obs_id="1", container_id="77")
    frames += block(MIDNIGHT + HOUR, obs_id="2", container_id="77", target="HD 1", ra_deg=4.5)
    targets = {g.observation.target: g for g in group_frames(frames).groups}
    assert set(targets) == {"HD 1160", "HD 1"}
    assert all(len(group.frames["OBJECT"]) == 8 for group in targets.values())
    assert len({group.observation.id for group in targets.values()}) == 2


def test_no_container_is_written_in_several_ways(block):
    plain = group_of(block()).observation
    for absent in ("", "-1", "-999", "0"):
        assert group_of(block(container_id=absent)).observation == plain


def test_the_two_arms_of_irdifs_have_one_parent(block, frame):
    ifs = {"arm": "IFS", "mode": "YJ", "filter": "OBS_YJ", "ifs_setup": "OBS_YJ"}
    frames = block() + [frame("SCIENCE", MIDNIGHT + i / 1000, **ifs) for i in range(1, 4)]
    irdis, other = sorted(group_frames(frames).groups, key=lambda g: g.observation.key.arm)[::-1]
    assert (irdis.observation.key.arm, other.observation.key.arm) == ("IRDIS", "IFS")
    assert irdis.observation.parent == other.observation.parent


@pytest.mark.parametrize(
    ("arm", "mode", "frame_class"),
    [
        ("IRDIS", "DPI", "SCIENCE_POL"),
        ("IRDIS", "LSS", "SCIENCE_LSS"),
        ("IFS", "YJ", "SCIENCE"),
        ("ZIMPOL", "POLARIMETRY", "SCIENCE_POL"),
    ],
)
def test_modes_that_are_not_supported_yet_are_rejected_by_name(frame, arm, mode, frame_class):
    frames = [frame(frame_class, MIDNIGHT + i / 100, arm=arm, mode=mode) for i in range(3)]
    assert group_of(frames).rejected_because == (f"{arm} {mode} is not supported yet",)


def test_center_frames_alone_are_rejected(frame):
    group = group_of([frame("CENTER", MIDNIGHT), frame("FLUX", MIDNIGHT + 0.01)])
    assert group.rejected_because == ("no OBJECT frames, only CENTER and FLUX",)


def test_too_few_planes_are_rejected(frame):
    grouping = group_frames(
        [frame("SCIENCE", MIDNIGHT, n_planes=3)], AssociationSettings(min_science_frames=4)
    )
    assert grouping.groups[0].rejected_because == ("3 science planes, at least 4 are needed",)


def test_center_of_another_block_is_used_and_said(block, frame):
    frames = [f for f in block() if f.frame_class != "CENTER"]
    frames.append(frame("CENTER", MIDNIGHT + 2 * HOUR, obs_id="1002"))
    group = group_of(frames)
    assert len(group.frames["CENTER"]) == 1
    assert group.notes == ("CENTER: 1 files of another block",)


def test_center_with_another_coronagraph_is_not_used(block, frame):
    frames = [f for f in block() if f.frame_class != "CENTER"]
    frames.append(frame("CENTER", MIDNIGHT + 2 * HOUR, coronagraph="N_ALC_YJ_S"))
    science = [g for g in group_frames(frames).groups if "OBJECT" in g.frames]
    assert "CENTER" not in science[0].frames


def test_the_integration_time_with_most_light_is_kept(block, frame):
    odd = frame("SCIENCE", MIDNIGHT + HOUR, dit_s=16.0)
    grouping = group_frames([*block(), odd])
    (group,) = grouping.groups
    assert {f.dit_s for f in group.frames["OBJECT"]} == {32.0}
    assert {"MIXED_DIT", "FRAMES_REJECTED"} <= set(group.flags)
    assert [(item.archive_id, item.reason) for item in grouping.left_out] == [
        (
            odd.archive_id,
            "left out of OBJECT: dit 16.00 instead of 32.00, 6 % of the exposure (at least 10 %)",
        )
    ]


def test_a_frame_of_another_field_is_left_out(block, frame):
    foreign = frame("SCIENCE", MIDNIGHT + HOUR, ra_deg=3.9887 + 0.1, dec_deg=4.2510)
    grouping = group_frames([*block(), foreign])
    # 0.1 deg * cos(4.251 deg) = 359.01 arcsec
    assert grouping.left_out[0].reason == (
        'left out of OBJECT: points 359" from the star (limit 15")'
    )
    assert grouping.groups[0].flags == ("FRAMES_REJECTED",)


def test_pointings_on_both_sides_of_right_ascension_zero_are_one_star(frame):
    frames = [
        frame("SCIENCE", MIDNIGHT, ra_deg=359.9999),
        frame("SCIENCE", MIDNIGHT + 0.01, ra_deg=0.0001),
    ]
    assert len(group_of(frames).frames["OBJECT"]) == 2


def test_an_aborted_file_is_flagged(frame):
    frames = [frame("SCIENCE", MIDNIGHT), frame("SCIENCE", MIDNIGHT + 0.01, n_planes=5, ndit=8)]
    assert group_of(frames).flags == ("NDIT_SHORT",)


def test_telemetry_joins_by_time(block, frame):
    frames = [*block(), frame("SPARTA", MIDNIGHT + 3 * HOUR), frame("SPARTA", MIDNIGHT + 0.001)]
    grouping = group_frames(frames)
    assert len(grouping.groups[0].frames["SPARTA"]) == 2
    assert [item.reason for item in grouping.left_out] == ["SPARTA of no observation of its night"]


def test_telemetry_that_names_no_container_joins_by_its_block(block, frame):
    frames = [f for f in block(container_id="77") if f.frame_class != "SPARTA"]
    frames += [frame("SPARTA", MIDNIGHT + 0.001), frame("SPARTA", MIDNIGHT + 0.002, obs_id="5")]
    assert len(group_of(frames).frames["SPARTA"]) == 1


def test_unknown_ignored_and_timeless_frames_are_left_out_with_reasons(frame):
    frames = [
        frame("UNKNOWN", MIDNIGHT, reason="DPR TYPE = WHAT is not in the table of classes"),
        frame("IGNORED", MIDNIGHT + 0.01, reason="acquisition frame"),
        frame("STANDARD", MIDNIGHT + 0.02),
        frame("SCIENCE", MIDNIGHT + 0.03, mjd_start=None, night=""),
    ]
    grouping = group_frames(frames)
    assert not grouping.groups
    assert [item.reason for item in grouping.left_out] == [
        "DPR TYPE = WHAT is not in the table of classes",
        "acquisition frame",
        "standard star, not reduced by default",
        "the header gives no time of observation",
    ]


def test_a_copy_is_used_once_and_a_conflict_not_at_all(frame):
    one = frame("SCIENCE", MIDNIGHT)
    copy = frame("SCIENCE", MIDNIGHT, path=f"/raw/a/{one.archive_id}.fits.gz")
    other = frame("SCIENCE", MIDNIGHT + 0.01)
    edited = frame("SCIENCE", MIDNIGHT + 0.01, path="/raw/edited.fits", header_digest="0" * 64)
    grouping = group_frames([copy, one, other, edited])
    assert [f.path for f in grouping.groups[0].frames["OBJECT"]] == [one.path]
    assert len(grouping.left_out) == 3


def test_integration_times_that_share_the_exposure_are_merged(block, frame):
    others = [frame("SCIENCE", MIDNIGHT + HOUR + i / 100, dit_s=16.0) for i in range(4)]
    group = group_of([*block(), *others])
    assert {f.dit_s for f in group.frames["OBJECT"]} == {16.0, 32.0}
    assert group.flags == ("MIXED_DIT",)


def test_integration_times_are_split_or_left_out_on_demand(block, frame):
    others = [frame("SCIENCE", MIDNIGHT + HOUR + i / 100, dit_s=16.0) for i in range(4)]
    split = group_frames([*block(), *others], AssociationSettings(several_dits="split")).groups
    assert sorted((g.observation.dit_s, len(g.frames["OBJECT"])) for g in split) == [
        (16.0, 4),
        (32.0, 8),
    ]
    assert len({g.observation.id for g in split}) == 2
    assert {g.observation.key.part for g in split} == {"dit-16.00", "dit-32.00"}
    assert all("CENTER" in g.frames for g in split)
    longest = group_frames([*block(), *others], AssociationSettings(several_dits="longest"))
    assert {f.dit_s for f in longest.groups[0].frames["OBJECT"]} == {32.0}
    assert len(longest.left_out) == 4


def test_flux_of_several_densities_stays_together(block, frame):
    after = frame("FLUX", MIDNIGHT + HOUR, dit_s=4.0, nd="ND_3.5")
    assert len(group_of([*block(), after]).frames["FLUX"]) == 2


def test_a_block_with_spots_in_most_of_its_exposure_is_continuous_waffle(frame):
    waffle = [frame("CENTER", MIDNIGHT + i / 100) for i in range(4)]
    plain = frame("SCIENCE", MIDNIGHT + 0.1, n_planes=2)
    grouping = group_frames([*waffle, plain, frame("FLUX", MIDNIGHT - 0.01)])
    (group,) = grouping.groups
    assert group.frames["OBJECT"] == group.frames["CENTER"] == tuple(waffle)
    assert not group.rejected_because
    assert "WAFFLE_CONTINUOUS" in group.flags
    assert [item.archive_id for item in grouping.left_out] == [plain.archive_id]
    few = group_frames(waffle[:1]).groups
    assert few[0].rejected_because == ("no OBJECT frames, only CENTER",)


def test_stars_of_a_container_are_partners(frame):
    star, other = ({"container_id": "77", "target": name} for name in ("HD 1160", "HD 2"))
    far = {"obs_id": "1002", "ra_deg": 5.0, "dec_deg": 3.0}
    frames = [frame("SCIENCE", MIDNIGHT + i / 100, **star) for i in (0, 2, 4)]
    frames += [frame("SCIENCE", MIDNIGHT + i / 100, **{**other, **far}) for i in (1, 3, 5)]
    first, second = group_frames(frames).groups
    assert first.partners == (second.observation.id,)
    assert second.partners == (first.observation.id,)
    alone = [dataclasses.replace(f, container_id="", obs_id="9") for f in frames]
    assert not any(g.partners for g in group_frames(alone).groups)


def test_one_star_of_two_names_is_one_observation(frame):
    frames = [frame("SCIENCE", MIDNIGHT + i / 100) for i in range(4)]
    alias = frame("SCIENCE", MIDNIGHT + 0.05, target="HIP 1272", ra_deg=3.9889)
    flux = frame("FLUX", MIDNIGHT - 0.01, target="HIP 1272")
    group = group_of([*frames, alias, flux])
    assert len(group.frames["OBJECT"]) == 5
    assert group.observation.target == "HD 1160"
    assert len(group.frames["FLUX"]) == 1
    assert f"OBJECT: {alias.archive_id} named HIP 1272, which is HD 1160 by its place" in (
        group.notes
    )
