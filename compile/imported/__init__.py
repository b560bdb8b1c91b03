"""Networks that a user brings as a file of ONNX, packed and proven as artifacts."""
