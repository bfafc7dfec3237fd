"""Build the local network of a cut, without its unkept filters.

The kept channels are pushed backwards from the cut: an operation that treats each channel alone
passes them on, an operation that produces channels (convolution, linear layer) is sliced to the
kept ones, and where the whole tensor is needed elsewhere, or the operation mixes channels, the
kept ones are selected after it. What nothing needs any more is gone.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from privynet_opt.errors import NetworkError, TopologyError
from privynet_opt.networks.backbone import Backbone
from privynet_opt.networks.cuts import (
    ADDITIONS,
    POOLING_MODULES,
    Cut,
    find_cuts,
    is_elementwise,
    module_of,
)

CPU = torch.device("cpu")
_KEPT = "kept_channels"


def build_head(
    backbone: Backbone, cut: Cut, start: Cut | None = None, device: torch.device = CPU
) -> fx.GraphModule:
    """Return the network up to the cut, all channels kept.

    Args:
        backbone: The pre-trained network.
        cut: One of its cuts.
        start: An earlier one to begin after; None begins with the images.
        device: Where it is to compute.

    Returns:
        A module mapping normalised images ``(n, 3, h, w)``, or the features of `start`, to
        ``(n, channels, height, width)``; on the CPU, where the backbone stays, it shares
        parameters with it.

    Raises:
        NetworkError: If the weights file lacks a parameter of the head.
    """
    head = _up_to(backbone, cut, start)
    lacking = sorted(set(head.state_dict()) & backbone.missing)
    if lacking:
        raise NetworkError(
            f"`weights` must hold every layer up to the cut {cut.name}, but {backbone.weights} "
            f"lacks {lacking[0]!r}. Give a complete file or choose an earlier cut."
        )
    return (head if device == CPU else copy.deepcopy(head).to(device)).eval()


def without_tail(backbone: Backbone, image_size: int) -> Backbone:
    """Return the backbone up to the last place where it can be cut: all that features need.

    Of VGG16's 553 MB what follows takes 495.

    Args:
        backbone: The pre-trained network.
        image_size: Rows and columns of the image.

    Returns:
        A backbone of the same weights, cuts and hash, which shares its parameters.
    """
    head = _up_to(backbone, find_cuts(backbone.graph, image_size)[-1])
    return replace(backbone, network=head, graph=head)


def build_local_network(backbone: Backbone, cut: Cut, kept: Sequence[int]) -> fx.GraphModule:
    """Return the local network: the head of the cut with only the kept channels computed.

    Args:
        backbone: The pre-trained network.
        cut: One of its cuts.
        kept: Distinct channel indices of the cut, in the order the features shall have.

    Returns:
        A module mapping normalised images ``(n, 3, h, w)`` to ``(n, len(kept), height, width)``,
        with copies of the sliced layers; the backbone is left as it was.

    Raises:
        TopologyError: If an index is out of range or repeated, or none is given.
    """
    _check_kept(cut, kept)
    head = build_head(backbone, cut)
    if list(kept) == list(range(cut.channels)):
        return head
    (output,) = (node for node in head.graph.nodes if node.op == "output")
    (end,) = output.all_input_nodes
    keeper = _ChannelKeeper(head, torch.as_tensor(list(kept), dtype=torch.long))
    output.args = (keeper.keep(end, axis=1),)
    head.graph.eliminate_dead_code()
    # A new module takes along what the graph reads and nothing else: an exported network holds no
    # parameter of unkept filters, and names no channel it need not name.
    return fx.GraphModule(head, head.graph).eval()


class _ChannelKeeper:
    """Push a choice of channels from a node back to where the channels are produced."""

    def __init__(self, head: fx.GraphModule, kept: Tensor) -> None:
        self.head = head
        self.kept = kept
        head.register_buffer(_KEPT, kept)

    def keep(self, node: fx.Node, axis: int) -> fx.Node:
        """Return a node that computes only the kept channels along `axis` of `node`."""
        if len(node.users) > 1 or not self._push(node, axis):
            return self._select(node, axis)
        return node

    def _push(self, node: fx.Node, axis: int) -> bool:
        module = module_of(self.head, node)
        if isinstance(module, nn.Conv2d) and axis == 1:
            return self._push_convolution(node, module)
        if isinstance(module, nn.Linear) and axis == _dimensions(node) - 1:
            self._replace(node, _sliced(module, self.kept, out_features=len(self.kept)))
            return True
        if isinstance(module, nn.BatchNorm2d):
            self._replace(node, _sliced(module, self.kept, num_features=len(self.kept)))
            return self._push_input(node, 0, axis)
        if is_elementwise(self.head, node) or isinstance(module, POOLING_MODULES):
            return self._push_input(node, 0, axis)
        if node.op == "call_function" and node.target in ADDITIONS:
            return self._push_input(node, 0, axis) and self._push_input(node, 1, axis)
        if node.target is operator.mul:
            return self._push_scale(node, axis)
        if node.target is torch.permute:
            dimensions: Any = node.args[1]
            return self._push_input(node, 0, dimensions[axis])
        return False

    def _push_input(self, node: fx.Node, position: int, axis: int) -> bool:
        arguments: list[Any] = list(node.args)
        arguments[position] = self.keep(arguments[position], axis)
        node.args = tuple(arguments)
        return True

    def _push_convolution(self, node: fx.Node, module: nn.Conv2d) -> bool:
        count = len(self.kept)
        if module.groups == 1:
            self._replace(node, _sliced(module, self.kept, out_channels=count))
            return True
        if module.groups == module.in_channels == module.out_channels:
            channels = {"in_channels": count, "out_channels": count, "groups": count}
            self._replace(node, _sliced(module, self.kept, **channels))
            return self._push_input(node, 0, 1)
        return False

    def _push_scale(self, node: fx.Node, axis: int) -> bool:
        scales = [a for a in node.all_input_nodes if a.op == "get_attr"]
        if len(scales) != 1:
            return False
        (scale,) = scales
        value = operator.attrgetter(str(scale.target))(self.head)
        dimension = axis - _dimensions(node) + value.dim()
        if dimension < 0 or value.shape[dimension] == 1:
            return False
        name = str(scale.target).replace(".", "_") + "_kept"
        self.head.register_buffer(name, value.index_select(dimension, self.kept).clone())
        with self.head.graph.inserting_before(node):
            kept_scale = self.head.graph.get_attr(name)
        node.replace_input_with(scale, kept_scale)
        return self._push_input(node, int(node.args[0] is kept_scale), axis)

    def _select(self, node: fx.Node, axis: int) -> fx.Node:
        with self.head.graph.inserting_after(node):
            index = self.head.graph.get_attr(_KEPT)
        with self.head.graph.inserting_after(index):
            selected = self.head.graph.call_function(torch.index_select, (node, axis, index))
        selected.meta["tensor_meta"] = node.meta["tensor_meta"]
        return selected

    def _replace(self, node: fx.Node, module: nn.Module) -> None:
        name = str(node.target).replace(".", "_") + "_kept"
        self.head.add_submodule(name, module)
        node.target = name


def _sliced(module: nn.Module, kept: Tensor, **counts: int) -> nn.Module:
    sliced = copy.deepcopy(module)
    for name, parameter in module.named_parameters():
        setattr(sliced, name, nn.Parameter(parameter[kept].clone(), requires_grad=False))
    for name, buffer in module.named_buffers():
        if buffer.dim():
            sliced.register_buffer(name, buffer[kept].clone())
    for name, count in counts.items():
        setattr(sliced, name, count)
    return sliced


def _dimensions(node: fx.Node) -> int:
    return len(node.meta["tensor_meta"].shape)


def _check_kept(cut: Cut, kept: Sequence[int]) -> None:
    outside = [index for index in kept if not 0 <= index < cut.channels]
    if not kept or outside or len(set(kept)) != len(kept):
        fault = f"{outside[0]}" if outside else ("a repeated one" if kept else "none")
        raise TopologyError(
            f"`kept` must be distinct channels of {cut.name} (0 to {cut.channels - 1}), but got "
            f"{fault}. Choose at most {cut.channels} channels by index."
        )


def _up_to(backbone: Backbone, cut: Cut, start: Cut | None = None) -> fx.GraphModule:
    """Return the network up to a cut, whether or not the weights file has all of it."""
    end = _node(backbone.graph.graph, cut)
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    if start is not None:
        copies[_node(backbone.graph.graph, start)] = graph.placeholder("features")
    needed = _ancestors(end, frozenset(copies))
    for node in backbone.graph.graph.nodes:
        if node in needed:
            copies[node] = graph.node_copy(node, lambda n: copies[n])
    graph.output(copies[end])
    return fx.GraphModule(backbone.graph, graph)


def _node(graph: fx.Graph, cut: Cut) -> fx.Node:
    (found,) = (node for node in graph.nodes if node.name == cut.node)
    assert isinstance(found, fx.Node)
    return found


def _ancestors(end: fx.Node, known: frozenset[fx.Node] = frozenset()) -> set[fx.Node]:
    """Return a node and what it is computed from, as far as that is not known."""
    found = {end}
    pending = [end]
    while pending:
        for source in pending.pop().all_input_nodes:
            if source not in found and source not in known:
                found.add(source)
                pending.append(source)
    return found
