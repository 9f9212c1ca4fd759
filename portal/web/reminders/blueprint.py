"""The blueprint that the modules of this folder add their views to."""

from flask import Blueprint

bp = Blueprint("reminders", __name__)
