"""The served model: inputs, ONNX graph, calibration, explanation; onnxruntime, no torch."""
