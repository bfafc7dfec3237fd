"""What is known of the licence of a network's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privynet_opt.networks.backbone import Backbone
from privynet_opt.networks.vision import torchvision

if TYPE_CHECKING:
    from privynet_opt.study_spec import StudySpec

OWN = "Apache-2.0, shipped with privynet_opt"
RANDOM = "none needed: random numbers of a fixed seed"
UNKNOWN = "not known: ask whoever gave you the file"
TORCHVISION = (
    "not stated by torchvision, which warns that its weights may have terms derived from the "
    "images they were trained on (ImageNet: non-commercial research)"
)


def known_licence(spec: StudySpec, backbone: Backbone) -> str:
    """Return the licence of the weights in words, or that it is not known.

    Args:
        spec: The study.
        backbone: The network with its weights.
    """
    is_shipped = spec.argument == spec.name and spec.network.weights.startswith(str(spec.directory))
    if is_shipped and spec.network.weights.endswith(backbone.weights):
        return OWN
    if backbone.weights == "none":
        return RANDOM
    models = torchvision().models
    if backbone.name not in models.list_models(module=models):
        return UNKNOWN
    for weights in models.get_model_weights(backbone.name):
        if weights.name == backbone.weights:
            return str(weights.meta.get("license", TORCHVISION))
    return UNKNOWN
