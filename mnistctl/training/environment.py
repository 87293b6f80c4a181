"""What a report of a fault needs: versions, machine, precision, digits, folders."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mnistctl import __version__
from mnistctl.artifacts import files
from mnistctl.data import datasets, download
from mnistctl.errors import MnistctlError, UsageError
from mnistctl.nn.device import autocast_for, cpu_features, hardware_info, list_devices

_REQUIRED = [
    "torch",
    "numpy",
    "scipy",
    "pillow",
    "imageio",
    "matplotlib",
    "safetensors",
    "filelock",
    "typer",
    "rich",
]
_OPTIONAL = ("distributed", "tensorboard", "onnx", "onnxscript", "onnxruntime")
_VARIABLES = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")  # environment variables, beside our own


def collect_environment(data_dir: Path, out_dir: Path) -> dict[str, Any]:
    """All of it as JSON can hold it; nothing is fetched, made or changed.

    `versions` holds None for what is not installed; `devices` says of each in `bf16` why it would not do,
    None where it would. A data set's `state` is verified (by its checksums), sound (where it has none),
    missing or damaged, by the worst of its files.
    """
    versions = {"mnistctl": __version__, "python": platform.python_version()}
    return {
        "versions": versions | {name: _version(name) for name in (*_REQUIRED, *_OPTIONAL)},
        "platform": platform.platform(),
        "machine": hardware_info() | {"features": cpu_features()},
        "threads": torch.get_num_threads(),
        "devices": [_device(device) for device in list_devices()],
        "data": {
            "folder": str(data_dir),
            "sets": {name: _dataset_state(name, data_dir) for name in datasets.DATASETS},
        },
        "out": {
            "folder": str(out_dir),
            "there": out_dir.is_dir(),
            "writable": os.access(out_dir, os.W_OK),
            **{f"{what}s": files.list_runs(out_dir, ending) for what, ending in _RUN_ENDINGS.items()},
        },
        "environment": {
            n: v for n, v in sorted(os.environ.items()) if n.startswith("MNISTCTL_") or n in _VARIABLES
        },
    }


_RUN_ENDINGS = {"net": "safetensors", "unfinished_run": "unfinished"}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _device(device: torch.device) -> dict[str, str | None]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    try:
        autocast_for("bf16", device)
    except UsageError as fault:
        return {"device": str(device), "name": name, "bf16": str(fault)}
    return {"device": str(device), "name": name, "bf16": None}


def _dataset_state(name: str, data_dir: Path) -> dict[str, Any]:
    place = datasets.dataset_folder(name, data_dir)
    try:
        found = {status.file: status.action for status in download.check(name, data_dir)}
    except (MnistctlError, OSError) as fault:
        return {"place": str(place), "state": "damaged", "files": {}, "fault": str(fault)}
    states = set(found.values())
    sound = "verified" if all(file.sha256 for file in datasets.get_dataset(name).files) else "sound"
    state = next((bad for bad in ("damaged", "missing") if bad in states), sound)
    return {"place": str(place), "state": state, "files": found}


def versions() -> dict[str, str]:
    """What parent and workers must have alike."""
    return {
        "mnistctl": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
