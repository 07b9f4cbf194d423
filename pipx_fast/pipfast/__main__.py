"""``python -m pipfast`` and the command ``pipfast``."""

import os
import sys

# Before any other import, as pip does it: with -m, the current folder is not to be trusted.
if __name__ == "__main__" and sys.path and sys.path[0] in ("", os.getcwd()):
    sys.path.pop(0)

from pipfast.launch import main

if __name__ == "__main__":
    sys.exit(main())
