"""Where a traced network can be cut: nodes after which exactly one tensor is alive.

Offered to people are the cuts that end something: a convolution with its normalisation and
activation, a pooling, a residual block. A cut is named by how many convolutions were computed up
to it (``conv6``; ``conv7p`` after the pooling that follows), a block by its module's name.
"""

from __future__ import annotations

import io
import operator
from collections.abc import Iterable
from contextlib import redirect_stderr
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from privynet_opt.errors import NetworkError, TopologyError, did_you_mean

ADDITIONS = (operator.add, operator.iadd, torch.add)
"""Functions that join a residual branch and its skip connection."""

ELEMENTWISE_MODULES = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.SiLU,
    nn.GELU,
    nn.Hardswish,
    nn.Dropout,
    nn.Identity,
)
"""Modules that treat every channel alone and keep the shape."""

POOLING_MODULES = (nn.MaxPool2d, nn.AvgPool2d)
"""Modules that treat every channel alone and shrink the grid."""


@dataclass(frozen=True)
class Cut:
    """A place where the network can be cut.

    Attributes:
        name: ``conv<n>``, ``conv<n>p`` or the block's module name.
        kind: ``"conv"``, ``"pool"`` or ``"block"``.
        node: Name of the graph node whose output crosses the cut.
        depth: Convolutions computed up to here.
        channels: Channels of the crossing tensor.
        height: Its rows.
        width: Its columns.
    """

    name: str
    kind: str
    node: str
    depth: int
    channels: int
    height: int
    width: int


def single_tensor_nodes(graph: fx.Graph) -> set[fx.Node]:
    """Return the nodes after which nothing but their own output is needed later.

    Args:
        graph: A traced forward pass with one input.

    Returns:
        The nodes; parameters and constants do not count as tensors in flight.
    """
    position = {node: i for i, node in enumerate(graph.nodes)}
    dependent: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder" or any(a in dependent for a in node.all_input_nodes):
            dependent.add(node)
    last_use = {
        node: max((position[user] for user in node.users), default=position[node])
        for node in dependent
    }
    in_flight = 0
    ending: dict[int, int] = {}
    single = set()
    for node in graph.nodes:
        in_flight -= ending.pop(position[node], 0)
        if node in dependent:
            in_flight += 1
            ending[last_use[node]] = ending.get(last_use[node], 0) + 1
            if in_flight == 1 and node.op != "output":
                single.add(node)
    return single


def find_cuts(graph: fx.GraphModule, image_size: int) -> list[Cut]:
    """List the cuts a traced network offers, in the order they are computed.

    Args:
        graph: The traced network, in evaluation mode.
        image_size: Rows and columns of the input image.

    Returns:
        Every valid cut that ends a convolution, a pooling or a residual block and whose cells tile
        the image: attackers give each cell as many pixels.

    Raises:
        NetworkError: If the network cannot process images of this size or offers no cut.
    """
    sample = torch.zeros(1, 3, image_size, image_size)
    try:
        with redirect_stderr(io.StringIO()):  # where ShapeProp prints a traceback before it raises
            ShapeProp(graph).propagate(sample)
    except RuntimeError as error:
        refused = isinstance(error.__cause__, AssertionError)  # by the network itself, with words
        raise NetworkError(
            f"`image_size` must suit the network, but {type(graph).__name__} cannot process images "
            f"of image_size={image_size}"
            + (f" ({error.__cause__}). Use that size." if refused else ". Use a larger size.")
        ) from error
    single = single_tensor_nodes(graph.graph)
    convolutions = not_tiling = 0
    cuts: dict[str, Cut] = {}
    for node in graph.graph.nodes:
        module = module_of(graph, node)
        convolutions += isinstance(module, nn.Conv2d)
        kind = _kind(node, module)
        if kind is None:
            continue
        end = _last_of_chain(graph, node)
        shape = tuple(end.meta["tensor_meta"].shape) if "tensor_meta" in end.meta else ()
        if end not in single or len(shape) != 4:
            continue
        if image_size % shape[2] or image_size % shape[3]:
            not_tiling += 1
            continue
        name = {"conv": f"conv{convolutions}", "pool": f"conv{convolutions}p"}.get(
            kind, _block_name(node)
        )
        cuts.setdefault(name, Cut(name, kind, end.name, convolutions, *shape[1:]))
    if not cuts:
        raise NetworkError(_no_cut(type(graph).__name__, image_size, not_tiling))
    return list(cuts.values())


def choose_cuts(cuts: Iterable[Cut], names: Iterable[str]) -> list[Cut]:
    """Pick cuts by name.

    Args:
        cuts: What `find_cuts` returned.
        names: Names in the wanted order.

    Returns:
        The cuts in the order of `names`.

    Raises:
        TopologyError: If a name is not among the cuts.
    """
    by_name = {cut.name: cut for cut in cuts}
    for name in names:
        if name not in by_name:
            raise TopologyError(
                "`cut_layer` must be a cut of the network whose cells tile the image, but got "
                f"{name!r}. " + did_you_mean(name, by_name)
            )
    return [by_name[name] for name in names]


def module_of(graph: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """Return the module a node calls, or None if it calls none.

    Args:
        graph: The traced network.
        node: One of its nodes.

    Returns:
        The submodule.
    """
    return graph.get_submodule(str(node.target)) if node.op == "call_module" else None


def is_elementwise(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether a node only normalises or activates, each channel alone.

    Args:
        graph: The traced network.
        node: One of its nodes.

    Returns:
        True for activations, dropout, batch normalisation and stochastic depth.
    """
    module = module_of(graph, node)
    if module is not None:
        return isinstance(module, (*ELEMENTWISE_MODULES, nn.BatchNorm2d))
    return node.op == "call_function" and getattr(node.target, "__name__", "") in {
        "relu",
        "relu6",
        "gelu",
        "silu",
        "hardswish",
        "dropout",
        "stochastic_depth",
    }


def _no_cut(network: str, image_size: int, not_tiling: int) -> str:
    if not_tiling:
        return (
            f"`image_size` must be a multiple of a cut's rows and columns, but {image_size} is of "
            f"none of the {not_tiling} cuts of {network}. Use another image_size or network."
        )
    return (
        f"`network` must have a convolution, pooling or residual block after which one tensor is "
        f"all that is needed, but {network} has none. Use a convolutional network."
    )


def _kind(node: fx.Node, module: nn.Module | None) -> str | None:
    if isinstance(module, nn.Conv2d):
        return "conv"
    if isinstance(module, POOLING_MODULES) or getattr(node.target, "__name__", "") == "max_pool2d":
        return "pool"
    joins = node.op == "call_function" and node.target in ADDITIONS
    return "block" if joins and len(node.all_input_nodes) == 2 else None


def _last_of_chain(graph: fx.GraphModule, node: fx.Node) -> fx.Node:
    while len(node.users) == 1:
        (user,) = node.users
        if not is_elementwise(graph, user):
            break
        node = user
    return node


def _block_name(node: fx.Node) -> str:
    stack = node.meta.get("nn_module_stack") or {node.name: None}
    return str(list(stack)[-1])
