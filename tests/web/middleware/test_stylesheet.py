"""Bundling the style sheet."""

from pathlib import Path

import pytest

from portal.web.middleware import stylesheet


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.css").write_text(text)
    return folder / "sheet.css"


def test_an_import_becomes_the_file_in_its_layer(tmp_path: Path) -> None:
    sheet = write(
        tmp_path,
        sheet='@layer base, components;\n@import "fonts.css";\n@import "card.css" layer(components);\n',
        fonts="@font-face {\n}\n",
        card=".card {\n}\n",
    )
    assert stylesheet.bundle(sheet) == (
        "@layer base, components;\n@font-face {\n}\n\n@layer components {\n.card {\n}\n}\n"
    )


@pytest.mark.parametrize("line", ["@import 'card.css';", '@import url("card.css");', '@import "card.css" screen;'])
def test_an_import_in_another_form_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError, match="@import"):
        stylesheet.bundle(write(tmp_path, sheet=line, card=""))


def test_an_import_inside_an_imported_file_is_refused(tmp_path: Path) -> None:
    sheet = write(tmp_path, sheet='@import "card.css";', card='@import "other.css";', other="")
    with pytest.raises(ValueError, match="@import"):
        stylesheet.bundle(sheet)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        stylesheet.bundle(write(tmp_path, sheet='@import "card.css";'))
