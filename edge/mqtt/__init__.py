"""The MQTT contract: topics, messages, and the link to the broker."""
