"""Serving: a client of the REST interface of TF-Serving and a local server that speaks it."""
