"""Pre-trained networks, their cuts, the local network, the cloud network. Needs torch."""
