"""The search counts the memory that coding features and adding noise takes on the device."""

from __future__ import annotations

import pytest
import torch

from privynet_opt.cost import cut_costs
from privynet_opt.deploy.device_network import DeviceNetwork
from privynet_opt.deploy.device_noise import DeviceNoise
from privynet_opt.deploy.runtime import tensor_bytes
from privynet_opt.deploy.self_check import random_images
from privynet_opt.networks.backbone import load_backbone
from privynet_opt.networks.coding import FeatureCoding
from privynet_opt.networks.cuts import choose_cuts, find_cuts
from privynet_opt.networks.local import build_local_network
from privynet_opt.networks.profile import profile_cut, state_bytes
from privynet_opt.topology import FEATURE_BITS


class FromTheBeginning(torch.nn.Module):
    """Holds the noise, an input of the exported network, before anything is computed."""

    def __init__(self, network: DeviceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        is_noisy = self.network.noise is not None
        noise = torch.zeros(1, *self.network.coding.shape) if is_noisy else None
        return self.network.send(images, noise)


@pytest.mark.parametrize("is_noisy", [False, True])
@pytest.mark.parametrize("bits", FEATURE_BITS)
@pytest.mark.parametrize(
    "cut_layer, kept, size", [("conv1", 16, 14), ("conv1", 16, 7), ("conv4p", 5, 12)]
)
def test_memory_of_what_is_sent_is_exact(cut_layer, kept, size, bits, is_noisy):
    backbone = load_backbone("small_cnn")
    (cut,) = choose_cuts(find_cuts(backbone.graph, size), [cut_layer])
    local = build_local_network(backbone, cut, range(kept))
    coding = FeatureCoding(bits, (kept, cut.height, cut.width))
    sending = [coding.between(torch.zeros(kept), torch.ones(kept))] if coding.has_codes else [None]
    if is_noisy:
        sending += [DeviceNoise(b"secret", coding.shape), torch.ones(kept, 1, 1)]
    network = DeviceNetwork(local, backbone.mean, backbone.std, coding, *sending)
    profile = profile_cut(backbone, cut, size)
    costs = {n: int(v) for n, v in cut_costs(profile, kept, bits, float(is_noisy)).items()}
    image = random_images(size)[:1].clone()
    alive = tensor_bytes(FromTheBeginning(network), image)
    assert costs["peak_activation_bytes"] <= alive <= costs["peak_activation_bytes"] + image.nbytes
    normalisation = network.mean.nbytes + network.std.nbytes
    assert costs["parameter_bytes"] == state_bytes(network) - normalisation
    assert costs["memory_bytes"] == costs["parameter_bytes"] + costs["peak_activation_bytes"]
    assert costs["local_macs"] == int(cut_costs(profile, kept)["local_macs"])
