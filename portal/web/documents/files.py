"""The response with a document, in the reader's language."""

from flask import Response

from portal.web.documents.sheet import PAPERS, Sheet
from portal.web.lists.filters import ListQuery
from portal.web.respond import confidential
from portal.wording.language import language, text_direction


def sheet(query: ListQuery) -> Sheet:
    """An empty sheet of `?paper=a4` (the default) or `?paper=letter`. Raises NotFound for an invalid address."""
    paper = query.choice("paper", PAPERS)
    query.require_valid()
    return Sheet(paper or "a4", rtl=text_direction() == "rtl")


def attachment(pages: Sheet, name: str, *, title: str, author: str) -> Response:
    """The file. `name` has no extension."""
    response = Response(pages.pdf(title=title, author=author, language=language()), mimetype="application/pdf")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.pdf"'
    return confidential(response)
