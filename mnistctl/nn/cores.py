"""How many processor cores this process may use."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath


def available_cores() -> int:
    """The number of cores that this process may use, by its affinity and by the quota of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([cores, *(max(1, math.ceil(quota)) for quota in _quotas(Path("/")) if quota < cores)])


def _quotas(root: Path) -> Iterator[float]:
    """The quotas of this process's control groups on Linux, in cores.

    A container's quota stands in a group above the process's own, or at the top of what the container sees.

    Args:
        root: the root of the file system.
    """
    with suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            top = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
            path = PurePosixPath(group.lstrip("/"))
            for each in (path, *path.parents):
                with suppress(OSError, ValueError):
                    yield _quota(top / each, version=1 if controllers else 2)


def _quota(group: Path, version: int) -> float:
    """The quota of one control group in cores; infinite without one."""
    if version == 2:
        quota, period = (group / "cpu.max").read_text().split()
    else:
        quota, period = (
            (group / name).read_text().strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        )
    return math.inf if quota in ("max", "-1") else int(quota) / int(period)
