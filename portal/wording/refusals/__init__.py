"""The sentences of refusals and faults, by code and situation, in the reader's language."""

from portal.errors import Fault, Invalid, QistError
from portal.wording.refusals.faults import FAULTS, FOR_PROGRAMS
from portal.wording.refusals.refused import REFUSALS
from portal.wording.refusals.sentences import Table, Values, in_words


def sentence(refused: QistError, *, for_programs: bool = False) -> str:
    """The refusal in a sentence for the person who sent the request. For Invalid, its first fault's."""
    if isinstance(refused, Invalid):
        return fault_sentence(refused.faults[0], for_programs=for_programs)
    return _worded(REFUSALS, refused.code, refused.about, {**refused.facts, "limit": refused.limit})


def fault_sentence(fault: Fault, *, for_programs: bool = False) -> str:
    """The fault in a sentence for the person who filled in the field, or for a program, which has no page's list."""
    table = FOR_PROGRAMS if for_programs and _has(FOR_PROGRAMS, fault) else FAULTS
    return _worded(table, fault.code, fault.about, fault.facts)


def _has(table: Table, fault: Fault) -> bool:
    return (fault.code, fault.about) in table or (fault.code, "") in table


def _worded(table: Table, code: str, about: str, values: Values) -> str:
    """The sentence of this situation, or else of the code. Raises KeyError when there is neither."""
    return in_words(table[code, about] if (code, about) in table else table[code, ""], values)
