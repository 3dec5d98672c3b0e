"""Pure, stateless primitives over arrays and tensors: one idea per file, no classes that remember anything."""
