"""Restoration networks, one file each: config, blocks, network."""
