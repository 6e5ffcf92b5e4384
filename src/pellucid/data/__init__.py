"""Training data: folders of photographs or pairs in; samples, each a function of its index, out."""
