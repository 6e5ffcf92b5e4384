"""Reading and writing photographs without loss, and working on them in tiles."""
