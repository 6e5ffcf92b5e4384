"""What computes the calls of a network: PyTorch, its compiler, ONNX Runtime or OpenVINO."""
