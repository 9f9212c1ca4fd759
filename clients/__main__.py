"""`python -m clients` writes the generated files of the clients from the OpenAPI document. It needs no database.

`python -m clients document` prints the document, for programs that check it.
"""

import sys

from clients.generator import files
from portal.api.openapi import document

if sys.argv[1:] == ["document"]:
    sys.stdout.buffer.write(document.encode(files.describe()))
else:
    print("\n".join(files.write()))
