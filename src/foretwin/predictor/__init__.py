"""Predictor, the served model: inputs, ONNX graph, calibration, explanation; onnxruntime, no torch."""
