"""What gunicorn loads: `gunicorn -c gunicorn.conf.py wsgi:app`. A PostgreSQL that is too old ends the start."""

import gc

gc.disable()  # loading the application makes no garbage, and looking for some takes a fifth of it

from portal.app import create_app, load_for_workers, log_findings, refuse_old_database  # noqa: E402

app = create_app()
refuse_old_database(app)
log_findings(app)
load_for_workers(app)

gc.freeze()  # what is loaded stays
gc.enable()
