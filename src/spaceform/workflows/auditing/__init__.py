"""The parts of an audit; the verb itself is :mod:`spaceform.workflows.audit`."""
