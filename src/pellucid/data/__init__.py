"""Training data: from folders of photographs or pairs to samples, each a function of its index."""
