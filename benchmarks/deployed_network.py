"""What an exported network computes, takes and needs, against PyTorch and against its prediction.

    python benchmarks/deployed_network.py

Random weights, a third of the filters kept. Three tables: the largest difference to the whole
network's kept channels on 100 images; time of one image in PyTorch and in onnxruntime, in turns;
and memory at the fullest moment: predicted, tensors that are alive, what PyTorch allocates with
either layout of tensors, and by how much the process grows in onnxruntime.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from privynet_opt.cost import cut_costs
from privynet_opt.deploy.device_network import DeviceNetwork
from privynet_opt.deploy.network_file import FORMATS, load_network, write_network
from privynet_opt.deploy.runtime import allocated_bytes, milliseconds, tensor_bytes
from privynet_opt.deploy.self_check import random_images
from privynet_opt.networks.backbone import load_backbone
from privynet_opt.networks.coding import FeatureCoding
from privynet_opt.networks.cuts import choose_cuts, find_cuts
from privynet_opt.networks.local import build_head, build_local_network
from privynet_opt.networks.profile import profile_cut

NETWORKS = {"vgg16": "conv4p", "resnet18": "layer2.0", "mobilenet_v2": "features.3"}
SIZES = (32, 224)
ROUNDS = 5

GROWTH = """
import resource, sys, onnxruntime, numpy
options = onnxruntime.SessionOptions()
options.enable_cpu_mem_arena = options.enable_mem_pattern = False
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
image = numpy.zeros((1, 3, int(sys.argv[2]), int(sys.argv[2])), dtype=numpy.uint8)
session.run(None, {"images": image})
def status(name):
    line = next(l for l in open("/proc/self/status") if l.startswith(name))
    return int(line.split()[1]) * 1024
open("/proc/self/clear_refs", "w").write("5")  # the high-water mark starts anew
before = status("VmRSS")
session.run(None, {"images": image})
print(status("VmHWM") - before + image.nbytes)
"""
"""Linux tells the most memory a process ever had; large blocks go back to it when freed."""


def build(name: str, size: int) -> tuple[DeviceNetwork, Tensor, int]:
    """Return a device network, what it shall compute on 100 images, and its predicted peak."""
    backbone = load_backbone(name)
    (cut,) = choose_cuts(find_cuts(backbone.graph, size), [NETWORKS[name]])
    kept = list(range(1, cut.channels, 3))
    local = build_local_network(backbone, cut, kept)
    coding = FeatureCoding(32, (len(kept), cut.height, cut.width))
    images = random_images(size)[: 100 if size == SIZES[0] else 1]
    with torch.no_grad():
        expected = build_head(backbone, cut)(backbone.normalise(images))[:, kept]
    peak = int(cut_costs(profile_cut(backbone, cut, size), len(kept))["peak_activation_bytes"])
    return DeviceNetwork(local, backbone.mean, backbone.std, coding), expected, peak


def onnxruntime_growth(path: Path, size: int) -> str:
    """Return by how many bytes a process grows while onnxruntime works on one image."""
    if not Path("/proc/self/clear_refs").exists():
        return "Linux only"
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "16384", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", GROWTH, str(path), str(size)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return f"{int(done.stdout) / 1e6:.2f}"


def main() -> None:
    """Print the three tables."""
    torch.set_num_threads(1)
    differences, times, memory = [], [], []
    for name, cut in NETWORKS.items():
        for size in SIZES:
            network, expected, peak = build(name, size)
            images = random_images(size)
            image = images[:1].clone()
            with tempfile.TemporaryDirectory() as folder, torch.no_grad():
                paths = {ending: Path(folder) / f"network.{ending}" for ending in FORMATS}
                for path in paths.values():
                    write_network(network, size, path)
                runs = {ending: load_network(path, size) for ending, path in paths.items()}
                if size == SIZES[0]:
                    away = [float((run(images) - expected).abs().max()) for run in runs.values()]
                    said = " ".join(f"{difference:10.1e}" for difference in away)
                    differences.append(f"{name:13} {cut:11} {said} {expected.abs().max():13.3g}")
                rounds = [
                    [milliseconds(run, image, 0.3) for run in (network, *runs.values())]
                    for _ in range(ROUNDS)
                ]
                took = [statistics.median(column) for column in zip(*rounds, strict=True)]
                times.append(
                    f"{name:13} {size:5} {took[0]:9.2f} {took[1]:9.2f} {took[2]:12.2f} "
                    f"{took[0] / took[2]:7.2f}"
                )
                grown = onnxruntime_growth(paths["onnx"], size)
                alive, allocated = tensor_bytes(network, image), allocated_bytes(network, image)
                network.to(memory_format=torch.channels_last)
                last = allocated_bytes(network, image.to(memory_format=torch.channels_last))
            numbers = " ".join(f"{value / 1e6:10.2f}" for value in (peak, alive, allocated, last))
            memory.append(f"{name:13} {size:5} {numbers} {grown:>12}")
    print("largest difference to the whole network's kept channels, 100 images of 32 pixels")
    print(f"{'network':13} {'cut':11} {'pt2':>10} {'onnx':>10} {'largest value':>13}")
    print("\n".join(differences))
    print("\nms for one image, one thread, median of rounds in turns")
    print(f"{'network':13} {'size':>5} {'pytorch':>9} {'pt2':>9} {'onnxruntime':>12} {'ratio':>7}")
    print("\n".join(times))
    print("\nMB at the fullest moment, one image")
    heads = ("predicted", "alive", "allocated", "ch. last", "onnxruntime")
    print(f"{'network':13} {'size':>5} {' '.join(f'{h:>10}' for h in heads[:-1])} {heads[-1]:>12}")
    print("\n".join(memory))


if __name__ == "__main__":
    main()
