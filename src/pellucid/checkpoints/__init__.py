"""Weights on disk: our bundles, foreign checkpoints, downloads. No code in a file is ever run."""
