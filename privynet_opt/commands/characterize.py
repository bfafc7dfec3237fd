"""``privynet-opt characterize``: measure a study's topologies."""

from __future__ import annotations

import argparse
from pathlib import Path

from privynet_opt.characterization.schema import FIDELITIES, STARTS
from privynet_opt.commands.options import (
    OK,
    Commands,
    add_measuring,
    add_study,
    finish,
    positive,
)


def add_to(commands: Commands) -> None:
    """Add the command to the parser.

    Args:
        commands: The subcommands of `privynet-opt`.
    """
    parser = commands.add_parser(
        "characterize",
        help="measure a study's topologies on images",
        description="Measure accuracy and privacy loss of a study's topologies and write its "
        "characterization table. A run in the same output folder goes on where it was stopped. "
        "Where the study has feature_bits or noise_std, each planned choice of filters is trained "
        "once plainly and once with bits and noise of its own.",
    )
    add = parser.add_argument
    add_study(add)
    add(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder to write (./privynet-opt-STUDY-characterization)",
    )
    add_measuring(add)
    add(
        "--fidelity",
        action="append",
        choices=FIDELITIES,
        help="what to measure; repeat for more (screen and standard)",
    )
    add(
        "--start",
        choices=STARTS,
        default=STARTS[0],
        help="where the networks of standard and full start: from scratch, or from the cut's "
        "amortised networks, which takes fewer epochs at standard (scratch)",
    )
    add(
        "--attacker-data",
        type=Path,
        metavar="DIR",
        help="images of another kind: also measure what an attacker loses who has only those",
    )
    add(
        "--double-capacity",
        action="store_true",
        help="also attack some topologies by decoders twice as wide and deep, for the audit",
    )
    add(
        "--repair",
        action="store_true",
        help="afterwards measure what an audit finds attacked too weakly at the next fidelity",
    )
    add("--workers", type=positive, default=1, metavar="N", help="processes (1)")
    add(
        "--dask",
        metavar="ADDRESS",
        help="measure on the workers of a Dask scheduler, such as tcp://10.0.0.1:8786, which see "
        "the output folder under the same path",
    )
    add(
        "--stack",
        type=positive,
        default=1,
        metavar="N",
        help="train so many topologies of a cut together; rounding moves values a little: for a "
        "GPU that small networks leave idle; hardly worth it on a CPU (1)",
    )
    add("--topologies", type=positive, metavar="N", help="how many are trained (the study's)")
    add(
        "--data-note", default="", metavar="TEXT", help="where the images come from, for the report"
    )
    add("--weights-note", default="", metavar="TEXT", help="where the weights come from, likewise")
    finish(parser, characterize, "Finished measurements are kept; run it again to go on.")


def characterize(asked: argparse.Namespace) -> int:
    """Measure a study's topologies.

    Args:
        asked: Parsed arguments of ``characterize``.
    """
    from privynet_opt.study_spec import load_study

    spec = load_study(asked.study)

    from privynet_opt.characterization import characterize as measuring
    from privynet_opt.characterization.measurement_folder import MeasurementFolder

    table = measuring.characterize(
        spec,
        data=asked.data,
        weights=asked.weights,
        output=Path(asked.output or f"privynet-opt-{spec.name}-characterization"),
        device=asked.device,
        fidelities=tuple(dict.fromkeys(asked.fidelity or ("screen", "standard"))),
        workers=asked.workers,
        n_trained=asked.topologies,
        start=asked.start,
        repair=asked.repair,
        attacker_data=asked.attacker_data,
        double_capacity=asked.double_capacity,
        skip_bad=asked.skip_bad,
        dask=asked.dask,
        stack=asked.stack,
        notes={"data": asked.data_note, "weights": asked.weights_note},
    )
    print(f"Measured: {table}")
    if MeasurementFolder(table.parent).has_trained:
        print(f"Search it: privynet-opt run --study {table.parent}")
    else:
        print("Nothing is trained yet: run the same command with --fidelity standard before `run`")
    return OK
