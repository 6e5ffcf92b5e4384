"""The HTTP API; ``pellucid serve`` starts it."""
