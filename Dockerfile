# syntax=docker/dockerfile:1
# Two images: `service` (HTTP, no torch) and `worker` (torch). Both run as user 10001 and write nothing but /tmp and volumes.
#   docker build --target service -t scalingcache-service .
#   docker build --target worker -t scalingcache-worker .
# The worker's CUDA runtime comes with torch's own wheels; the host brings the driver and the NVIDIA container toolkit.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS base
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

FROM base AS build
WORKDIR /src
RUN python -m venv /opt/venv
# What changes seldom comes first: a change of the sources alone installs no dependency again.
COPY constraints.txt pyproject.toml ./
COPY deploy/requirements.py deploy/requirements.py
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --constraint constraints.txt pip && \
    python deploy/requirements.py > requirements.txt && \
    pip install --constraint constraints.txt --requirement requirements.txt

FROM build AS build-service
COPY README.md LICENSE ./
COPY service service
COPY workers workers
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps --build-constraint constraints.txt .

FROM build AS build-worker
RUN --mount=type=cache,target=/root/.cache/pip \
    python deploy/requirements.py worker quantization evaluate > requirements.txt && \
    pip install --constraint constraints.txt --requirement requirements.txt
COPY README.md LICENSE ./
COPY service service
COPY workers workers
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps --build-constraint constraints.txt .

FROM base AS runtime
# Any version of tini passes signals on; Debian keeps one per release.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install --yes --no-install-recommends tini && \
    rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 scalingcache && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin scalingcache
# A named volume takes over the owner of the folder that it is mounted on.
RUN install --directory --owner=10001 --group=10001 /var/lib/scalingcache/artifacts /var/cache/huggingface
ENV HOME=/tmp \
    SCALINGCACHE_ARTIFACTS=/var/lib/scalingcache/artifacts \
    SCALINGCACHE_CATALOGUE=/app/models.toml
WORKDIR /app
COPY models.toml ./
COPY alphas alphas
USER 10001:10001
ENTRYPOINT ["tini", "--"]

FROM runtime AS service
LABEL org.opencontainers.image.title="ScalingCache Serve: service" \
      org.opencontainers.image.description="HTTP API for video diffusion accelerated by ScalingCache" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build-service /opt/venv /opt/venv
ENV SCALINGCACHE_HOST=0.0.0.0 \
    SCALINGCACHE_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-m", "service", "health"]
CMD ["python", "-m", "service"]

FROM runtime AS worker
LABEL org.opencontainers.image.title="ScalingCache Serve: worker" \
      org.opencontainers.image.description="Runs video diffusion transformers with ScalingCache, on CUDA or CPU" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY demo/checkpoints demo/checkpoints
COPY --from=build-worker /opt/venv /opt/venv
# `utility` lets the worker read memory and utilisation of its device. Progress bars are no log lines.
ENV HF_HOME=/var/cache/huggingface \
    TQDM_DISABLE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    SCALINGCACHE_METRICS_HOST=0.0.0.0 \
    SCALINGCACHE_METRICS_PORT=9100
EXPOSE 9100
# Loading a large model takes minutes, from an empty hub cache more.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30m --retries=3 CMD ["python", "-m", "workers", "health"]
CMD ["python", "-m", "workers", "run"]
