import pytest

from spheredc_hpc.association.grouping import group_frames

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
    grouping = group_frames([frame("SCIENCE", MIDNIGHT, n_planes=3)], min_science_frames=4)
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
        (odd.archive_id, "left out of OBJECT: dit 16.00 instead of 32.00")
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
