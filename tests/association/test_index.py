import time

import numpy as np

from spheredc_hpc.association.index import FrameIndex

MIDNIGHT = 57647.0


def test_outward_order_is_that_of_a_sort_by_distance(frame):
    days = np.random.default_rng(3).uniform(-20, 20, size=60)
    frames = [frame("DARK", MIDNIGHT + float(day)) for day in days]
    index = FrameIndex(frames)
    for mjd in (MIDNIGHT - 30, MIDNIGHT, MIDNIGHT + 3.21, MIDNIGHT + 30):
        walked = list(index.outward("DARK", ("arm",), ("IRDIS",), mjd))
        assert walked == sorted(frames, key=lambda f: abs(f.mjd_start - mjd))


def test_frames_without_time_or_planes_are_not_offered(frame):
    index = FrameIndex([frame("DARK", MIDNIGHT, mjd_start=None), frame("DARK", 1.0, n_planes=0)])
    assert not list(index.outward("DARK", ("arm",), ("IRDIS",), MIDNIGHT))


def test_a_query_does_not_grow_with_the_archive(frame):
    """A hundredfold archive must not make a query ten times as long (a scan would)."""

    def seconds_per_query(n_frames):
        frames = [frame("DARK", MIDNIGHT + i / 10) for i in range(n_frames)]
        index = FrameIndex(frames)
        next(index.outward("DARK", ("arm", "dit"), ("IRDIS", "32.00"), MIDNIGHT))
        best = float("inf")
        for _ in range(5):
            start = time.perf_counter()
            for step in range(200):
                mjd = MIDNIGHT + step * n_frames / 2000
                next(index.outward("DARK", ("arm", "dit"), ("IRDIS", "32.00"), mjd))
            best = min(best, time.perf_counter() - start)
        return best / 200

    assert seconds_per_query(20_000) < 10 * seconds_per_query(200)
