"""The household's page in a browser: what the cameras of one broker say, and the requests that people make of them.

It runs on any machine of the household and speaks to the broker as the controller does. `household` is what it knows,
without a browser; `access` decides which request of a browser is let through; the rest draws.
"""
