"""Attackers: how much of an image can be recovered from its features. Needs torch."""
