"""Values that a statement gets when it runs. With them a statement is made once, and its text and key are kept."""

from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, BindParameter, DateTime, Integer, Text, bindparam

from portal.domain import clock

MERCHANT: Final[BindParameter[int]] = bindparam("merchant_id", type_=BigInteger)
CUSTOMER: Final[BindParameter[int]] = bindparam("customer_id", type_=BigInteger)
PLAN: Final[BindParameter[int]] = bindparam("plan_id", type_=BigInteger)
NOW: Final[BindParameter[datetime]] = bindparam("now", type_=DateTime(timezone=True))
LIMIT: Final[BindParameter[int]] = bindparam("limit", type_=Integer)
KEY: Final[BindParameter[str]] = bindparam("key", type_=Text)
PRESENT: Final[BindParameter[datetime]] = bindparam("present", callable_=clock.now, type_=NOW.type)
"""The instant of the execution, which a statement takes by itself."""
