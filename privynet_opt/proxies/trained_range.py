"""Where proxies leave what was measured, and in what."""

from __future__ import annotations

import pandas as pd

from privynet_opt.proxies.inputs import ProxyInputs, sending
from privynet_opt.topology import TOPOLOGY_COLUMNS


class TrainedRange:
    """What the trained rows of each cut layer reach to.

    Args:
        rows: Trained rows.
        inputs: Of the table that they are of.
    """

    def __init__(self, rows: pd.DataFrame, inputs: ProxyInputs) -> None:
        self._inputs = inputs
        self._reached = rows.groupby("cut_layer").agg(
            fewest=("kept_filters", "min"),
            most=("kept_filters", "max"),
            bits=("feature_bits", "min"),
            noise=("noise_std", "max"),
        )

    def exceeded(self, topologies: pd.DataFrame) -> pd.DataFrame:
        """Return what topologies exceed.

        Args:
            topologies: As `Proxies.predict` takes them.

        Returns:
            With the same index, booleans: ``cut_layer`` has no trained row; it has some, of which
            all keep more (``fewest``) or fewer filters (``most``), have more ``bits``, less
            ``noise``; estimates are guessed for the way filters are chosen (``strategy``), as
            `ProxyInputs.are_guessed` tells.
        """
        reached = self._reached.reindex(topologies["cut_layer"]).set_axis(topologies.index)
        kept = topologies["kept_filters"]
        return pd.DataFrame(
            {
                "cut_layer": reached["most"].isna(),
                "fewest": reached["fewest"] > kept,
                "most": reached["most"] < kept,
                "bits": reached["bits"] > sending(topologies, "feature_bits"),
                "noise": reached["noise"] < sending(topologies, "noise_std"),
                "strategy": self._inputs.are_guessed(topologies),
            }
        )

    def reasons(self, topology: pd.Series) -> tuple[str, ...]:
        """Return in words what one topology exceeds, nothing where it lies within.

        Args:
            topology: With `TOPOLOGY_COLUMNS`.
        """
        told = pd.DataFrame([topology[list(TOPOLOGY_COLUMNS)].to_dict()])
        cut, strategy = topology["cut_layer"], topology["selection_strategy"]
        reached = self._reached.reindex([cut]).iloc[0]
        trained = f"trained measurements of {cut}"
        words = {
            "cut_layer": f"there is no trained measurement of {cut}",
            "fewest": f"{trained} keep at least {reached['fewest']:g} filters",
            "most": f"{trained} keep at most {reached['most']:g} filters",
            "bits": f"{trained} have at least {reached['bits']:g} bits",
            "noise": f"{trained} have at most noise {reached['noise']:g}",
            "strategy": f"at {cut}, filters chosen by {strategy} were measured less than others",
        }
        exceeded = self.exceeded(told).iloc[0]
        return tuple(words[name] for name in exceeded.index[exceeded])
