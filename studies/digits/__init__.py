"""PrivyNet on scikit-learn's digits with a small network of our own: measured within minutes."""
