"""What exporting and extracting print on stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from privynet_opt.metrics import PREDICTED
from privynet_opt.plain_text import aligned, wrapped
from privynet_opt.report.words import format_interval, format_level, format_value
from privynet_opt.topology import topology_words

if TYPE_CHECKING:
    from privynet_opt.deploy.bundle import Bundle
    from privynet_opt.deploy.choice import Choice
    from privynet_opt.deploy.extract import Extraction

FEW_SEEDS = (
    "The filters were drawn with a seed of the study: whoever knows the study can try its few "
    "seeds. --secret-seed draws others, with one that nobody can look up; the limits were not "
    "checked for those."
)

NOT_MEASURED = "They are not those that were measured: no prediction holds for them."

OTHER_IMAGES = "Images: not those that were measured: no prediction holds for them."

NOISE = (
    "Noise: {:g} standard deviations of each channel, drawn from the image and a secret in "
    "private.json, which each export has its own of: images sent through two bundles have two "
    "draws, whose mean is less noisy. The noise is an input as large as the features, which the "
    "exact numbers leave out."
)

ANOTHER_DRAW = (
    "The filters were drawn anew: what is predicted, and that it keeps your limits, was said of "
    "the study's own draw. `front.csv` and `candidates.csv` show how far draws of a size differ."
)

SENT = (
    "Send that folder to the cloud: no file in it names the kept filters, but who has images like "
    "yours may guess many of them from the features. The report says how well, if the study was "
    "measured at `amortised`."
)

CLOSE = 1.15
"""Memory that exceeds its prediction by more than this factor is explained."""

SCRATCH = (
    "PyTorch allocates more than the tensors that are alive: inside an operator it copies input, "
    "filters and output into the layout its kernel wants."
)


NOT_YET = (
    "not yet: `train-cloud` counts the accuracy, `privynet-opt validate` attacks with new networks"
)

EXTRAPOLATED = "Outside the range of the trained measurements: there the intervals promise nothing."

OTHER_SOURCE = "What was measured afresh was so on other images, weights or recipe than predicted."

PRIVACY = "psnr_db and ssim say how well an attacker recovers images; higher is less private"


def bundle_lines(bundle: Bundle, choice: Choice) -> list[str]:
    """Return what an export did.

    Args:
        bundle: What was written.
        choice: What was asked for.
    """
    content = bundle.manifest.content
    topology = choice.topology
    file, coding, network = content["file"], content["coding"], content["network"]
    secret = " and the secret of the noise" if topology.noise_std else ""
    phrase = topology_words(topology.cut_layer, topology.kept_filters, topology.selection_strategy)
    lines = [
        f"Exported: {network['name']} cut after {phrase}",
        f"{bundle.network_path} ({bundle.network_path.stat().st_size / 1000:,.0f} kB)",
        f"  in   uint8    {_shape(file['input']['shape'])}",
        f"  out  {file['output']['dtype']:<8} {_shape(file['output']['shape'])}, "
        f"{coding['bits']} bits a feature",
        *(wrapped(NOISE.format(topology.noise_std), "  ", "  ") if topology.noise_std else []),
        "",
        *_comparison(bundle),
        "",
        *_check_lines(bundle.told("self_check"), coding["bits"]),
        *wrapped(_weights(network), "", "  "),
        *([OTHER_IMAGES] if content["data"]["images_as_measured"] is False else []),
        "",
        f"Files in {bundle.directory}",
        *aligned(
            [
                ("manifest.json", "may go to the cloud; `extract` copies it to the features"),
                (file["name"], "the local network: runs on the device, stays with you"),
                ("private.json", f"which filters are kept{secret}: stays with you"),
            ],
            "<<",
        ),
    ]
    is_secret = content["topology"]["choice_is_secret"]
    if is_secret and bundle.private["selection_seed"] == topology.selection_seed:
        lines += ["", *wrapped(FEW_SEEDS, "", "  ")]
    elif is_secret:
        lines += ["", *wrapped(ANOTHER_DRAW, "", "  ")]
    return lines


def extraction_lines(done: Extraction) -> list[str]:
    """Return what an extraction did.

    Args:
        done: From `extract`.
    """
    folder = done.folder
    parts = " and ".join(f"{n:,} {part} images" for part, n in done.n_images.items())
    sent = sum((folder.directory / shard.name).stat().st_size for shard in folder.shards)
    n_shards = f"{len(folder.shards):,} shard{'s' if len(folder.shards) > 1 else ''}"
    rate = f", {done.n_extracted / done.seconds:,.0f} images/s" if done.n_extracted else ""
    kept = sum(done.n_images.values()) - done.n_extracted
    was_there = f"; {kept:,} were there already" if kept else ""
    return [
        f"Extracted: features of {parts} of {len(folder.class_names)} classes{was_there}",
        f"{_bytes(sent)} in {n_shards} in {folder.directory}{rate}",
        *wrapped(SENT, "", "  "),
        f"Train on it there: privynet-opt train-cloud {folder.directory}",
    ]


def _comparison(bundle: Bundle) -> list[str]:
    """Return predictions beside what is measured."""
    content, values = bundle.manifest.content, bundle.told("values")
    costs, runtime = content["costs"], bundle.told("runtime")
    level, afresh = format_level(values["confidence"]), values["validated"]
    rows = [("", f"predicted ({values['predicted_fidelity']})", f"{level} interval", "measured")]
    for target in PREDICTED:
        lower, value, upper = values["predicted"][target]
        measured = values["measured"].get(target)
        said = "not yet"
        if afresh is not None:
            said = f"{format_value(target, afresh[target])} (afresh, {afresh['fidelity']})"
        elif measured is not None:
            said = f"{format_value(target, measured)} ({values['measured_fidelity']})"
        interval = format_interval(target, lower, upper)
        rows.append((target, format_value(target, value), interval, said))
    peak, sent = costs["peak_activation_bytes"], costs["feature_bytes"]
    flops = format_value("local_flops", costs["local_flops"])
    rows += [
        ("compute", flops, "exact", ""),
        ("weights", _bytes(costs["parameter_bytes"]), "exact", "in the file"),
        ("peak memory, live tensors", _bytes(peak), "exact", _bytes(runtime["tensor_bytes"])),
        ("peak memory, PyTorch", "", "", _bytes(runtime["allocated_bytes"])),
        ("sent per image", _bytes(sent), "exact", _bytes(costs["sent_bytes"])),
    ]
    for name, milliseconds in runtime["milliseconds"].items():
        rows.append((f"time, {name}", "", "", f"{milliseconds:.3g} ms"))
    threads = runtime["threads"]
    lines = aligned(rows, "<>>>")
    count = f"{threads} thread{'s' if threads > 1 else ''}"
    lines.append(f"  memory and time are of one image, measured on this machine with {count}")
    lines += wrapped(PRIVACY, "  ", "  ")
    if values["extrapolation"]:
        lines += wrapped(EXTRAPOLATED, "  ", "  ")
    if afresh is not None and afresh["broken"]:
        lines += wrapped(f"A fresh attack broke {afresh['broken']}.", "  ", "  ")
    if afresh is not None and not afresh["same_source"]:
        lines += wrapped(OTHER_SOURCE, "  ", "  ")
    if afresh is None and len(values["measured"]) < len(PREDICTED):
        lines += wrapped(NOT_YET, "  ", "  ")
    if runtime["allocated_bytes"] > CLOSE * peak:
        lines += wrapped(SCRATCH, "  ", "  ")
    predicted_bits = bundle.told("sent_as")["feature_bits"]
    if content["coding"]["bits"] != predicted_bits:
        said = "Accuracy, privacy loss and costs were predicted for features of"
        lines += wrapped(f"{said} {predicted_bits} bits.", "  ", "  ")
    return lines


def _check_lines(check: dict[str, Any], bits: int) -> list[str]:
    how = f"in {check['differing_share']:.2%} of the codes"
    if bits > 8:
        largest = f"(largest feature {check['largest_feature']:.3g})"
        how = f"by at most {check['largest_difference']:.1e} {largest}"
    where = f"on {check['n_images']} {check['images']}"
    return wrapped(f"Self-check: {where} the file differs from PyTorch {how}", "", "  ")


def _weights(network: dict[str, Any]) -> str:
    said = f"Weights: {network['weights']}; licence {network['weights_licence']}"
    if not network["weights_as_measured"]:
        return f"{said}. {NOT_MEASURED}"
    came_from = network["weights_provenance"]
    return f"{said}. The study says: {came_from}" if came_from else said


def _shape(shape: list[Any]) -> str:
    return " × ".join(map(str, shape))


def _bytes(value: float) -> str:
    return format_value("memory_bytes", value)
