"""Our own operators for ONNX Runtime, in C: products of a few or many rows with int8 and int4."""
