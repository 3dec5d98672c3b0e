"""Methods for classes that arrive over time, without memory of old rows."""
