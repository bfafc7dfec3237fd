"""Images by name, and their division into three disjoint sets."""
