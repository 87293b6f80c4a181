"""JSON values with another value in one place, for tests of files that others may have changed."""


def nested(depth, make):
    value = make(1)
    for _ in range(depth):
        value = make(value)
    return value


DELETED, DOUBLED = "(deleted)", "(doubled)"
# fmt: off
VALUES = [
    DELETED, DOUBLED, None, True, False, -1, 0, 1, 3, 1.5, 1e9, 2**31, 2**63, 2**70, 1e308, float("nan"),
    float("inf"), "", "x" * 50, "../../etc", "a\0b", "\ud800", "\x1b[2J", "bf16", "cuda:9", "gan",
    [], {}, [[]], {"a": {}}, [None], [1, 1, 1],
    nested(100, lambda value: [value]), nested(100, lambda value: {"a": value}),
]
# fmt: on


def places(value, here=()):
    """The path of every value in a JSON value, as keys and indices."""
    yield here
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        yield from places(child, (*here, key))


def with_value(value, place, new):
    """The JSON value with another value at `place`, or none, or two of them in a list."""
    if not place:
        return new
    key, rest = place[0], place[1:]
    copy = value.copy()
    if rest:
        copy[key] = with_value(value[key], rest, new)
    elif new == DELETED:
        del copy[key]
    elif new == DOUBLED and isinstance(value, list):
        copy.insert(key, value[key])
    else:
        copy[key] = new
    return copy
