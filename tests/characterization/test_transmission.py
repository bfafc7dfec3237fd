"""What arrives of features: the device's noise, the exporter's codes, what attackers make of it."""

from __future__ import annotations

import copy
import inspect
from dataclasses import replace

import pytest
import torch

from privynet_opt.attacks import whole_image
from privynet_opt.attacks.metrics import psnr_db
from privynet_opt.attacks.ridge import RidgeAttacker
from privynet_opt.characterization import own_networks
from privynet_opt.characterization.measure import measure_screen, measure_stack, measure_trained
from privynet_opt.characterization.transmission import NOISE_REACH, Transmission, generator_on
from privynet_opt.networks.coding import FeatureCoding
from privynet_opt.topology import LocalTopology

KEPT = [0, 3, 5, 9, 12]
WAYS = [(32, 0.3), (32, 1.5), (8, 0.0), (4, 0.0), (8, 0.5), (4, 0.5)]
DRAWS = 6
"""Times that the explicit fits see every image, each with noise of its own."""


def sent(bank, bits, noise_std, kept=tuple(KEPT)):
    topology = LocalTopology("conv1", len(kept), "random", 0, bits, noise_std)
    return Transmission.of(topology, bank, kept)


def test_noise_has_its_deviation_and_is_drawn_anew_for_training_but_not_for_scoring(conv1_bank):
    way, seen = sent(conv1_bank, 32, 0.7), conv1_bank.score_features[:, KEPT]
    generator = generator_on(seen.device, 1)
    first, second = (way.received(seen, generator) - seen.float() for _ in range(2))
    assert float(first.std()) == pytest.approx(0.7, rel=0.02)
    assert float((first - second).std()) == pytest.approx(0.7 * 2**0.5, rel=0.02)
    assert torch.equal(way.scored(seen), way.scored(seen))


@pytest.mark.parametrize("bits", [16, 8, 4])
def test_codes_are_those_that_the_exported_network_sends(conv1_bank, bits):
    bank = conv1_bank
    raw = torch.cat(list(bank.source.computed("cloud")))[:, KEPT]  # as a device computes them
    coding = FeatureCoding(bits, tuple(raw.shape[1:]))
    ranges = coding.ranges([raw])
    decoded = coding.decode(coding.encode(raw, ranges))
    if ranges is not None:
        decoded = ranges.lowest + decoded * ranges.step * coding.highest_code
    expected = (decoded - bank.mean[:, KEPT]) / bank.std[:, KEPT]
    standard = (raw - bank.mean[:, KEPT]) / bank.std[:, KEPT]
    arrived = sent(bank, bits, 0.0).received(standard, generator_on(raw.device, 0))
    # A feature half-way between two codes may round either way.
    step = 1e-2 if ranges is None else float((ranges.step / bank.std[:, KEPT]).max())
    differs = (arrived - expected).abs() > 1e-3
    assert float(differs.float().mean()) < 1e-3
    assert float((arrived - expected).abs().max()) < 1.01 * step
    if bits <= 8:
        values = arrived * bank.std[:, KEPT] + bank.mean[:, KEPT]
        assert all(len(torch.unique(v.round(decimals=4))) <= 2**bits for v in values.unbind(1))


def test_codes_of_noisy_features_reach_beyond_the_extremes(conv1_bank):
    clean, noisy = sent(conv1_bank, 8, 0.0), sent(conv1_bank, 8, 2.0)
    reach = NOISE_REACH * 2.0 * clean.std.flatten()
    lowest = noisy.ranges.lowest.flatten()
    torch.testing.assert_close(lowest, clean.ranges.lowest.flatten() - reach)
    width = 255 * (noisy.ranges.step - clean.ranges.step).flatten()
    torch.testing.assert_close(width, 2 * reach)


@pytest.mark.parametrize(("bits", "noise_std"), WAYS)
def test_the_closed_form_attacker_equals_a_fit_to_features_as_they_arrive(
    conv1_bank, bits, noise_std
):
    bank, way = conv1_bank, sent(conv1_bank, bits, noise_std)
    images = bank.source.splits.attacker.images.float() / 255
    features = bank.features.first("attacker", len(bank.source.splits.attacker))[:, KEPT]
    generator = generator_on(features.device, 7)
    draws = [(way.received(features, generator), images) for _ in range(DRAWS)]
    explicit = RidgeAttacker.fit(draws, images.mean(0)).decoder(range(len(KEPT)))
    seen = bank.score_features[:, KEPT]
    arrived = way.scored(seen)
    truth = float(psnr_db(bank.score_images, explicit.reconstruct_all(arrived)).mean())
    aware, unaware = (
        float(psnr_db(bank.score_images, decoder.reconstruct_all(arrived)).mean())
        for decoder in (bank.ridge.decoder(KEPT, way.error_power(seen)), bank.ridge.decoder(KEPT))
    )
    assert aware == pytest.approx(truth, abs=0.1)
    if noise_std:
        assert unaware < aware
    if noise_std >= 0.5:
        assert unaware < truth - 0.2


