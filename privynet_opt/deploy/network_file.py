"""The exported network as a file: written by torch.export or the ONNX exporter, read back to run.

Nothing but the device network's own tensors goes into a file: no example images, and no trace of
where on this machine it was built. No code but operators either: a file with any is not opened.
"""

from __future__ import annotations

import importlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from privynet_opt.deploy.archive_check import refuse_code
from privynet_opt.deploy.bundle import PRIVATE_MODE
from privynet_opt.deploy.device_network import DeviceNetwork, WithNoise
from privynet_opt.deploy.device_noise import DeviceNoise
from privynet_opt.errors import DataError, NetworkError
from privynet_opt.files import write_atomically

FORMATS = ("pt2", "onnx")
"""torch.export's archive, which torch runs, and ONNX, which onnxruntime and many devices run."""

RUNTIMES = {"pt2": "pytorch, pt2 file", "onnx": "onnxruntime"}
"""What runs a file of each format."""

ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
"""What the format ``onnx`` needs beyond the package's requirements."""

INPUTS = ("images", "noise")
"""What a file takes, in this order; the second one only where noise is added."""

Run = Callable[[Tensor], Tensor]
"""Maps uint8 images ``(n, 3, size, size)`` to coded features ``(n, *coded_shape)``."""

_Loaded = Callable[..., Tensor]
"""A file's network: takes its `INPUTS`."""


def require(file_format: str) -> None:
    """Make sure that what a format needs is installed.

    Args:
        file_format: One of `FORMATS`.

    Raises:
        NetworkError: If it is not.
    """
    if file_format != "onnx":
        return
    for package in ONNX_PACKAGES:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise NetworkError(
                f"the format onnx must have the packages {', '.join(ONNX_PACKAGES)}, but {package} "
                f"cannot be imported ({error}). Install privynet_opt[onnx]."
            ) from error


def write_network(network: DeviceNetwork, image_size: int, path: Path) -> None:
    """Write a network that takes any number of images at once.

    Args:
        network: What runs on the device.
        image_size: Rows and columns of an image.
        path: The file; its ending is one of `FORMATS`.

    Raises:
        NetworkError: If what the format needs is not installed.
        OutputError: If the file cannot be written.
    """
    require(path.suffix[1:])
    module: nn.Module = network
    examples = [torch.zeros(2, 3, image_size, image_size, dtype=torch.uint8)]
    if network.noise is not None:
        module = WithNoise(network)
        examples.append(torch.zeros(2, *network.coding.shape))
    any_number = tuple({0: torch.export.Dim.DYNAMIC} for _ in examples)
    content = io.BytesIO()
    with _quiet():
        program = torch.export.export(module.eval(), tuple(examples), dynamic_shapes=any_number)
        if path.suffix == ".pt2":
            _forget_origin(program)
            torch.export.save(program, content)
        else:
            exported: Any = torch.onnx.export(
                program,
                input_names=INPUTS[: len(examples)],
                output_names=["features"],
                dynamo=True,
                verbose=False,
            )
            proto = exported.model_proto
            _forget_onnx_origin(proto)
            content.write(proto.SerializeToString(deterministic=True))
    write_atomically(path, content.getvalue(), PRIVATE_MODE)


def load_network(path: Path, image_size: int, noise: DeviceNoise | None = None) -> Run:
    """Return an exported network, ready to run.

    Args:
        path: What `write_network` wrote.
        image_size: Rows and columns of an image; the network refuses others.
        noise: Draws the noise of an image, where the network adds noise.

    Raises:
        NetworkError: If the file cannot be read, holds code that would run when it is opened, or
            what its format needs is not installed.
    """
    require(path.suffix[1:])
    try:
        loaded = _load_onnx(path) if path.suffix == ".onnx" else _load_pt2(path)
    except NetworkError:
        raise
    except Exception as error:  # torch and onnxruntime report unreadable files by many types
        reason = str(error).strip().splitlines()[0] if str(error).strip() else ""
        raise NetworkError(
            f"an exported network must be readable, but {path} is not "
            f"({type(error).__name__}: {reason[:120]}). Export it again."
        ) from error

    def run(images: Tensor) -> Tensor:
        if images.dtype != torch.uint8 or images.shape[1:] != (3, image_size, image_size):
            raise DataError(
                f"`images` must be uint8 of shape (n, 3, {image_size}, {image_size}) for {path}, "
                f"but got {str(images.dtype).removeprefix('torch.')} {tuple(images.shape)}. Resize "
                "them, or export a study of that image size."
            )
        return loaded(images) if noise is None else loaded(images, noise.of(images))

    return run


@contextmanager
def threads_of_torch(path: Path) -> Iterator[None]:
    """Leave torch one thread meanwhile where onnxruntime runs the network, which is loaded already.

    Between two batches onnxruntime's threads wait by asking again and again, and so do torch's: on
    two cores small networks lose a third of their images a second to that.

    Args:
        path: The file of the network.
    """
    before = torch.get_num_threads()
    if path.suffix == ".onnx":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _load_pt2(path: Path) -> _Loaded:
    content = path.read_bytes()
    with _quiet():
        refuse_code(path, content)
        module = torch.export.load(io.BytesIO(content)).module()

    @torch.inference_mode()
    def run(*inputs: Tensor) -> Tensor:
        coded: Tensor = module(*inputs)
        return coded

    return run


def _load_onnx(path: Path) -> _Loaded:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"]
    )

    def run(*inputs: Tensor) -> Tensor:
        named = {name: values.numpy() for name, values in zip(INPUTS, inputs, strict=False)}
        return torch.from_numpy(session.run(None, named)[0])

    return run


def _forget_origin(program: Any) -> None:
    program.example_inputs = None
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)


def _forget_onnx_origin(proto: Any) -> None:
    proto.graph.doc_string = ""
    for item in (*proto.graph.node, *proto.graph.value_info, proto.graph, proto):
        item.ClearField("metadata_props")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' notes to themselves; errors still come through."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
