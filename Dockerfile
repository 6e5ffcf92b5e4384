# Pellucid's server for the CPU, with the weights of the package; see docs/web.md.
FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
RUN python -m venv /opt/pellucid
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY src src
# PyTorch's own index has the build without CUDA.
RUN /opt/pellucid/bin/pip install -c constraints.txt \
    --extra-index-url https://download.pytorch.org/whl/cpu ".[web,formats]"

FROM python:3.12-slim
LABEL org.opencontainers.image.title="Pellucid" \
    org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/pellucid /opt/pellucid
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin pellucid
USER 10001
ENV PATH=/opt/pellucid/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1
EXPOSE 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]
# The port is published to this machine only (compose.yaml); add --auth USER:PASSWORD for others.
ENTRYPOINT ["pellucid", "serve", "--host", "0.0.0.0"]
CMD ["--no-auth"]
