"""What is wrong with a picture, and what is in it: CLIP towers and the DA-CLIP controller."""
