"""Metrics, figures and the report page that every kind of model shares."""
