"""`python -m hatch_attest`: the command, where its script is not on the path."""

import sys

from hatch_attest.cli import main

sys.exit(main())
