"""Train the net that corrects the scores of pieces of a row, and write its weights into the package.

    python tools/make_pieces.py DATA_DIR [--numbers N] [--epochs N] [--out FILE]

It learns from numbers of 1 to 6 of MNIST's training digits: half of the numbers of distorted ones, a third
separate and the others touching. Each is drawn on paper, prepared and cut into pieces as when a number is
read. The loss is the negative log likelihood of the right cuts among all (a conditional random field:
Lafferty et al., ICML 2001). In a right cut, each piece has most of a digit's ink and little other, and the
detector reads it right. No test digit and no photograph is used. The seed is fixed.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save
from scipy import ndimage
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
import composed

from mnistctl.artifacts import files
from mnistctl.data import datasets, photos, rows, segmentation
from mnistctl.inference import detector, numbers, pieces

BATCH = 64
SIDE = 112  # pixels of a digit that is distorted
RIGHT = 0.55  # share of a digit's ink that a right piece has at least, and that its ink has at least
NEVER = -1e4  # the log of the probability of what is impossible
SPECK = -1.0  # the score of a dot that is left out
MOST = 6  # digits in a number


@dataclass(frozen=True)
class Lattice:
    """All cuts of a row: a way from its first seam to its last along pieces.

    Args:
        features: of each piece, [N, 26].
        odds: of each piece, [N].
        ends: the seams of each piece, [N, 2], and behind them those of specks.
        order: which digit of the number each piece is, from the left, [N]; -1 if none.
        digits: the number of digits.
        last: the last seam.
    """

    features: Tensor
    odds: Tensor
    ends: list[tuple[int, int]]
    order: Tensor
    digits: int
    last: int


def distorted(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The ink of a digit [28, 28] of another hand: rotated, slanted, scaled, bent, and of another pen."""
    enlarged = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    large = np.asarray(enlarged, np.float32) / 255
    angle, slant = rng.normal(0, 0.1), rng.normal(0, 0.12)
    tall, wide = np.exp(rng.normal(0, 0.12, 2))
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([[cos * tall, -sin], [sin + slant, cos * wide]])
    places = (matrix @ (np.indices((SIDE, SIDE)).reshape(2, -1) - SIDE / 2) + SIDE / 2).reshape(2, SIDE, SIDE)
    bends = [ndimage.gaussian_filter(rng.normal(0, 1, (SIDE, SIDE)), 14) for _ in range(2)]
    bent = np.stack([each / each.std() * rng.uniform(0, 3) for each in bends])
    ink = ndimage.map_coordinates(large.clip(0, 1), places + bent, order=1)
    if rng.random() < 0.25:
        return ink
    inside = ink > 0.5
    distances = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    width = segmentation.stroke_width(inside)
    added = np.clip((rng.uniform(3, 14) - width) / 2, -0.3 * width, 9)
    pen = (distances + added + 0.5).clip(0, 1)
    return pen if pen.max() > 0.5 else (distances + 0.5).clip(0, 1)


