# The app, its Celery workers, beat and Flower: one image, the command decides. See docs/deploy-docker.md.
FROM python:3.12-slim-bookworm AS packages
WORKDIR /build
COPY requirements.txt requirements-celery.txt ./
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        -r requirements.txt -r requirements-celery.txt \
    && /venv/bin/pip uninstall --yes pip

FROM python:3.12-slim-bookworm
# No package of the distribution is added. The number is the one of deploy/kubernetes; nobody logs in as this user.
RUN groupadd --gid 10001 checker \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin checker \
    && install --directory --owner=10001 --group=10001 --mode=0750 /var/lib/outage-checker
COPY --from=packages /venv /venv
WORKDIR /app
COPY app.py config.json gunicorn.conf.py runtime.txt ./
COPY service_checkers service_checkers
COPY service_event_checker service_event_checker
# Compiled here: the file system is read-only when it runs.
RUN python -m compileall -q /app
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LOG_FORMAT=json \
    DATABASE_URL=sqlite:////var/lib/outage-checker/outage_checker.db
USER 10001:10001
VOLUME /var/lib/outage-checker
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('PORT') or 8000}/livez\", timeout=4)"]
CMD ["gunicorn", "-c", "gunicorn.conf.py", "app:app"]
