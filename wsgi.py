"""What gunicorn loads: `gunicorn wsgi:app`."""

import sys

from gunicorn.arbiter import Arbiter

from portal.app import create_app, log_findings, refuse_old_database

app = create_app()
try:
    refuse_old_database(app)
except SystemExit as refused:
    sys.stderr.write(f"{refused}\n")
    sys.exit(Arbiter.WORKER_BOOT_ERROR)  # gunicorn ends; after another code it would start the worker again for ever
log_findings(app)
