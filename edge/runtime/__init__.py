"""The running device: assembly, frame loop, dispatcher, publisher and replication."""
