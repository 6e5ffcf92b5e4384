"""Counts of a server in the text format of Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 300)  # upper ends of the histogram


class Metrics:
    """Answers by path and status, their seconds, pictures that wait, and bytes of uploads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("path", "status")
        self.requests = Counter(
            "pellucid_requests", "Answers by path and status.", labels, registry=self.registry
        )
        self.seconds = Histogram(
            "pellucid_request_seconds",
            "Seconds from a request's first byte to its answer's last.",
            ("path",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.jobs = Gauge(
            "pellucid_jobs", "Pictures that wait or are worked on.", registry=self.registry
        )
        self.bytes = Gauge(
            "pellucid_upload_bytes",
            "Bytes of uploads that arrive, wait or are worked on.",
            registry=self.registry,
        )

    def add(self, path: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self.requests.labels(path, status).inc()
        self.seconds.labels(path).observe(seconds)

    def text(self) -> bytes:
        """All of them, as Prometheus reads it."""
        return generate_latest(self.registry)
