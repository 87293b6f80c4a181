"""The number of cores respects affinity and the quota of a container."""

import os

import pytest

from mnistctl.nn import cores
from mnistctl.nn.cores import available_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux has affinity")
def test_affinity_is_respected(monkeypatch):
    monkeypatch.setattr(cores, "_quotas", lambda root: iter(()))
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert available_cores() == len(before)


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("0::/", {"cpu.max": "150000 100000"}, [1.5]),
        ("0::/", {"cpu.max": "max 100000"}, [float("inf")]),
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, [float("inf"), 2.0]),
        ("0::/not/visible", {"cpu.max": "100000 100000"}, [1.0]),
        ("0::/../../x", {"cpu.max": "100000 100000"}, [1.0]),
        ("4:cpu,cpuacct:/d", {"cpu/d/cpu.cfs_quota_us": "50000", "cpu/d/cpu.cfs_period_us": "100000"}, [0.5]),
        ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, [float("inf")]),
        ("3:memory:/d\n0::/", {"cpu.max": "damaged"}, []),
        ("damaged", {}, []),
        (None, {}, []),
    ],
)
def test_quotas_of_control_groups_are_read(group, files, expected, tmp_path):
    if group is not None:
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(group + "\n")
    for name, content in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    assert list(cores._quotas(tmp_path)) == expected


def test_quota_limits_the_cores_and_leaves_one(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for quotas, expected in (([1.5], 2), ([0.1], 1), ([float("inf")], 8), ([16.0, 3.0], 3), ([], 8)):
        monkeypatch.setattr(cores, "_quotas", lambda root, quotas=quotas: iter(quotas))
        assert available_cores() == expected
