"""Characterizations of the digits, made once for each file that asks for them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from digits_study import STUDY

from privynet_opt.characterization import job, recipes
from privynet_opt.characterization.bank import build_bank
from privynet_opt.characterization.characterize import characterize
from privynet_opt.characterization.feature_source import FeatureSource
from privynet_opt.characterization.study_inputs import load_splits
from privynet_opt.networks.backbone import load_backbone
from privynet_opt.networks.cuts import choose_cuts, find_cuts
from privynet_opt.study_spec import load_study

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def short_recipes():
    """The epochs meant for thousands of images, of a few hundred: enough to see what is learned."""

    def short(recipe, share=1):
        decoder, cloud = (
            replace(part, max_epochs=part.max_epochs // share, min_steps=0)
            for part in (recipe.decoder, recipe.cloud)
        )
        return replace(recipe, decoder=decoder, cloud=cloud)

    with pytest.MonkeyPatch.context() as patch:
        for tier in recipes.TRAINED.values():
            for name, recipe in tier.items():
                patch.setitem(tier, name, short(recipe))
        shorter = short(recipes.AMORTISED, 3)
        for module in (recipes, job):
            patch.setattr(module, "AMORTISED", shorter)
        fewer = replace(recipes.DECODER_TO_TUNE, max_epochs=4, min_steps=0)
        patch.setattr(recipes, "DECODER_TO_TUNE", fewer)
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.toml").write_text(STUDY)
    return load_study(folder)


@pytest.fixture(scope="module")
def measured(study, tmp_path_factory):
    torch.set_num_threads(1)
    return characterize(study, None, None, tmp_path_factory.mktemp("measured"))


@pytest.fixture(scope="module")
def amortised(study, tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("amortised")
    return characterize(study, None, None, folder, fidelities=("screen", "amortised"))


@pytest.fixture(scope="module")
def conv1_bank(study):
    backbone = load_backbone("small_cnn")
    (cut,) = choose_cuts(find_cuts(backbone.graph, 8), ["conv1"])
    return build_bank(FeatureSource(backbone, cut, load_splits(study, None), CPU, keep=True))
