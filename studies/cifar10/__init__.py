"""PrivyNet on CIFAR-10 with VGG16: study file, characterization table, provenance."""
