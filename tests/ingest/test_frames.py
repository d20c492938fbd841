from __future__ import annotations

import pytest
from astropy.io import fits

from spheredc_hpc.ingest.frames import archive_id_of_name, night_of, raw_frame
from spheredc_hpc.ingest.headers import read_file_header
from spheredc_hpc.instrument.headers import mjd_from_iso

DAY_S = 86400.0
REAL_CLASSES = {
    "2020-03-08T07-05-15.511": ("CENTER", 64.0, 6),
    "2020-03-08T07-12-03.720": ("SCIENCE", 64.0, 8),
    "2020-03-08T07-20-53.733": ("SCIENCE", 64.0, 8),
    "2020-03-08T07-48-21.618": ("FLUX", 12.0, 10),
    "2020-03-08T16-53-05.173": ("WAVE", 1.65, 10),
}


@pytest.fixture
def frame_of(make_file):
    def read(changes=None, axes=(2048, 1024, 4), name="a.fits"):
        return raw_frame(read_file_header(make_file(name, changes, axes)))

    return read


def test_the_real_headers_classify_right(real_file, real_name):
    frame = raw_frame(read_file_header(real_file(real_name)))
    frame_class, dit_s, n_planes = REAL_CLASSES[real_name]
    assert (frame.arm, frame.mode, frame.frame_class) == ("IFS", "YJ", frame_class)
    assert (frame.dit_s, frame.n_planes, frame.ndit) == (dit_s, n_planes, n_planes)
    day, clock = real_name.split("T")
    assert frame.archive_id == f"SPHER.{day}T{clock.replace('-', ':')}"
    assert frame.reason == ""
    assert frame.notes == ()


def test_columns_of_a_real_science_frame(real_file):
    frame = raw_frame(read_file_header(real_file("2020-03-08T07-20-53.733")))
    assert frame.night == "2020-03-07"
    assert frame.target == "A124420"
    assert (frame.filter, frame.ifs_setup, frame.prism) == ("OBS_YJ", "OBS_YJ", "PRI_YJ")
    assert (frame.nd, frame.coronagraph) == ("OPEN", "N_ALC_YJH_S")
    assert (frame.derotator_mode, frame.readmode) == ("ELEV", "Nondest")
    assert (frame.obs_id, frame.container_id) == ("2485392", "")
    assert frame.programme == "0104.C-0007(B)"
    assert frame.template_start == "2020-03-08T07:04:40"
    assert frame.datasum == "476445404"
    assert (frame.ra_deg, frame.dec_deg) == (191.084536, -8.67217)
    assert frame.mjd_start == mjd_from_iso("2020-03-08T07:20:53.7328")
    assert frame.mjd_end == mjd_from_iso("2020-03-08T07:29:40.9798")


def test_a_wave_frame_without_telescope_keywords_has_no_pointing(real_file):
    frame = raw_frame(read_file_header(real_file("2020-03-08T16-53-05.173")))
    assert (frame.ra_deg, frame.dec_deg) == (None, None)
    assert frame.night == "2020-03-08"


def test_columns_of_an_irdis_frame(frame_of):
    frame = frame_of()
    assert (frame.arm, frame.mode, frame.frame_class) == ("IRDIS", "DBI", "SCIENCE")
    assert frame.archive_id == "SPHER.2016-09-16T00:10:07.123"
    assert frame.night == "2016-09-15"
    assert frame.dit_s == 32.0
    assert (frame.filter, frame.n_planes, frame.notes) == ("DB_H23", 4, ())


def test_a_single_image_has_one_plane(frame_of):
    assert frame_of({"ESO DET NDIT": 1}, axes=(2048, 1024)).n_planes == 1


def test_stored_planes_count_and_the_difference_is_noted(frame_of):
    frame = frame_of({"ESO DET NDIT": 16})
    assert (frame.n_planes, frame.ndit) == (4, 16)
    assert "4 planes stored of 16 planned" in frame.notes


def test_a_missing_end_is_estimated_from_planes_dit_and_overhead(frame_of):
    frame = frame_of({"ESO DET FRAM UTC": None})
    expected = 4 * (31.9999 + 0.938)
    assert (frame.mjd_end - frame.mjd_start) * DAY_S == pytest.approx(expected, abs=1e-4)
    assert any("no DET FRAM UTC" in note for note in frame.notes)


def test_an_impossible_end_is_replaced(frame_of):
    frame = frame_of({"ESO DET FRAM UTC": "2016-09-16T00:10:30.0"})
    assert frame.mjd_end > frame.mjd_start + 100 / DAY_S
    assert any("contradicts" in note for note in frame.notes)


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"DATE-OBS": None, "MJD-OBS": 57647.25}, 57647.25),
        ({"DATE-OBS": None}, mjd_from_iso("2016-09-16T00:10:07.123")),
        ({"DATE-OBS": "garbled"}, mjd_from_iso("2016-09-16T00:10:07.123")),
        ({"DATE-OBS": "0001-01-01T00:00:00"}, mjd_from_iso("2016-09-16T00:10:07.123")),
        ({"DATE-OBS": None, "MJD-OBS": 1e8}, mjd_from_iso("2016-09-16T00:10:07.123")),
    ],
)
def test_the_start_falls_back_to_mjd_and_to_the_archive_id(frame_of, changes, start):
    assert frame_of(changes).mjd_start == start


def test_without_any_time_the_frame_is_kept(frame_of):
    frame = frame_of({"DATE-OBS": None, "ARCFILE": None, "ESO DET FRAM UTC": None})
    assert (frame.mjd_start, frame.mjd_end, frame.night) == (None, None, "")
    assert frame.archive_id == "a"
    assert any("start unknown" in note for note in frame.notes)


