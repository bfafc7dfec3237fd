"""The study `digits` with bits and noise on the device: a space that is searched, not listed."""
