# The production image, without the packages of portal/local. Any Debian base with Python 3.11 or newer works.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv /opt/venv
COPY requirements.lock /app/
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/venv/bin/python -m pip install --quiet --require-hashes --requirement /app/requirements.lock
COPY . /app/
# Compile to bytecode here, because the root filesystem is read-only at run time. Remove pip, which only installs.
RUN /opt/venv/bin/python -m pip install --quiet --no-index --no-deps --no-build-isolation --editable /app \
    && /opt/venv/bin/python -m compileall -q /app/portal /app/migrations \
    && /opt/venv/bin/python -m pip uninstall --quiet --yes pip

FROM ${PYTHON_IMAGE}
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin qist
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    QIST_ENV=production QIST_HOME=/tmp/qist HOST=0.0.0.0 PORT=8000
ARG QIST_VERSION=unknown
LABEL org.opencontainers.image.title="Qist" org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version=${QIST_VERSION}
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 CMD ["qist", "alive", "web"]
CMD ["qist", "web"]
