"""A study of two cuts of a small network on scikit-learn's digits, measured within seconds."""

from __future__ import annotations

STUDY = """
name = "digits-test"
[network]
name = "small_cnn"
weights = "none"
[data]
name = "digits"
image_size = 8
[search_space]
cut_layers = ["conv1", "conv4"]
kept_filters = [2, 8]
selection_strategies = ["random", "lda", "privacy", "privynet", "magnitude"]
[search]
objectives = ["accuracy", "psnr_db"]
[characterization]
images = { cloud = 450, attacker = 450, score = 250 }
trained_topologies = 3
repeated_seeds = 2
"""

N_SCREENED = 7 + 7 + 1 + 7 + 7 + 1
"""Two cuts of two partial counts with 3 + 2 × 2 choices each, and the whole cut once."""
