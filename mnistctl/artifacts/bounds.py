"""Types of fields that several files have, with the bounds that reading checks."""

from typing import Annotated

from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]
Digit = Annotated[int, Meta(ge=0, le=9)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Seconds = Annotated[float, Meta(ge=0)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]  # a SHA-256
