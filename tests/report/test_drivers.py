import numpy as np
import pytest
from fake_result import fake_result

from privynet_opt.report.drivers import drivers, first_order_share


def test_a_parameter_that_decides_everything_has_the_whole_share():
    groups = np.repeat(["a", "b", "c"], 5)
    values = np.repeat([1.0, 2.0, 6.0], 5)
    assert first_order_share(values, groups) == pytest.approx(1)
    assert first_order_share(values, np.tile(range(5), 3)) == pytest.approx(0)
    assert first_order_share(np.ones(15), groups) == 0


def test_an_additive_model_is_divided_in_closed_form():
    x, y = np.meshgrid([0.0, 1.0], [0.0, 3.0])
    values = (x + y).ravel()  # variances 0.25 and 2.25
    assert first_order_share(values, x.ravel()) == pytest.approx(0.1)
    assert first_order_share(values, y.ravel()) == pytest.approx(0.9)


def test_strategies_differ_from_random_by_what_they_were_given():
    told = {row.name: row for row in drivers(fake_result()).strategies}
    assert next(iter(told)) == "random" and told["random"].accuracy == ""
    # The made-up truth adds 1.2 points and 0.3 dB to every topology by lda.
    assert told["lda"].psnr_db == "+0.30 ± 0.00 dB"
    assert told["lda"].accuracy.startswith("+1.2 ± 0.")
    rows = fake_result().candidates
    lda = rows[rows["selection_strategy"] == "lda"]
    assert told["lda"].on_front == f"{lda['on_front'].sum()} of {len(lda)}"


def test_noise_in_steps_is_a_parameter_like_any_other():
    result = fake_result()
    assert "noise" not in dict(drivers(result).importances[0].shares)
    rows = result.candidates
    rows["noise_std"] = np.where(rows["accuracy"] > rows["accuracy"].median(), 0.0, 1.0)
    assert dict(drivers(result).importances[0].shares)["noise"] > 40
