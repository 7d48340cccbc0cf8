"""Networks that people have, brought to our layer graph (models.quant.graph): int8 TFLite, ONNX QDQ."""
