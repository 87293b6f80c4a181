"""Train, evaluate and understand small image models on MNIST."""

__version__ = "0.1.0"
