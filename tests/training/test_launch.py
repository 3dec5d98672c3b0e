"""Numbers of processes that this machine has no devices for; what the processes do is in the tests of encoders."""

import pytest

from spaceform.errors import InputError
from spaceform.training.launch import check_devices


def test_one_device_is_always_there():
    assert check_devices(1) == 1


@pytest.mark.parametrize(
    ("devices", "message"),
    [(0, ">= 1"), (-1, ">= 1"), (1.5, "an integer"), (True, "an integer"), (4096, "this machine")],
)
def test_other_numbers_are_refused_in_a_line(devices, message):
    with pytest.raises(InputError, match=message) as refused:
        check_devices(devices)
    assert "\n" not in str(refused.value)
