"""Devices, threads and precision."""

import os

import pytest
import torch

from mnistctl.errors import UsageError
from mnistctl.nn.device import autocast_for, get_device, hardware_info, list_devices, set_threads

CPU = torch.device("cpu")


def test_devices_of_this_machine_can_be_used():
    assert list_devices()[0] == CPU
    assert get_device("cpu") == CPU
    for device in list_devices():
        assert get_device(str(device)) == device
    assert get_device("auto") in list_devices()


@pytest.mark.parametrize("name", ["tpu", "cuda:99", "cuda:x", "cuda:", "cpu:1", "cpu:", "cpus", ""])
def test_unknown_device_is_a_usage_error(name):
    with pytest.raises(UsageError) as caught:
        get_device(name)
    assert (caught.value.field, caught.value.value) == ("device", name)


def test_number_of_threads_is_set_and_checked():
    before = torch.get_num_threads()
    try:
        assert set_threads(None) == before
        assert set_threads(1) == torch.get_num_threads() == 1
        for count in (0, -1, 10_000):
            with pytest.raises(UsageError) as caught:
                set_threads(count)
            assert (caught.value.field, caught.value.value) == ("threads", count)
    finally:
        torch.set_num_threads(before)


def test_unknown_precision_is_a_usage_error():
    with pytest.raises(UsageError, match="choose one of float32, bf16"):
        autocast_for("float16", CPU)
    with autocast_for("float32", CPU)():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_hardware_info_names_this_machine():
    info = hardware_info()
    assert info["cores"] == os.cpu_count()
    assert info["processor"]
