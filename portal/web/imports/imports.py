"""Imports from a spreadsheet's file: upload, columns, dry run, and the import's page with its sending."""

from typing import Any, Final

from flask import Blueprint, Response, flash, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.exceptions import RequestEntityTooLarge
from wtforms import FileField, RadioField

from portal import access
from portal.domain import uploads
from portal.domain.identifiers import MAX_ID
from portal.errors import Fault, Invalid, Refused
from portal.models import Import
from portal.models.plans.imports import MAX_ROWS
from portal.reports.paging import Page
from portal.reports.plans import imports as reports
from portal.services import mail_limits
from portal.services.imports import imports, sending
from portal.services.imports.checking import MAX_FAULTS
from portal.services.imports.matching import FIELDS, of_json
from portal.web import rate_limits
from portal.web.authorization import my_actor, my_merchant, needs
from portal.web.forms import Form, apply_faults, choices
from portal.web.imports import match_form
from portal.web.imports.match_form import Column, MatchForm
from portal.web.lists.filters import ListQuery
from portal.web.lists.list_page import list_page
from portal.web.respond import fragments, go, is_htmx, page, vary_on_htmx
from portal.wording.lazy import lazy_gettext as _l
from portal.wording.refusals import fault_sentence, sentence
from portal.wording.refusals.drafts import draft_fault

bp = Blueprint("imports", __name__, url_prefix=uploads.PATH)

PAGE_LENGTH: Final = 30
DRAFTS_LENGTH: Final = 50
PREVIEWED: Final = 5
"""Lines of a file that the dry run shows as they are read."""
STATES: Final = {
    "unsent": _l("Not sent"),
    "queued": _l("On their way"),
    "tomorrow": _l("Wait until tomorrow"),
    "refused": _l("Not possible"),
}
"""By `portal.reports.plans.imports.DraftState`."""


class UploadForm(Form):
    kind = RadioField(
        _l("What is in the file"),
        choices=choices((("plans", _l("Plans with their customers")), ("customers", _l("Customers alone")))),
        default="plans",
        validate_choice=False,
    )
    file = FileField(_l("CSV file"))