@pytest.mark.parametrize("stamp", ["2016-13-16T00:10:07.123", "0001-01-01T00:00:00.000"])
def test_an_archive_id_that_is_no_date_gives_no_start(frame_of, stamp):
    frame = frame_of({"DATE-OBS": None, "ARCFILE": f"SPHER.{stamp}.fits"})
    assert (frame.archive_id, frame.mjd_start) == (f"SPHER.{stamp}", None)


def test_a_foreign_archive_name_is_one_path_component(frame_of):
    assert frame_of({"ARCFILE": "night/../x.fits"}).archive_id == "night_.._x"


@pytest.mark.parametrize("card", ["HIERARCH ESO DET SEQ1 DIT", "HIERARCH ESO DET NDIT", "RA"])
def test_a_number_beyond_all_bounds_is_noted_not_raised(make_file, card):
    path = make_file()
    raw = path.read_bytes()
    at = raw.index(card.encode())
    wide = f"{card} = 1E999" if " " in card else f"{card:<8}= 1E999"
    path.write_bytes(raw[:at] + wide.ljust(80).encode() + raw[at + 80 :])
    frame = raw_frame(read_file_header(path))
    assert sum("expected a" in note for note in frame.notes) == 1


@pytest.mark.parametrize(
    ("name", "archive_id"),
    [
        ("SPHER.2016-09-16T00:10:07.123.fits", "SPHER.2016-09-16T00:10:07.123"),
        ("SPHER.2016-09-16T00_10_07.123.fits.Z", "SPHER.2016-09-16T00:10:07.123"),
        ("SPHER.2016-09-16T00-10-07.123.fits.gz", "SPHER.2016-09-16T00:10:07.123"),
        ("copy_of_SPHER.2016-09-16T00_10_07.1.fits", "SPHER.2016-09-16T00:10:07.100"),
        ("IRDIS_0001.fits", ""),
    ],
)
def test_archive_ids_in_file_names(name, archive_id):
    assert archive_id_of_name(name) == archive_id


def test_the_header_names_the_file_before_its_name_does(frame_of):
    frame = frame_of(name="SPHER.2000-01-01T00_00_00.000.fits")
    assert frame.archive_id == "SPHER.2016-09-16T00:10:07.123"


def test_without_arcfile_the_name_and_then_the_start_give_the_id(frame_of):
    without = {"ARCFILE": None}
    named = frame_of(without, name="SPHER.2016-09-16T00_10_07.999.fits")
    assert named.archive_id == "SPHER.2016-09-16T00:10:07.999"
    assert frame_of(without).archive_id == "SPHER.2016-09-16T00:10:07.123"


@pytest.mark.parametrize(
    ("date", "night"),
    [
        ("2016-09-16T11:59:59.9", "2016-09-15"),
        ("2016-09-16T12:00:00", "2016-09-16"),
        ("2017-01-01T03:00:00", "2016-12-31"),
    ],
)
def test_nights_run_from_noon_to_noon(date, night):
    assert night_of(mjd_from_iso(date)) == night


def test_a_container_groups_blocks_only_if_there_is_one(frame_of):
    assert frame_of({"ESO OBS CONTAINER ID": 77}).container_id == "77"
    assert frame_of({"ESO OBS CONTAINER ID": -999}).container_id == ""
    assert frame_of({"ESO OBS CONTAINER ID": None}).container_id == ""


def test_the_pointing_falls_back_to_the_packed_target(frame_of):
    frame = frame_of(
        {"RA": None, "DEC": None, "ESO TEL TARG ALPHA": 4000.0, "ESO TEL TARG DELTA": -3000.0}
    )
    assert (frame.ra_deg, frame.dec_deg) == (pytest.approx(10.0), -0.5)


def test_garbled_values_are_noted_not_raised(frame_of):
    frame = frame_of({"ESO DET SEQ1 DIT": "long", "ESO INS4 FILT2 NAME": "ND_9"})
    assert frame.dit_s is None
    assert frame.nd == "ND_9"
    assert sum("expected" in note for note in frame.notes) == 2


def test_the_digest_survives_rewriting_and_sees_each_value(make_file, tmp_path):
    path = make_file()
    before = read_file_header(path).values
    with fits.open(path) as hdus:
        hdus[0].header["ESO DET NDIT"] = 4  # same value, comment lost
        hdus[0].header["COMMENT"] = "written anew"
        hdus.writeto(tmp_path / "new.fits", checksum=True)
    after = read_file_header(tmp_path / "new.fits").values
    assert after["CHECKSUM"]
    assert after.digest == before.digest


def test_zimpol_and_telemetry_files(tmp_path, raw):
    cards = {**raw.cards, "ESO SEQ ARM": "ZIMPOL", "ESO INS COMB VCOR": "V_CLC_S_WF"}
    cards |= {"ESO INS3 OPTI5 NAME": "N_R", "ESO INS3 OPTI6 NAME": "VBB", "ESO DET DIT1": 1.1}
    cards["ESO DET SEQ1 DIT"] = None
    axes = (1156, 1024, 6)
    camera = raw.header({"EXTNAME": "CAM1"}, axes, primary=False) + bytes(raw.data_bytes(axes))
    path = tmp_path / "z.fits"
    path.write_bytes(raw.header(cards, ()) + camera)
    frame = raw_frame(read_file_header(path))
    assert (frame.arm, frame.frame_class, frame.n_planes) == ("ZIMPOL", "SCIENCE", 6)
    assert (frame.filter, frame.coronagraph, frame.dit_s) == ("N_R+VBB", "V_CLC_S_WF", 1.1)

    cards["ESO DPR TYPE"] = "OBJECT,AO"
    path.write_bytes(raw.header(cards, ()))
    frame = raw_frame(read_file_header(path))
    assert (frame.frame_class, frame.n_planes) == ("SPARTA", 0)
