"""From a chosen topology to a split that runs: export, extraction, the cloud network, predictions."""
