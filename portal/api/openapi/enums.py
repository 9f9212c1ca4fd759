"""The names of the document's enums. A set of values has one name wherever it stands."""

from typing import Any, Final, get_args

from portal.api.schemas.timeline import By
from portal.domain.chart import Account, AccountType, EntryKind
from portal.domain.events import Cause, DisputeOutcome, EventType, ObjectType
from portal.domain.permissions import Hat, Role, Standing
from portal.domain.rescheduling import Change
from portal.domain.schedule import Interval, PlanInterval
from portal.models.notices import NOTICES
from portal.models.payments.payments import PaymentState, RecordedMethod
from portal.models.payments.refunds import RefundState
from portal.models.plans.installments import InstallmentStatus
from portal.models.plans.invitations import LinkKind
from portal.models.plans.plans import ClosedBy, PlanStatus
from portal.models.webhooks import DeliveryState, DisabledFor
from portal.reports.books.journal import Way
from portal.reports.merchants.filters import Show
from portal.reports.plans.proposals import State as ProposalState
from portal.services.dues.shop_payments import Outcome

Json = dict[str, Any]

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "AccountType": get_args(AccountType),
    "ClosedBy": get_args(ClosedBy),
    "CreditWay": ("last", "spread"),
    "CustomerShow": get_args(Show),
    "DeliveryState": get_args(DeliveryState),
    "DisabledFor": get_args(DisabledFor),
    "DisputeOutcome": get_args(DisputeOutcome),
    "EntryKind": get_args(EntryKind),
    "Notice": NOTICES,
    "EventObjectType": get_args(ObjectType),
    "EventType": get_args(EventType),
    "FaultPlace": ("query", "header"),
    "Flag": ("true", "false"),
    "Hat": get_args(Hat),
    "IncludeInstallments": ("replaced", "total", "replaced,total", "total,replaced"),
    "IncludeTotal": ("total",),
    "InstallmentSort": ("due_date", "-due_date"),
    "InstallmentStatus": get_args(InstallmentStatus),
    "Interval": get_args(Interval),
    "LedgerAccount": get_args(Account),
    "LinkKind": get_args(LinkKind),
    "MoneyWay": get_args(Way),
    "PayChoice": ("due", "all", "amount"),
    "PaymentState": get_args(PaymentState),
    "PlanInterval": get_args(PlanInterval),
    "PlanStatus": get_args(PlanStatus),
    "ProposalState": get_args(ProposalState),
    "RecordedMethod": get_args(RecordedMethod),
    "RefundState": get_args(RefundState),
    "RegistrationRole": ("merchant", "customer"),
    "RescheduleWay": get_args(Change),
    "ShopPayOutcome": get_args(Outcome),
    "Sort": ("-id", "id"),
    "Standing": get_args(Standing),
    "SystemCause": get_args(Cause),
    "TeamRole": get_args(Role),
    "TimelineActor": get_args(By),
}
_BY_VALUES: Final = {frozenset(values): name for name, values in NAMES.items()}


def name_enums(document: Json) -> None:
    """Replace each enum of the document by a reference to its named schema. Raises KeyError for one without a name."""
    used: set[str] = set()
    _replace(document["paths"], used)
    _replace(document["components"]["schemas"], used)
    for name in used:
        document["components"]["schemas"][name] = {"type": "string", "enum": list(NAMES[name]), "title": name}


def _replace(part: Any, used: set[str]) -> None:
    if isinstance(part, list):
        for each in part:
            _replace(each, used)
    elif isinstance(part, dict):
        if isinstance(part.get("enum"), list):
            name = _BY_VALUES[frozenset(part.pop("enum"))]
            used.add(name)
            for key in ("type", "maxLength"):
                part.pop(key, None)
            part["$ref"] = f"#/components/schemas/{name}"
        for key, each in part.items():
            if key not in ("example", "examples", "default"):
                _replace(each, used)
