"""How large the filters behind each output channel of a cut are."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from privynet_opt.networks.backbone import Backbone
from privynet_opt.networks.cuts import ADDITIONS, Cut, module_of


def filter_magnitudes(backbone: Backbone, cut: Cut) -> NDArray[np.float64]:
    """Return the L1 norm of the filters that produce each channel of a cut.

    Args:
        backbone: The pre-trained network.
        cut: One of its cuts.

    Returns:
        Shape ``(channels,)``. After a residual addition the norms of both branches add up, an
        identity counting nothing.
    """
    end = next(node for node in backbone.graph.graph.nodes if node.name == cut.node)
    return _norms(backbone.graph, end, cut.channels).double().numpy()


def _norms(graph: fx.GraphModule, node: fx.Node, channels: int) -> Tensor:
    module = module_of(graph, node)
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        weight = module.weight.detach()
        return weight.abs().flatten(1).sum(1) if len(weight) == channels else torch.zeros(channels)
    sources = [a for a in node.args if isinstance(a, fx.Node)]
    if node.op == "placeholder" or not sources:
        return torch.zeros(channels)
    if node.target in ADDITIONS:
        return sum((_branch(graph, s, channels) for s in sources), torch.zeros(channels))
    return _norms(graph, sources[-1] if sources[0].op == "get_attr" else sources[0], channels)


def _branch(graph: fx.GraphModule, node: fx.Node, channels: int) -> Tensor:
    """Follow one branch of an addition; a tensor used elsewhere too is the identity."""
    return _norms(graph, node, channels) if len(node.users) == 1 else torch.zeros(channels)
