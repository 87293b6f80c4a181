"""Images as text for a terminal."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnistctl.artifacts.grids import ImageArray


def binary_ascii(image: "ImageArray") -> list[str]:
    """28 rows of text, with a star for every pixel above 0."""
    return ["".join("*" if pixel else " " for pixel in row).rstrip() for row in image]


def half_blocks(image: "ImageArray") -> list[list[tuple[int, int]]]:
    """14 rows of 28 pairs: the grey values of the upper and the lower half of each character."""
    return [list(zip(image[r].tolist(), image[r + 1].tolist(), strict=True)) for r in range(0, 28, 2)]


def grey_ascii(image: "ImageArray") -> list[str]:
    """14 rows of text in ten ASCII shades, each the mean of two pixels, for terminals without colours."""
    means = image.reshape(14, 2, 28).mean(axis=1)
    return ["".join(" .:-=+*#%@"[int(grey * 10 / 256)] for grey in row).rstrip() for row in means]
