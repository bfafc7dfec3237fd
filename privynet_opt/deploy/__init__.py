"""From a chosen topology to a split that runs: exported, trained in the cloud, predicting."""
