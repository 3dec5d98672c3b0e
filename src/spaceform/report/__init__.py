"""Tables, plots and pages, made from the plain results of workflows and claims; nothing is computed twice here."""
