"""limen on the device: frames in, MQTT events out."""

__version__ = "0.1.0"
