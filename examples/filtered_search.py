"""Search a Space by row and by filters on attributes, and read it with another tool."""

import tempfile

import numpy as np
import pandas as pd

from spaceform import Space
from spaceform.workflows.search import search

rng = np.random.default_rng(0)
kinds = np.array(["fruit", "tool", "animal"])[np.arange(300) % 3]
centres = {"fruit": (5, 0, 0, 0), "tool": (0, 5, 0, 0), "animal": (0, 0, 5, 0)}
vectors = np.array([centres[kind] for kind in kinds]) + rng.normal(size=(300, 4))
attributes = {"kind": kinds, "year": 1990 + np.arange(300) % 30, "price": rng.uniform(1, 9, size=300).round(2)}

space = Space.create(vectors, attributes=attributes, ids=[f"item-{i}" for i in range(300)], label="kind")
found = search(space, "item-0", where="kind != 'fruit' and year between 2000 and 2010", k=3)
for row in found.rows:
    print(row["rank"], row["id"], row["attributes"]["kind"], row["attributes"]["year"])

with tempfile.TemporaryDirectory() as folder:
    space.save(f"{folder}/space")
    table = pd.read_parquet(f"{folder}/space/rows.parquet", columns=["kind", "price"])
    print(table.groupby("kind")["price"].mean().round(1).to_dict())
