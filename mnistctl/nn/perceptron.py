"""Gradients of a stack of linear layers, written out.

For small layers, most of a step's time is autograd's own. Here the loss and its gradients are the same sums
of products as autograd's, so they are equal up to rounding.
"""

import torch
from torch import Tensor, nn

from mnistctl.nn.fusion import FusedReLU, is_changed


class Perceptron:
    """Linear layers with a relu between each two of them, on the CPU.

    The logits are columns, [10, B], and everything else is rows, [B, features]: the softmax then runs over
    whole rows of memory, which is eight times as fast for ten classes.

    Args:
        layers: the linear layers, each with a bias.
    """

    def __init__(self, layers: list[nn.Linear]) -> None:
        self._layers = layers

    @property
    def multiply_adds(self) -> int:
        """The number of multiply-adds of the forward pass, per image."""
        return sum(layer.weight.numel() for layer in self._layers)

    def backward(self, x: Tensor, y: Tensor, label_smoothing: float) -> Tensor:
        """Set the gradient of each parameter to that of the mean cross entropy, and return the latter.

        Args:
            x: pixels [B, 1, 28, 28].
            y: labels [B].
            label_smoothing: weight of the uniform distribution in the targets.

        Returns:
            The loss, as `F.cross_entropy` gives it: a tensor without dimensions.
        """
        *hidden, last = self._layers
        with torch.no_grad():
            inputs = [x.flatten(1)]  # of each layer, [B, features]
            for layer in hidden:
                inputs.append(torch.addmm(layer.bias, inputs[-1], layer.weight.t()).relu_())
            logits = torch.addmm(last.bias.unsqueeze(1), last.weight, inputs[-1].t())
            log_p = torch.log_softmax(logits, 0)

            # Cross entropy with the targets t = (1 - s) onehot(y) + s / 10. Its gradient is (p - t) / B.
            classes, count = log_p.shape
            y = y.unsqueeze(0)
            loss = log_p.gather(0, y).sum() * ((label_smoothing - 1) / count)
            if label_smoothing:
                loss -= log_p.sum() * (label_smoothing / classes / count)
            grad = log_p.exp_()
            if label_smoothing:
                grad -= label_smoothing / classes
            grad.scatter_add_(0, y, grad.new_full((1, count), label_smoothing - 1))
            grad /= count

            # Back through the layers; the gradient of a relu is 0 where its output is.
            last.weight.grad, last.bias.grad = grad @ inputs[-1], grad.sum(1)
            grad, following = grad.t(), last
            for layer in reversed(hidden):
                outputs = inputs.pop()
                grad = torch.ops.aten.threshold_backward(grad @ following.weight, outputs, 0)
                layer.weight.grad, layer.bias.grad = grad.t() @ inputs[-1], grad.sum(0)
                following = layer
            return loss


def find_perceptron(net: nn.Module) -> Perceptron | None:
    """The linear layers of `net`, if it has nothing else than them and a relu between each two.

    None also where a step must be autograd's: on a GPU, where a parameter is shared, has no gradient or is
    not float32, or where a layer has hooks or a forward pass of its own.
    """
    if type(net) is not nn.Sequential or any(map(is_changed, net.modules())):
        return None
    params = list(net.parameters())
    if not all(map(_is_plain, params)):
        return None
    first, *layers = [child for child in net if type(child) is not nn.Identity] or [net]
    linear, relus = layers[::2], layers[1::2]
    if (
        type(first) is nn.Flatten
        and repr(first) == repr(nn.Flatten())
        and len(layers) % 2 == 1
        and all(type(layer) is nn.Linear and layer.bias is not None for layer in linear)
        and all(_is_relu(layer) for layer in relus)
        and len(params) == 2 * len(linear)  # a shared parameter is listed once
    ):
        return Perceptron([layer for layer in linear if isinstance(layer, nn.Linear)])
    return None


def _is_plain(param: nn.Parameter) -> bool:
    trained = param.requires_grad and not param._backward_hooks and not param._post_accumulate_grad_hooks
    return param.device.type == "cpu" and param.dtype == torch.float32 and trained


def _is_relu(layer: nn.Module) -> bool:
    return type(layer) is nn.ReLU or (type(layer) is FusedReLU and layer.p == 0 and layer.pool is None)
