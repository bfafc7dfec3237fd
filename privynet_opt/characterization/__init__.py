"""Measure topologies and keep the measurements. Measuring needs torch, reading needs pandas."""
