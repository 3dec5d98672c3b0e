"""Small networks and encoders that the methods train or load."""
