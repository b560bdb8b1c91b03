# Serves OpenVINO and ONNX artifacts on a CPU: no torch, no compiler, no weights, no shell tools beside the base's.
#   docker build -f infra/containers/serve-cpu.Dockerfile -t depth-serve-cpu .
# BASE is a tag. Whoever builds for production pins its digest: --build-arg BASE=python:3.9-slim-bookworm@sha256:...
ARG BASE=python:3.9-slim-bookworm

FROM ${BASE} AS build
COPY infra/locks/serve-cpu.txt /build/lock.txt
RUN python -m venv /opt/depth/env \
 && /opt/depth/env/bin/python -m pip install -q --no-cache-dir --only-binary :all: --no-deps --require-hashes -r /build/lock.txt \
 && /opt/depth/env/bin/python -m pip uninstall -q --yes pip setuptools
COPY depth /opt/depth/app/depth
COPY serve /opt/depth/app/serve
COPY infra/containers/start.sh /opt/depth/start.sh
RUN /opt/depth/env/bin/python -m compileall -q /opt/depth/app

FROM ${BASE}
COPY --from=build /opt/depth /opt/depth
# /var/lib/depth receives the artifact: mount a volume there, and one at /tmp. The root is read-only.
ENV PATH=/opt/depth/env/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    DEPTH_PROGRAM_CACHE=off \
    DEPTH_FOLDER=/var/lib/depth
# Volumes take their owner from here.
RUN install -d -o 10001 -g 10001 /var/lib/depth /run/depth
WORKDIR /opt/depth/app
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20m --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["/bin/sh", "/opt/depth/start.sh"]
