"""Files that hold one JSON object, with the version of its keys and a checksum of the whole file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnistctl.artifacts import files
from mnistctl.errors import CheckpointError

VERSION = 3  # of the keys; versions 1 and 2 are read too
# Bytes; that of a run with 10,000 errors takes 1 MB, with a million epochs and as many errors 200 MB.
_MAX_BYTES = 1 << 28
_REPLACE = ("overwrite", "name", "out_dir")


def write(path: Path, body: Mapping[str, Any]) -> None:
    """Write the JSON object `body` to `path`, with the version and a checksum of the whole file.

    Raises:
        OutputError: the file cannot be written.
    """
    content = {"version": VERSION, "checksum": files.CHECKSUM_PLACEHOLDER} | dict(body)
    files.write(path, files.add_checksum((json.dumps(content, indent=1) + "\n").encode()))


def read(path: Path) -> dict[str, Any] | None:
    """The JSON object at `path`, of this or an earlier version; None if there is no file.

    Raises:
        CheckpointError: the file is unreadable, damaged, no record, or of a later version.
    """
    try:
        content = files.read(path, _MAX_BYTES)
        body = files.parse_json(content.decode())
        version = body["version"]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({files.reason(error)})", remedies=_REPLACE) from None
    except (ValueError, KeyError, TypeError):
        raise CheckpointError(f"{path}: not a record of a run, or damaged", remedies=_REPLACE) from None
    if version not in (1, 2, VERSION):
        message = f"{path}: record version {version!r:.20}; this version of mnistctl reads 1 to {VERSION}"
        raise CheckpointError(message, remedies=_REPLACE)
    # Version 1 began without a checksum. A changed version number does not get a file around its checksum.
    if (version != 1 or "checksum" in body) and not files.verify_checksum(content):
        message = f"{path}: damaged: the contents do not match the checksum"
        raise CheckpointError(message, remedies=_REPLACE)
    return dict(body)
