"""Which classes and functions are known: those of torch and mnistctl, as opposed to a user's own."""


def is_known(kind: object, package: str) -> bool:
    """Whether a class or a function is mnistctl's or of a package of torch, so that what it does is known.

    Args:
        kind: the class or the function; a partial function is what its function is.
        package: the package of torch: "torch.nn" or "torch.optim".
    """
    module = getattr(getattr(kind, "func", kind), "__module__", None)
    return str(module).startswith((f"{package}.", "mnistctl."))
