"""Health checks of what an attacker may lack: the kept filters, and images like the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from privynet_opt.characterization.audit import side_attacks
from privynet_opt.report.check import Check
from privynet_opt.report.words import format_difference

if TYPE_CHECKING:
    import pandas as pd

    from privynet_opt.characterization.table import CharacterizationTable

SECRECY_DB = 0.5
"""What a lack of knowledge must cost an attacker to be worth saying that it protects."""


def knowledge_checks(table: CharacterizationTable) -> list[Check | None]:
    """Return what it costs an attacker not to know the kept filters, or not to have such images.

    Args:
        table: The characterization table; its sidecar tells what was measured of it.
    """
    attacks = side_attacks(table)
    if not attacks.empty:
        attacks = attacks[attacks["images_sha256"] != ""]
    if attacks.empty:
        return [_secrecy(table)]
    groups = attacks.groupby(["images", "images_sha256"], sort=True)
    return [_secrecy(table), *(_other_images(str(name), group) for (name, _), group in groups)]


def _other_images(name: str, attacks: pd.DataFrame) -> Check:
    lost = -attacks["gain_db"]
    topologies = "topology" if len(lost) == 1 else "topologies"
    mean, least, most = (format_difference("psnr_db", v) for v in (lost.mean(), *_range(lost)))
    text = (
        f"An attacker who trains on {int(attacks['n_images'].max()):,} images of {name} instead of "
        f"images like yours recovers {mean} less on average over {len(lost)} {topologies}, "
        f"from {least} to {most}. Predictions are for one who has images like yours."
    )
    if lost.mean() < SECRECY_DB:
        return Check("watch", "Images of another kind serve an attacker nearly as well", text)
    return Check("good", "An attacker without images like yours recovers less", text)


def _range(values: pd.Series[float]) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _secrecy(table: CharacterizationTable) -> Check | None:
    entries = table.sidecar.get("anonymity")
    if not entries:
        return None
    n = len(entries)
    wrong, guessed = (
        sum(e["known_psnr_db"] - e[f"{who}_psnr_db"] for e in entries) / n
        for who in ("wrong", "guessed")
    )
    right = sum(e["guessed_share"] for e in entries) / n
    text = (
        f"An attacker who assumes wrong filters recovers {format_difference('psnr_db', wrong)} "
        f"less than one who knows them, on average over {n} random choices; one who guesses them "
        f"from the statistics of the features gets {right:.0%} of them right and loses "
        f"{format_difference('psnr_db', max(guessed, 0.0))}."
    )
    if guessed < SECRECY_DB:
        return Check("watch", "Do not count on keeping the kept filters secret", text)
    return Check("good", "Keeping the kept filters secret costs an attacker", text)