@bp.url_value_preprocessor
def allow_file(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Before the body is read: an upload may be larger than a form."""
    if endpoint == "imports.create":
        request.max_content_length = uploads.BODY_BYTES


@bp.errorhandler(RequestEntityTooLarge)
@needs("create_plans")
def too_large(error: RequestEntityTooLarge) -> ResponseReturnValue:
    """The page of the upload says that the file is too big. Nothing of it was read."""
    form = UploadForm(formdata=None)
    form.file.errors = [fault_sentence(Fault("file", "file_too_big", limit=uploads.MAX_BYTES // 2**20))]
    return _upload_page(form, 413)


@bp.get("")
@needs("create_plans")
def index() -> ResponseReturnValue:
    """The imports of the business, newest first."""
    query, actor = ListQuery(), my_actor()
    progress: dict[int, reports.Progress] = {}

    def fetch() -> Page[Import]:
        listed = reports.list_imports(actor, limit=PAGE_LENGTH, cursor=query.cursor)
        progress.update(reports.progress_of([row.id for row in listed.items]))
        return listed

    return list_page(query, fetch, rows="imports", page="imports/index.html", merchant=my_merchant(), progress=progress)


@bp.get("/new")
@needs("create_plans")
def new() -> ResponseReturnValue:
    """The form that takes a file."""
    kind = request.args.get("kind", "")
    return _upload_page(UploadForm(kind=kind if kind in FIELDS else "plans"), 200)


@bp.post("")
@rate_limits.writing
@needs("create_plans")
def create() -> ResponseReturnValue:
    """Keep the file, and go on to its columns."""
    form, file = UploadForm(), request.files.get("file")
    content = file.stream.read() if file is not None else b""
    name = (file.filename if file is not None else None) or ""
    if form.validate():
        try:
            import_id = imports.upload(my_actor(), kind=form.kind.data or "", file_name=name, content=content)
        except Invalid as invalid:
            apply_faults(form, invalid)
        else:
            return go(url_for("imports.columns", import_id=import_id))
    return _upload_page(form, 422)


@bp.get("/<int:import_id>/columns")
@needs("create_plans")
def columns(import_id: int) -> ResponseReturnValue:
    """The columns of the file, each with what it holds."""
    row = access.my_import(my_actor(), import_id)
    if row.carried_out_at is not None:
        return go(url_for("imports.show", import_id=row.id))
    return _columns_page(row, match_form.stored_form(row), match_form.columns_of(imports.sheet_of(row), row), 200)


@bp.post("/<int:import_id>/columns")
@rate_limits.writing
@needs("create_plans")
def match(import_id: int) -> ResponseReturnValue:
    """Store what the columns hold, and go on to the dry run."""
    row = access.my_import(my_actor(), import_id)
    if row.carried_out_at is not None:
        return go(url_for("imports.show", import_id=row.id))
    form, sheet = MatchForm(), imports.sheet_of(row)
    shown = match_form.columns_of(sheet, row, match_form.chosen_columns(sheet))
    chosen = match_form.read(form, shown, row)
    if form.validate() and chosen is not None:
        try:
            imports.match(row.id, chosen, actor=my_actor())
        except Invalid as invalid:
            _apply_matching_faults(form, invalid)
        except Refused:
            return go(url_for("imports.show", import_id=import_id))
        else:
            return go(url_for("imports.check", import_id=import_id))
    return _columns_page(access.my_import(my_actor(), import_id), form, shown, 422)


@bp.get("/<int:import_id>/check")
@needs("create_plans")
def check(import_id: int) -> ResponseReturnValue:
    """The dry run: every fault by line and column, or what the import would make."""
    row = access.my_import(my_actor(), import_id)
    if row.carried_out_at is not None:
        return go(url_for("imports.show", import_id=row.id))
    return _check_page(row, 200)


@bp.post("/<int:import_id>/carry-out")
@rate_limits.writing
@needs("create_plans")
def carry_out(import_id: int) -> ResponseReturnValue:
    """Carry out the import, once, and show it."""
    row = access.my_import(my_actor(), import_id)
    try:
        imports.carry_out(row.id, actor=my_actor(), shown=request.form.get("shown", ""))
    except Refused as refused:
        return _check_page(access.my_import(my_actor(), import_id), refused.status, sentence(refused))
    return go(url_for("imports.show", import_id=import_id))


@bp.get("/<int:import_id>")
@needs("create_plans")
def show(import_id: int) -> ResponseReturnValue:
    """The import with its drafts, or the customers of its file."""
    actor, merchant = my_actor(), my_merchant()
    row = access.my_import(actor, import_id)
    if row.carried_out_at is None:
        return go(url_for("imports.columns", import_id=row.id))
    query = ListQuery()
    state = query.choice("state", reports.DRAFT_STATES)
    names: dict[int, str] = {}

    def fetch() -> Page[Any]:
        if row.kind == "customers":
            return reports.list_contacts(row.id, limit=DRAFTS_LENGTH, cursor=query.cursor)
        drafts = reports.list_drafts(row.id, state, limit=DRAFTS_LENGTH, cursor=query.cursor)
        names.update(reports.names_of(merchant.id, drafts.items))
        return drafts

    return list_page(
        query,
        fetch,
        rows="items",
        page="imports/show.html",
        names=names,
        states=STATES,
        draft_fault=draft_fault,
        **_far(row),
    )


@bp.get("/<int:import_id>/progress")
@needs("create_plans")
def progress(import_id: int) -> ResponseReturnValue:
    """How far the sending is: a fragment for htmx while plans are made, else the import's page."""
    row = access.my_import(my_actor(), import_id)
    far = _far(row)
    if not is_htmx() or not far["progress"].queued:
        return vary_on_htmx(go(url_for("imports.show", import_id=row.id)))
    return fragments(("imports/_progress.html", far))


def _far(row: Import) -> dict[str, Any]:
    merchant, far = my_merchant(), reports.progress_of([row.id])[row.id]
    left = mail_limits.invitations_left(merchant.id) if far.drafts else 0
    return {"row": row, "progress": far, "merchant": merchant, "invitations_left": left}


@bp.post("/<int:import_id>/send")
@rate_limits.writing
@needs("create_plans")
def send(import_id: int) -> ResponseReturnValue:
    """Send all drafts of the import, or the selected ones."""
    row = access.my_import(my_actor(), import_id)
    chosen = None if request.form.get("all") else _ids(request.form.getlist("draft"))
    if chosen is not None and not chosen:
        flash(_("Select at least one plan."), "warn")
    else:
        try:
            count = sending.send(row.id, actor=my_actor(), draft_ids=chosen)
        except Refused as refused:
            flash(sentence(refused), "warn")
        else:
            if count:
                told = ngettext(
                    "%(count)s plan is on its way.", "%(count)s plans are on their way.", count, count=f"{count:,}"
                )
                flash(told, "success")
            else:
                flash(_("They were sent before."), "info")
    return go(url_for("imports.show", import_id=import_id))


@bp.get("/<int:import_id>/discard")
@needs("create_plans")
def confirm_discard(import_id: int) -> ResponseReturnValue:
    """The confirmation of discarding."""
    row = access.my_import(my_actor(), import_id)
    return page("imports/discard.html", row=row, progress=reports.progress_of([row.id])[row.id])


@bp.post("/<int:import_id>/discard")
@rate_limits.writing
@needs("create_plans")
def discard(import_id: int) -> ResponseReturnValue:
    """Delete what the import has not made yet."""
    row = access.my_import(my_actor(), import_id)
    imports.discard(row.id, actor=my_actor())
    flash(_("The import is discarded."), "success")
    return go(url_for("imports.index"))


def _ids(typed: list[str]) -> list[int]:
    ids = [int(value) for value in typed[:DRAFTS_LENGTH] if value.isascii() and value.isdecimal()]
    return [draft_id for draft_id in ids if draft_id <= MAX_ID]


def _apply_matching_faults(form: MatchForm, invalid: Invalid) -> None:
    """Faults of missing columns name the field; the others stand beside their own field."""
    for fault in invalid.faults:
        if fault.code == "required":
            label = match_form.FIELD_LABELS[fault.field]  # type: ignore[index]
            form.form_errors.append(fault_sentence(Fault(fault.field, "required", about="column", label=label)))
        else:
            apply_faults(form, Invalid(fault))


def _upload_page(form: UploadForm, status: int) -> Response:
    limits = {"max_rows": MAX_ROWS, "max_megabytes": uploads.MAX_BYTES // 2**20}
    return page("imports/new.html", status, form=form, **limits)


def _columns_page(row: Import, form: MatchForm, shown: list[Column], status: int) -> Response:
    labels = {name: match_form.FIELD_LABELS[name] for name in FIELDS[row.kind]}
    return page("imports/columns.html", status, row=row, form=form, columns=shown, labels=labels)


def _check_page(row: Import, status: int, problem: str = "") -> Response:
    merchant, sheet = my_merchant(), imports.sheet_of(row)
    checked = imports.dry_run(row, my_actor(), merchant)
    wrong = {fault.line for fault in checked.faults}
    return page(
        "imports/check.html",
        status,
        row=row,
        checked=checked,
        merchant=merchant,
        sheet=sheet,
        problem=problem,
        shown=imports.digest(row),
        fault_sentence=fault_sentence,
        max_faults=MAX_FAULTS,
        first_lines=[line for line in checked.lines if line.number not in wrong][:PREVIEWED],
        matched=of_json(row.matching).columns,
    )
