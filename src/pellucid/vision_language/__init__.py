"""CLIP towers, the DA-CLIP controller, and what is computed with them."""
