"""A made-up gallery: squares instead of images, so that nothing has to be trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from privynet_opt.characterization.gallery_store import (
    ORIGINAL,
    RECOVERED,
    THUMBNAIL,
    Strip,
    write_strip,
)
from privynet_opt.search_space import TOPOLOGY_COLUMNS


def fake_gallery(folder: Path, rows: pd.DataFrame, source: str = "") -> Path:
    """A gallery of some candidates: four squares that fade the less private a topology is."""
    ramp = np.linspace(0, 255, 8, dtype=np.uint8)
    pixels = np.stack(
        [np.broadcast_to(ramp[:, None, None] // (k + 1), (8, 8, 3)) for k in range(4)]
    )
    write_strip(folder / "originals.png", Strip(ORIGINAL, pixels, (), (), {"source": source}))
    scores = (17.5, 17.0, 18.0, 17.5), (0.3, 0.2, 0.4, 0.3)
    write_strip(folder / "thumbnail-4.png", Strip(THUMBNAIL, pixels, *scores, {"side": 4}))
    for number, (_, row) in enumerate(rows.iterrows()):
        own = row[[name for name in TOPOLOGY_COLUMNS if name in row]]
        key = {n: v.item() if hasattr(v, "item") else v for n, v in own.items()}
        facts = {**key, "fidelity": "standard", "training_seed": 1, "attacker": "decoder"}
        leak = round(float(row["psnr_db"]), 3)
        strip = Strip(RECOVERED, pixels // 2, (leak,) * 4, (0.25,) * 4, facts)
        write_strip(folder / f"{number}.png", strip)
    return folder
