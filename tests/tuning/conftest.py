"""Tunings of the toy: one that ran to its end is shared by every test that only looks at it."""

from __future__ import annotations

from pathlib import Path

import pytest
from problems import write_toy_study
from toy_laboratory import LIMITS, ToyLaboratory, ask

from privynet_opt.proxies import model_choice
from privynet_opt.proxies.models import MODELS


@pytest.fixture(scope="module", autouse=True)
def one_model():
    """Fit one model instead of choosing among three: seconds instead of minutes."""
    name = "gaussian process over a linear trend"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_choice, "candidate_models", lambda n_rows: {name: MODELS[name]})
        yield


@pytest.fixture
def laboratory(tmp_path: Path) -> ToyLaboratory:
    return ToyLaboratory(write_toy_study(tmp_path / "toy", with_table=False))


@pytest.fixture(scope="module")
def ended(one_model, tmp_path_factory: pytest.TempPathFactory):
    """A tuning under `LIMITS`, its laboratory and how it ended; not to be changed."""
    folder = write_toy_study(tmp_path_factory.mktemp("ended") / "toy", with_table=False)
    laboratory = ToyLaboratory(folder)
    tuning = ask(laboratory, *LIMITS)
    return tuning, laboratory, tuning.run()
