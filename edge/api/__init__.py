"""The MQTT contract as typed values: requests, replies, messages, topics, signatures; no input or output."""
