"""Images a second that `extract` writes features of, against the bare forward pass, in turns.

    python benchmarks/extraction_rate.py BUNDLE --data images/

The bare pass is the exported network on images that are in memory already, in batches of the same
size. Extraction reads and decodes image files, computes, writes shards and their checksums.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from privynet_opt.deploy.bundle import load_bundle
from privynet_opt.deploy.extract import batch_size, extract
from privynet_opt.deploy.image_source import open_images
from privynet_opt.deploy.network_file import load_network


def main() -> None:
    """Print the rates of each round and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    bundle = load_bundle(asked.bundle)
    told = bundle.manifest.content["data"]
    sources = open_images(told["name"], asked.data, bundle.manifest.image_size, told["classes"])
    images = torch.cat([source.batch(0, len(source))[0] for source in sources.values()])
    run = load_network(bundle.network_path, bundle.manifest.image_size, bundle.noise)
    size = batch_size(bundle)
    run(images[:size])
    ratios = []
    for number in range(1, asked.rounds + 1):
        started = time.perf_counter()
        for batch in images.split(size):
            run(batch)
        bare = len(images) / (time.perf_counter() - started)
        with tempfile.TemporaryDirectory() as folder:
            done = extract(bundle, asked.data, Path(folder))
        extracted = done.n_extracted / done.seconds
        ratios.append(extracted / bare)
        rates = f"bare {bare:,.0f}, extract {extracted:,.0f} images/s"
        print(f"round {number}: {rates}, ratio {ratios[-1]:.2f}", flush=True)
    print(f"{len(images):,} images in batches of {size}, {torch.get_num_threads()} threads")
    print(f"median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
