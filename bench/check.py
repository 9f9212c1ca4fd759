"""The duration of `qist check` on a million installments, relative to counting them.

Prints the time of each statement, and the total as a multiple of a plain count of the installments.
"""

import time

from sqlalchemy import Connection, text

from bench import _large
from portal.extensions import db
from portal.gateways.payment.simulated import checks as simulated
from portal.reports.operations import checks


def main(plans: int = _large.PLANS) -> None:
    with _large.installation(plans) as app, app.app_context():
        began = time.perf_counter()
        results = checks.run()
        total = time.perf_counter() - began
        assert not any(count for _, count in results), results
        with db.engine.connect() as connection:
            connection.execute(checks.SESSION_SETTINGS)
            plain = min(_timed(connection, "SELECT count(*) FROM installments") for _ in range(3))
            for check in checks.CHECKS:
                print(f"{_timed(connection, check.sql):6.2f} s  {check.rules[0]}" + _more(len(check.rules) - 1))
            rules = simulated.RULES
            print(f"{_timed(connection, simulated.SQL):6.2f} s  {rules[0]}" + _more(len(rules) - 1))
        print(f"{plain:6.2f} s  a plain count of {plans * _large.EACH:,} installments")
        print(f"{total:6.2f} s  qist check, {len(results)} rules: {total / plain:.0f} plain counts")


def _timed(connection: Connection, statement: str) -> float:
    began = time.perf_counter()
    connection.execute(text(statement)).one()
    return time.perf_counter() - began


def _more(rules: int) -> str:
    return f" (and {rules} more)" if rules else ""


if __name__ == "__main__":
    main()
