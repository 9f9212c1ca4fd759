"""Qist (قسط, "installment"): a Buy Now, Pay Later portal that a merchant can run alone.

The map of the house, from the ground up; a floor imports only what lies below it:

ground      money, schedule, names, clock, errors, config, embedded, extensions
rows        models/ (tables and the questions a row answers about itself), gateways/ (the outside), queue
verbs       services/ (what can happen; only these commit), reports/ (reads across tables), access (who is here),
            limits (how often)
doors       web/ (pages), api/ (JSON), jobs (RQ), and cli, the command line
roof        app.create_app(), the only place that knows everyone, and timetable (when the periodic jobs run)

The whole plan, with its reasons, is docs/architecture.md.
"""

__version__ = "0.2.0"
