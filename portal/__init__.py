"""Qist (قسط, "installment"): a Buy Now, Pay Later portal that a merchant can run alone.

The map of the package, from the top layer to the bottom. A layer imports only layers below it.

cli.py              the command line `qist`
local/              servers for a laptop: supervisor, PostgreSQL, Valkey, data folder, demo data
gunicorn_worker.py  the worker class of the web server
request_reader.py   reads a request as its bytes arrive, without a thread
commands/           commands about all data: backup, restore, check, the list of erasures
app.py              create_app()
job_app.py          create_job_app(): without pages and API, for a worker
web/                entry point: pages and fragments
    accounts/ adjustments/ agreements/ books/ confirmations/ documents/ dues/ imports/ invitations/ lists/
    merchants/ middleware/ operations/ payments/ plans/ privacy/ reminders/ security/ team/
api/                entry point: the JSON API
    openapi/ resources/ schemas/
jobs/               entry point: background jobs, their schedule, worker, scheduler and health check
services/           changes: one public function is one business operation; only services commit
    accounts/ adjustments/ agreements/ books/ dues/ imports/ mail/ mail/business/ maintenance/ merchants/ notices/
    operations/ payments/ plans/ privacy/ reminders/ security/ team/ webhooks/
reports/            reads across tables
    books/ exports/ merchants/ operations/ payments/ plans/
metrics/            the internal port: metrics, and readiness with the kind of each failure
access.py           look-ups that return an object of the actor or raise NotFound
rate_limits.py      rate limits that pages and API count together
models/             tables, constraints and named queries
    accounts/ guards/ guards/accounts/ guards/ledger/ guards/payments/ guards/plans/ guards/search/
    payments/ plans/ security/
gateways/           external systems: payment gateway and mail server, with plain data in and out
    payment/ payment/simulated/
queue.py            enqueues jobs by name
wording/            words for people: codes and facts become sentences, by gettext
    refusals/         the sentences of refusals and faults, by code
valkey/             connections to Valkey, circuit breaker, storage of rate limits
domain/             pure rules: money, schedule, allocation, clock, identifiers, permissions, events, texts
config/             settings, from the environment and from files of secrets
counters.py         counts what each process does, for the metrics
deferred.py         modules of other packages that no process uses
errors.py           one root, QistError, and its kinds
extensions.py       Flask-SQLAlchemy: sessions and connections
logs.py             structured logs
web_extensions.py   Flask extensions of requests: sign-in, CSRF tokens, limits, htmx
write_queue.py      writes of a unit of work that go out in one statement

docs/architecture.md explains the design and its reasons.
"""

from portal import deferred

deferred.install()

__version__ = "0.2.0"
