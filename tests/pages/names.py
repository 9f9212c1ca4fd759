"""Names and texts of the tests' people, businesses and purchases. They stand on pages as they were typed."""

import re
from typing import Final

NAMES: Final = re.compile(r"\b(?:Amal|Omar|Sara|Noor|Layla|Yusuf|Badr)\b")
