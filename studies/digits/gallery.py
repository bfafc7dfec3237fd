"""Make this study's gallery, of its own scored images.

python -m privynet_opt.studies.digits.gallery gallery
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from privynet_opt.studies.gallery import make_gallery

from privynet_opt.characterization.study_inputs import load_splits
from privynet_opt.study_spec import load_study

TOPOLOGIES = (
    ("conv1", 4, "lda"),
    ("conv2", 8, "magnitude"),
    ("conv2p", 2, "greedy"),
    ("conv2p", 2, "random"),
    ("conv2p", 1, "privynet"),
    ("conv2p", 1, "lda"),
    ("conv2p", 1, "random"),
    ("conv2p", 1, "privacy"),
    ("conv3", 32, "random"),
    ("conv4p", 8, "lda"),
)
"""What the study recommends, more of its front, and five that its limits exclude."""

FIDELITY = "full"


def main() -> None:
    """Write the gallery to the folder that is named on the command line."""
    torch.set_num_threads(1)
    spec = load_study("digits")
    splits = load_splits(spec, None)
    make_gallery(spec, TOPOLOGIES, splits, spec.network.weights, FIDELITY, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
