"""Train the net that tells digits from what is none, and write its weights into the package.

    python tools/make_detector.py DATA_DIR [--epochs N] [--others N] [--rows N] [--out FILE]

It learns from MNIST's 60,000 training digits, distorted, and from as many images that are no digit: pairs of
digits, cut digits, digits with a piece of their neighbour, turned and mirrored digits, scribbles, and letters
that do not look like digits. No test digit and no photograph is used. The seed is fixed.
"""

import argparse
import sys
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import composed

from mnistctl.artifacts import files
from mnistctl.data import datasets, rows
from mnistctl.inference import detector, numbers

BATCH = 250

LETTERS = (
    "ACEFGHJKLMNPRTUVWXYacdefhkmnprtuvwxy"  # not B D I O Q S Z b g i j l o q s z, which look like digits
)
FONTS = [
    f"DejaVu{name}" for name in ("Sans", "Sans-Bold", "SansMono", "Serif", "Serif-Italic", "Sans-Oblique")
]
TURNED = {90: range(2, 10), 180: (2, 3, 4, 5, 7), 270: range(2, 10)}  # degrees: digits that become none
MIRRORED = (2, 3, 4, 5, 6, 7, 9)


def frame(image: np.ndarray) -> np.ndarray:
    """An image of any size in MNIST's layout: in 20x20 pixels, its centre of mass in the middle."""
    rows, columns = (np.flatnonzero((image > 40).any(axis)) for axis in (1, 0))
    result = np.zeros((28, 28), np.uint8)
    if not len(rows):
        return result
    crop = Image.fromarray(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    factor = 20 / max(crop.size)
    crop = crop.resize([max(1, round(side * factor)) for side in crop.size], Image.Resampling.BILINEAR)
    pixels = np.asarray(crop, np.float32)
    pixels = (pixels * (255 / max(float(pixels.max()), 1))).astype(np.uint8)
    centre = ndimage.center_of_mass(pixels)
    top, left = (int(np.clip(round(14 - c), 0, 28 - n)) for c, n in zip(centre, pixels.shape, strict=True))
    result[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return result


def side_by_side(one: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """Two digits in a row, from touching to 5 pixels apart, and the column between them."""
    one, other = (image[:, np.flatnonzero((image > 40).any(0))] for image in (one, other))
    gap = int(rng.integers(-2, 6))
    row = np.zeros((28, one.shape[1] + other.shape[1] + gap), np.uint8)
    row[:, : one.shape[1]] = one
    start, shift = one.shape[1] + gap, int(rng.integers(-2, 3))
    row[:, start:] = np.maximum(row[:, start:], np.roll(other, shift, 0))
    return row, one.shape[1] + gap // 2


def no_digit(kind: int, images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An image that is no digit, made of two digits unless it is a scribble or a letter: uint8 [28, 28]."""
    n, m = rng.integers(len(images), size=2)
    if kind == 0:
        return frame(side_by_side(images[n], images[m], rng)[0])
    if kind == 1:  # a cut digit
        while labels[n] == 1:
            n = rng.integers(len(images))
        inked = np.flatnonzero((images[n] > 40).any(0))
        cut = round(inked[0] + (inked[-1] - inked[0]) * rng.uniform(0.3, 0.7))
        return frame(images[n][:, :cut] if rng.random() < 0.5 else images[n][:, cut:])
    if kind == 2:  # a digit with a third to two thirds of its neighbour
        row, between = side_by_side(images[n], images[m], rng)
        part = rng.uniform(0.3, 0.7)
        if rng.random() < 0.5:
            return frame(row[:, : round(between + part * (row.shape[1] - between))])
        return frame(row[:, round((1 - part) * between) :])
    if kind == 3:
        if rng.random() < 0.3:
            while labels[n] not in MIRRORED:
                n = rng.integers(len(images))
            return images[n][:, ::-1]
        degrees = int(rng.choice(list(TURNED)))
        while labels[n] not in TURNED[degrees]:
            n = rng.integers(len(images))
        return np.rot90(images[n], degrees // 90)
    return frame(scribble(rng) if kind == 4 else letter(rng))


def scribble(rng: np.random.Generator) -> np.ndarray:
    """One to four random strokes, straight or curved: uint8 [112, 112]."""
    canvas = Image.new("L", (112, 112))
    draw, width = ImageDraw.Draw(canvas), int(rng.integers(7, 16))
    for _ in range(int(rng.integers(1, 5))):
        turns = int(rng.integers(2, 16))
        knots = rng.uniform(10, 102, (turns, 2))
        if rng.random() < 0.7:
            along = np.linspace(0, turns - 1, 20 * turns)
            knots = ndimage.map_coordinates(
                knots, np.meshgrid(along, [0, 1], indexing="ij"), order=min(3, turns - 1), mode="nearest"
            )
        draw.line([tuple(knot) for knot in knots], 255, width, joint="curve")
    return np.asarray(canvas)


def letter(rng: np.random.Generator) -> np.ndarray:
    """A letter that does not look like a digit: uint8 [112, 112]."""
    path = Path(matplotlib.get_data_path()) / f"fonts/ttf/{rng.choice(FONTS)}.ttf"
    canvas = Image.new("L", (112, 112))
    ImageDraw.Draw(canvas).text(
        (56, 56), str(rng.choice(list(LETTERS))), 255, ImageFont.truetype(str(path), 84), anchor="mm"
    )
    return np.asarray(canvas)


def row_pieces(images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> tuple[list, list]:
    """Pieces of a row of digits as it is cut when a number is read, and the digit that each is, or no digit.

    A piece is a digit if it has at least 92 % of its ink and at most 8 % from others. Pieces that are nearly
    one, with 75 % of its ink, are left out.
    """
    chosen = rng.integers(len(images), size=int(rng.integers(2, 5)))
    layers = composed.write_row([images[n] / 255 for n in chosen], bool(rng.random() < 0.7), rng)
    row = rows.cut(layers.max(0), layers.max(0) > 0.2)
    scaled = [np.asarray(Image.fromarray(layer).resize(row.ink.shape[::-1])) > 0.4 for layer in layers]
    pieces, found = [], []
    for start in range(len(row.seams)):
        for stop in range(start + 1, len(row.seams)):
            piece = row.piece(start, stop)
            if piece is None:
                continue
            inside = row.between(start, stop)
            own = np.array([(layer & inside).sum() for layer in scaled], float)
            best = int(own.argmax())
            part, purity = own[best] / max(scaled[best].sum(), 1), own[best] / max(own.sum(), 1)
            if part >= 0.92 and purity >= 0.92:
                label = labels[chosen[best]]
            elif part > 0.75 and purity > 0.75:
                continue
            else:
                label = detector.NO_DIGIT
            pieces.append(piece.ink)
            found.append(int(label))
    kept = [
        n for n, label in enumerate(found) if label != detector.NO_DIGIT or rng.random() < 25 / len(found)
    ]
    return [numbers.frame(pieces[n]) for n in kept], [found[n] for n in kept]


def distort(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The images [N, 1, 28, 28], each rotated, slanted, scaled, moved, and with other strokes."""
    count = len(images)
    angle, slant, log_x, log_y = torch.randn(4, count, generator=generator) * torch.tensor(
        [[0.1], [0.12], [0.07], [0.07]]
    )
    cos, sin = torch.cos(angle), torch.sin(angle)
    moves = torch.randn(2, count, generator=generator) * 0.04
    rows = (cos * log_x.exp(), slant - sin, moves[0], sin, cos * log_y.exp(), moves[1])
    grid = F.affine_grid(torch.stack(rows, 1).view(count, 2, 3), [count, 1, 28, 28], align_corners=False)
    moved = F.grid_sample(images, grid, align_corners=False)
    thick, thin = F.max_pool2d(moved, 3, 1, 1), -F.max_pool2d(-moved, 2, 1)
    thin = F.pad(thin, (0, 1, 0, 1))
    part = torch.rand(2, count, 1, 1, 1, generator=generator) * torch.tensor([0.8, 0.5]).view(2, 1, 1, 1, 1)
    thicker = moved + part[0] * (thick - moved)
    thinner = moved + part[1] * (thin - moved)
    choice = torch.rand(count, 1, 1, 1, generator=generator)
    return torch.where(choice < 0.35, thicker, torch.where(choice < 0.55, thinner, moved)).clamp(0, 1)


def main() -> None:
    """Make the images, train, print the accuracy of each epoch, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--others", type=int, default=40000, help="number of images that are no digit")
    parser.add_argument("--rows", type=int, default=2500, help="number of rows that are cut into pieces")
    parser.add_argument("--out", type=Path, default=detector.WEIGHTS)
    arguments = parser.parse_args()
    train = datasets.load("mnist", arguments.data, "train")[0]
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    made = [no_digit(n % 6, train.images, train.labels, rng) for n in range(arguments.others)]
    cut = [row_pieces(train.images, train.labels, rng) for _ in range(arguments.rows)]
    cut_images, cut_labels = ([item for each in cut for item in each[n]] for n in (0, 1))
    images = torch.from_numpy(np.concatenate((train.images, np.stack(made + cut_images))))[:, None]
    no_digits = np.full(len(made), detector.NO_DIGIT)
    labels = torch.from_numpy(np.concatenate((train.labels, no_digits, np.array(cut_labels)))).long()
    images, labels = images[: len(images) // BATCH * BATCH], labels[: len(images) // BATCH * BATCH]
    print(f"{len(images)} images, {int((labels == detector.NO_DIGIT).sum())} of them no digit", flush=True)
    net = detector.net()
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.01)
    batches = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, arguments.epochs * batches)
    for epoch in range(arguments.epochs):
        right, order = 0, torch.randperm(len(images), generator=generator)
        for batch in order.view(batches, -1):
            pixels = distort(images[batch].float() / 255, generator)
            logits = net(pixels)
            loss = F.cross_entropy(logits, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            right += int((logits.argmax(1) == labels[batch]).sum())
        print(f"epoch {epoch + 1}: accuracy {100 * right / len(images):.2f} %", flush=True)
    from safetensors.torch import save

    files.write(arguments.out, save({name: tensor.half() for name, tensor in net.state_dict().items()}))


if __name__ == "__main__":
    main()
