"""What the scripts beside this directory share."""

import sys

if sys.version_info < (3, 9):
    raise SystemExit("benches/peers needs Python 3.9 or newer")
