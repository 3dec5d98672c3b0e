"""``python -m spaceform`` is the command line."""

import sys

from spaceform.cli.main import main

sys.exit(main())
