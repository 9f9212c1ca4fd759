"""What gunicorn loads: `gunicorn -c gunicorn.conf.py wsgi:app`. A PostgreSQL that is too old ends the start."""

from portal.app import create_app, log_findings, refuse_old_database

app = create_app()
refuse_old_database(app)
log_findings(app)
