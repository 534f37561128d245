# The scheduler and every other command as an image. Data lies in /data: the database and the evidence archive.
#   docker build -t openness-crawler .
#   docker run --detach --restart unless-stopped -v openness-data:/data -e GITHUB_TOKEN openness-crawler
#   docker run --rm -v openness-data:/data -e GITHUB_TOKEN openness-crawler nightly

FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /opt/openness
WORKDIR /src
COPY requirements.lock ./
RUN /opt/openness/bin/pip install --require-hashes --no-compile -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY pipelines ./pipelines
COPY db ./db
COPY spiders ./spiders
COPY crawler ./crawler
COPY review ./review
COPY sandbox ./sandbox
RUN /opt/openness/bin/pip install --no-deps --no-build-isolation --no-compile . \
    && /opt/openness/bin/python -m compileall -q -j 0 /opt/openness/lib

FROM python:3.12-slim
LABEL org.opencontainers.image.title="openness-crawler" \
      org.opencontainers.image.licenses="Apache-2.0"
# tini passes signals on and buries what has ended; without it process 1 would have to.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 openness \
    && useradd --uid 10001 --gid openness --no-create-home --home-dir /data --shell /usr/sbin/nologin openness \
    && install --directory --owner openness --group openness /data
COPY --from=build /opt/openness /opt/openness
COPY seeds.yaml lineage.yaml /etc/openness/
ENV PATH=/opt/openness/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HOME=/tmp/huggingface \
    OPENNESS_DATABASE_URL=sqlite:////data/openness.db \
    OPENNESS_ARCHIVE=/data/archive \
    OPENNESS_SEEDS=/etc/openness/seeds.yaml \
    OPENNESS_LINEAGE=/etc/openness/lineage.yaml \
    OPENNESS_SCHEDULE="17 2 * * *" \
    OPENNESS_HEALTH_FILE=/tmp/openness-health.json
# By number, so that an engine that must not run root can see that it is none.
USER 10001:10001
WORKDIR /data
VOLUME /data
ENTRYPOINT ["tini", "--", "openness"]
CMD ["--log-format", "json", "schedule", "--catch-up"]
# Of the scheduler: it lives, and its last night ended well. For other commands: --no-healthcheck.
HEALTHCHECK --interval=1m --timeout=15s --start-period=1m --retries=3 \
    CMD ["openness", "schedule", "--healthy", "--health-file", "/tmp/openness-health.json"]
