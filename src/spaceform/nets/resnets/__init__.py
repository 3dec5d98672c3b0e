"""Residual networks with the layer names of torchvision, so that its weights fit."""
