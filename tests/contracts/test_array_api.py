"""Kernels that claim to work in any array library do, away from NumPy.

The arrays lie on a device of the strict library that NumPy may not touch: a kernel that would copy
them to the CPU unasked, or mix them with arrays from there, fails, as it would with CuPy.
"""

import device_cases
import numpy as np
import pytest
import strict_card

from spheredc_hpc.kernels.arrays import as_numpy


@pytest.mark.parametrize("name", device_cases.KERNELS)
def test_a_kernel_gives_the_same_on_another_device(name):
    kernel, arguments = device_cases.KERNELS[name]
    expected = kernel(*[np.array(each) for each in arguments])
    with strict_card.elsewhere():
        found = kernel(*[strict_card.put(each) for each in arguments])
    assert found.device == strict_card.DEVICE
    assert found.dtype == strict_card.put(expected).dtype
    np.testing.assert_allclose(as_numpy(found), expected, atol=device_cases.KERNEL_TOLERANCE)


def test_the_stand_in_refuses_what_a_card_refuses():
    there = strict_card.put(np.ones(3))
    with pytest.raises(RuntimeError, match="Can't convert"):
        np.asarray(there)
    with strict_card.elsewhere(), pytest.raises((TypeError, RuntimeError)):
        there + np.ones(3)
