"""What training on a Space is made of: which class, its options, the label metric, and one way for each kind."""