def test_noise_hides_images_in_the_screen_and_from_trained_decoders(conv1_bank):
    clean = LocalTopology("conv1", 8, "lda")
    noisy = LocalTopology("conv1", 8, "lda", noise_std=2.0)
    coded = LocalTopology("conv1", 8, "lda", feature_bits=8)
    screened = {t: measure_screen(conv1_bank, t) for t in (clean, noisy, coded)}
    assert screened[noisy]["psnr_db"] < screened[clean]["psnr_db"] - 3
    assert screened[coded]["psnr_db"] == pytest.approx(screened[clean]["psnr_db"], abs=0.3)
    assert (screened[noisy]["feature_bits"], screened[noisy]["noise_std"]) == (32, 2.0)
    together = measure_stack(conv1_bank, (clean, noisy), "standard", 1)
    trained = dict(zip((clean, noisy), together, strict=True))
    assert trained[noisy]["psnr_db"] < trained[clean]["psnr_db"] - 3
    # What it starts from already knows the noise; training on the noise adds to it.
    assert trained[noisy]["decoder_psnr_db"] > trained[noisy]["ridge_psnr_db"]
    assert trained[noisy]["ridge_psnr_db"] == pytest.approx(screened[noisy]["psnr_db"], abs=1e-3)
    assert trained[noisy]["accuracy"] < trained[clean]["accuracy"]
    # A stack trains each on what arrives of its own features, as it would be alone.
    alone = measure_trained(conv1_bank, noisy, "standard", 1)
    assert alone["psnr_db"] == pytest.approx(trained[noisy]["psnr_db"], abs=0.15)


def trained_on(monkeypatch, bank, step, train, fidelity, kept, ways):
    """Return what a step would train its networks on."""
    asked, honest = {}, getattr(own_networks, train)

    def stopped(*given, **named):
        asked.update(inspect.signature(honest).bind(*given, **named).arguments)
        raise InterruptedError

    monkeypatch.setattr(own_networks, train, stopped)
    with pytest.raises(InterruptedError):
        step(bank, kept, fidelity, 1, sent=ways)
    monkeypatch.undo()
    return asked


@pytest.mark.parametrize("noise_std", [0.0, 0.5])
def test_decoders_of_a_noisy_topology_are_trained_on_what_arrives(
    conv1_bank, monkeypatch, noise_std
):
    seen, ways = conv1_bank.score_features[:, KEPT], [sent(conv1_bank, 32, noise_std)]
    step, train = own_networks.attack, "train_decoders"
    asked = trained_on(monkeypatch, conv1_bank, step, train, "standard", [KEPT], ways)
    if not noise_std:
        assert asked["receives"] is None
        return
    (receive,) = asked["receives"]
    first, second = receive(seen), receive(seen)  # an attacker may draw as often as he likes
    assert float((first - seen.float()).std()) == pytest.approx(0.5, rel=0.05)
    assert float((first - second).std()) == pytest.approx(0.5 * 2**0.5, rel=0.05)


def test_a_cloud_gets_noisy_features_of_each_image_once_and_of_no_mirrored_one(
    conv1_bank, monkeypatch
):
    bank = replace(conv1_bank, source=copy.copy(conv1_bank.source))
    bank.source.splits = replace(bank.source.splits, mirrorable=True)
    kept = [KEPT, KEPT[:2], KEPT[2:]]
    ways = [sent(bank, 32, 0.5), sent(bank, 32, 0.0, KEPT[:2]), sent(bank, 4, 0.0, KEPT[2:])]
    step, train = own_networks.learn, "train_cloud_networks"
    asked = trained_on(monkeypatch, bank, step, train, "full", kept, ways)
    features, mirrored = asked["features"].float(), asked["mirrored"].float()
    noisy, plain, coded = asked["kept"]
    assert [len(noisy), len(plain), len(coded)] == [len(own) for own in kept]
    true = bank.features.first("cloud", len(features)).float()
    other = bank.mirrored("cloud", KEPT).float()
    assert float((features[:, noisy] - true[:, KEPT]).std()) == pytest.approx(0.5, rel=0.05)
    torch.testing.assert_close(mirrored[:, noisy], features[:, noisy])
    torch.testing.assert_close(features[:, plain], true[:, KEPT[:2]])
    torch.testing.assert_close(mirrored[:, plain], other[:, :2])
    for arrived, before in ((features, true[:, KEPT[2:]]), (mirrored, other[:, 2:])):
        codes = ways[2].received(before, generator_on(before.device, 0))
        torch.testing.assert_close(arrived[:, coded], codes, atol=2e-3, rtol=2e-3)
        assert float((codes - before).abs().max()) > 0.01
    asked = trained_on(monkeypatch, bank, step, train, "full", kept[:1], ways[:1])
    assert asked["mirrored"] is None
    # Without any, the features stay as they are.
    plainly = trained_on(monkeypatch, bank, step, train, "standard", [KEPT], [sent(bank, 32, 0.0)])
    torch.testing.assert_close(plainly["features"].float(), true[:, KEPT])


def test_what_arrives_is_looked_at_in_the_regions_of_the_cut(conv1_bank, monkeypatch):
    monkeypatch.setattr(whole_image, "MOST_COLUMNS", 7 * conv1_bank.cut.channels)
    found = sent(conv1_bank, 32, 0.5).whole_image(conv1_bank, KEPT)
    assert found.label.widths == (1, 2)  # five channels alone would be pooled to more regions
    assert found.thumbnail.widths == (1, 2, 66)