def compose(
    images: np.ndarray, labels: np.ndarray, number: int
) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """The ink of a number as found in a picture, each digit in a layer of the same size, and the digits."""
    rng = np.random.default_rng([0, number])
    chosen = rng.choice(len(images), 1 + number % MOST, replace=False)
    inks = [distorted(images[n], rng) if number // MOST % 2 else images[n] / 255 for n in chosen]
    layers = composed.write_row(inks, number // (2 * MOST) % 3 > 0, rng)
    edges = [int(each) for each in rng.integers(15, 50, 4)]
    around = (edges[:2], edges[2:])
    found = photos.find_ink(composed.on_paper(np.pad(layers.max(0), around), rng))
    ink, margin = found or (np.zeros(layers[0].shape, np.float32), 0)
    return ink, [np.pad(np.pad(layer, around), margin) for layer in layers], labels[chosen]


def lattice(images: np.ndarray, labels: np.ndarray, number: int) -> Lattice | None:
    """The cuts of a number; None if it is not found as one row."""
    ink, layers, digits = compose(images, labels, number)
    found = rows.find_rows(ink)
    if len(found) != 1:
        return None
    (row,) = found
    cut = row.pieces()
    if not cut:
        return None
    logits = detector.digit_logits(np.stack([numbers.frame(piece.ink) for piece in cut]))
    read = logits[:, : detector.NO_DIGIT].argmax(1)
    ends = [(piece.first, piece.last) for piece in cut]
    inked = [cropped(layer, row) > rows.INKED for layer in layers]
    order = np.array([which_digit(inked, row.between(*each)) for each in ends])
    order[read != digits[order]] = -1
    gaps = ((n, n + 1) for n in range(len(row.seams) - 1))
    specks = [each for each in gaps if each not in ends and row.is_speck(*each)]
    features = torch.from_numpy(pieces.features_of(row, cut, logits))
    odds = torch.from_numpy(pieces.odds_of(logits)).float()
    return Lattice(features, odds, [*ends, *specks], torch.from_numpy(order), len(digits), len(row.seams) - 1)


def cropped(layer: np.ndarray, row: rows.Row) -> np.ndarray:
    """The layer where the row is, in the size of the row."""
    height, width = row.ink.shape
    bottom, right = row.top + round(height * row.scale), row.left + round(width * row.scale)
    crop = Image.fromarray(layer[row.top : bottom, row.left : right].astype(np.float32))
    return np.asarray(crop.resize((width, height)))


def which_digit(inked: list[np.ndarray], inside: np.ndarray) -> int:
    """The index of the layer whose digit is inside a piece of the row; -1 if it is none."""
    own = np.array([(layer & inside).sum() for layer in inked], float)
    total = np.array([max(layer.sum(), 1) for layer in inked])
    shares = np.minimum(own / total, own / max(own.sum(), 1))
    return int(shares.argmax()) if shares.max() >= RIGHT else -1


class Batch:
    """Lattices side by side, so that their sums are found together."""

    def __init__(self, lattices: list[Lattice]) -> None:
        self.features = torch.cat([each.features for each in lattices])
        self.odds = torch.cat([each.odds for each in lattices])
        self.last = torch.tensor([each.last for each in lattices])
        self.digits = torch.tensor([each.digits for each in lattices])
        # Behind all pieces: nothing, and a speck.
        count, seams = len(self.odds), int(self.last.max()) + 1
        ending: dict[tuple[int, int], list[tuple[int, int]]] = {}
        offset = 0
        for n, each in enumerate(lattices):
            for index, (first, last) in enumerate(each.ends):
                piece = offset + index if index < len(each.odds) else count + 1
                ending.setdefault((last, n), []).append((first, piece))
            offset += len(each.odds)
        most = max(len(each) for each in ending.values())
        self.first = torch.zeros(seams, len(lattices), most, dtype=torch.int64)
        self.piece = torch.full((seams, len(lattices), most), count)
        for (last, n), ways in ending.items():
            self.first[last, n, : len(ways)] = torch.tensor([way[0] for way in ways])
            self.piece[last, n, : len(ways)] = torch.tensor([way[1] for way in ways])
        order = torch.cat([each.order for each in lattices])
        self.right = torch.full((count + 2, MOST), NEVER)
        self.right[torch.arange(count)[order >= 0], order[order >= 0]] = 0.0

    def loss(self, scores: Tensor) -> Tensor:
        """The negative log likelihood of the right cuts of each lattice, by the scores [N] of all pieces."""
        ends = torch.tensor([NEVER, SPECK])
        padded = torch.cat((scores, ends))
        return self._sum_all(padded) - self._sum_right(padded)

    def _sum_all(self, scores: Tensor) -> Tensor:
        sums = [torch.zeros(len(self.last))]
        for first, piece in zip(self.first[1:], self.piece[1:], strict=True):
            before = torch.stack(sums, 1).gather(1, first)
            sums.append(torch.logsumexp(before + scores[piece], 1).clamp(min=NEVER))
        return torch.stack(sums, 1)[torch.arange(len(self.last)), self.last]

    def _sum_right(self, scores: Tensor) -> Tensor:
        """As `_sum_all`, of the cuts whose pieces are the digits in order."""
        speck = len(scores) - 1
        start = torch.full((len(self.last), MOST + 1), NEVER)
        start[:, 0] = 0.0
        sums = [start]
        for first, piece in zip(self.first[1:], self.piece[1:], strict=True):
            before = torch.stack(sums, 1).gather(1, first[:, :, None].expand(-1, -1, MOST + 1))
            more = torch.logsumexp(before[..., :MOST] + scores[piece][..., None] + self.right[piece], 1)
            skipped = torch.where(piece == speck, SPECK, NEVER)[..., None]
            same = torch.logsumexp(before + skipped, 1)
            sums.append(torch.logaddexp(same, torch.cat((start[:, 1:2], more), 1)).clamp(min=NEVER))
        return torch.stack(sums, 1)[torch.arange(len(self.last)), self.last, self.digits]


def train(lattices: list[Lattice], epochs: int) -> torch.nn.Sequential:
    """The trained net; the mean loss of each epoch is printed."""
    torch.manual_seed(0)
    features = torch.cat([each.features for each in lattices])
    mean, deviation = features.mean(0), features.std(0) + 1e-3
    net = pieces.net()
    with torch.no_grad():
        net[2].weight.zero_()
        net[2].bias.fill_(-1.75)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.01)
    starts = range(0, len(lattices) - BATCH + 1, BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, epochs * len(starts))
    for epoch in range(epochs):
        order, losses = torch.randperm(len(lattices)).tolist(), []
        for start in starts:
            batch = Batch([lattices[n] for n in order[start : start + BATCH]])
            added = net((batch.features - mean) / deviation)[:, 0]
            loss = batch.loss(batch.odds + added).clamp(max=40).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}", flush=True)
    # The net in the package receives the features as they are.
    with torch.no_grad():
        net[0].weight /= deviation
        net[0].bias -= net[0].weight @ mean
    return net


def main() -> None:
    """Compose the numbers, train, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--numbers", type=int, default=2400)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--out", type=Path, default=pieces.WEIGHTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    digits = datasets.load("mnist", arguments.data, "train")[0]
    made = [lattice(digits.images, digits.labels, n) for n in range(arguments.numbers)]
    # A number that touches so much that no cut is right teaches nothing.
    usable = [each for each in made if each and Batch([each]).loss(torch.zeros(len(each.odds))) < -NEVER / 2]
    print(f"{len(usable)} of {len(made)} numbers", flush=True)
    net = train(usable, arguments.epochs)
    files.write(arguments.out, save({name: tensor.contiguous() for name, tensor in net.state_dict().items()}))


if __name__ == "__main__":
    main()
