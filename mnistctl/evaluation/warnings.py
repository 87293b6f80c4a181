"""Warnings about an evaluation: digits that look unlike the training digits, or were used in training."""

import numpy as np

from mnistctl.artifacts.files import Warned
from mnistctl.data.datasets import Arrays
from mnistctl.data.likeness import Framing, Likeness, Pictures, View, compare_pictures
from mnistctl.data.training_set import Polarity, TrainingSet, describe_style, mean_pictures

_SHIFT = 1.5  # pixels; a smaller displacement is not mentioned
_MIN_SHARE = 0.001  # of digits that were used in training; fewer hardly change an accuracy
_SIZES = (0.85, 1.15)  # relative sizes between these are not mentioned


def check_digits(training: TrainingSet | None, arrays: Arrays, net: str | None = None) -> tuple[Warned, ...]:
    """Warnings about digits on which a net is evaluated.

    Args:
        training: the digits that the net was trained on; None if they are not known.
        arrays: the digits to evaluate on.
        net: the net's name, where there are several.
    """
    if training is None:
        return ()
    likeness = compare_with_training(training, arrays)
    found = [describe_likeness(likeness, training, arrays), _describe_used(training, arrays)]
    prefix = "" if net is None else f"{net}: "
    return tuple(Warned(f"{prefix}{each.message}", each.kind) for each in found if each is not None)


def compare_with_training(training: TrainingSet, arrays: Arrays) -> Likeness:
    """How digits look, compared with the training digits of a net."""
    pictures = Pictures(mean_pictures(arrays)[0], np.bincount(arrays.labels, minlength=10))
    return compare_pictures(pictures, training.mean_pictures, training.variance)


def describe_likeness(likeness: Likeness, training: TrainingSet, arrays: Arrays) -> Warned | None:
    """A warning if digits look unlike the training digits."""
    if likeness.view != View():
        words = _describe_view(likeness.view, describe_style(arrays.images).polarity)
        kind = "inverted" if likeness.view.inverted else "turned"
        return Warned(f"the digits look {words}, unlike the training digits", kind)
    if likeness.framing is not None:
        words = _describe_framing(likeness.framing)
        return Warned(f"the digits are framed unlike the training digits: {words}", "framed")
    if likeness.unlike:
        names = f"the training digits ({training.dataset})"
        return Warned(f"the digits of each label look unlike {names} of that label", "unlike")
    return None


def _describe_view(view: View, polarity: Polarity) -> str:
    inverted = [f"inverted ({polarity})"] if view.inverted else []
    return " and ".join([*inverted, *([view.turned] if view.turned else [])])


def _describe_framing(framing: Framing) -> str:
    words = [
        f"{abs(pixels):.0f} pixels {after if pixels > 0 else before}"
        for pixels, before, after in (
            (framing.down, "higher", "lower"),
            (framing.right, "to the left", "to the right"),
        )
        if abs(pixels) >= _SHIFT
    ]
    if not _SIZES[0] < framing.size < _SIZES[1]:
        words.append(f"{framing.size:.1f} times as large")
    return ", ".join(words) or "displaced"


def _describe_used(training: TrainingSet, arrays: Arrays) -> Warned | None:
    """A warning if digits were used in training. If not all can be checked, it estimates their number."""
    total = len(arrays.labels)
    used, checked = training.count_used(arrays.images)
    if used < max(1, _MIN_SHARE * checked):
        return None
    if used == total:
        which = f"all {total:,} digits"
    elif training.limit is None:
        which = f"at least {used:,} of the {total:,} digits"
    elif checked == total:
        which = f"{used:,} of the {total:,} digits"
    else:
        share = f"{used:,} of the {checked:,} that can be checked"
        estimate = "all" if used == checked else f"about {round(total * used / checked):,} of the"
        which = f"{estimate} {total:,} digits ({share})"
    return Warned(f"{which} were used in training, so the results are too good", "used_in_training")
