"""Models on the device: int8 TFLite in, NumPy out."""
