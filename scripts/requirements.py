"""Prints what the installed package asks for: `runtime` for what it needs itself, or the names of its extras."""

import re
import sys
from importlib.metadata import requires

for line in requires("csc-api-pipeline") or []:
    requirement, _, condition = line.partition(";")
    extra = re.search(r"""extra == ["']([\w-]+)["']""", condition)
    if (extra[1] if extra else "runtime") in sys.argv[1:]:
        marker = re.sub(r"""(\s+and\s+)?extra == ["'][\w-]+["']""", "", condition).strip()
        print(f"{requirement.strip()} ; {marker}" if marker else requirement.strip())
