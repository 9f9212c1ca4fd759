"""The form of a table of sentences."""

from collections.abc import Callable, Mapping
from typing import Any

from portal.wording.lazy import Lazy

Values = Mapping[str, Any]
"""The values of a sentence's placeholders: figures, names, Money."""
Sentence = Lazy | Callable[[Values], str]
"""A message with placeholders, or a function that chooses between messages: for plurals."""
Table = Mapping[tuple[str, str], Sentence]
"""By code and situation; "" is any other situation."""


def in_words(sentence: Sentence, values: Values) -> str:
    """The sentence in the reader's language."""
    return str(sentence % dict(values)) if isinstance(sentence, Lazy) else str(sentence(values))
