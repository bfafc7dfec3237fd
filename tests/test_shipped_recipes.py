"""A recipe is changed together with the rows that were measured by it, or not at all."""

from __future__ import annotations

import json

import pytest

from privynet_opt.characterization.recipes import describe
from privynet_opt.characterization.schema import CLOUD_NOISE
from privynet_opt.characterization.table import load_table
from privynet_opt.study_spec import load_study


@pytest.mark.parametrize("name", ["cifar10", "digits", "digits_noise"])
def test_the_rows_of_a_shipped_table_are_by_the_present_recipes(name):
    study = load_study(name)
    table = load_table(study.table_path)
    told = table.sidecar["fidelities"]
    measured = set(table.rows["fidelity"])
    assert {"screen", "standard"} <= measured
    for fidelity in measured:
        present = describe(fidelity, mirrorable=study.data.mirrorable)
        assert json.loads(json.dumps(present)) == told[fidelity]
    assert (CLOUD_NOISE in table.sidecar) == (study.search_space.noise_std is not None)
