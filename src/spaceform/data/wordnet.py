"""WordNet nouns: concepts with their words, a gloss, and the tree of what is a kind of what."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spaceform.checks import check_choice, check_integer
from spaceform.data.dataset import Dataset
from spaceform.data.fetching.archives import read_members
from spaceform.data.fetching.cache import Arrays, remembered
from spaceform.data.registry import fetch, package
from spaceform.types import IntArray, Progress, no_progress

_RECIPE = 1
_PACKAGES = {"3.1": "wordnet31", "3.0": "wordnet30"}

# Lexicographer files 03 to 28, the nouns, in their order: lexnames(5WN).
_FIRST_FILE = 3
# fmt: off
LEXICOGRAPHER_CLASSES = (
    "noun.Tops", "noun.act", "noun.animal", "noun.artifact", "noun.attribute", "noun.body", "noun.cognition",
    "noun.communication", "noun.event", "noun.feeling", "noun.food", "noun.group", "noun.location",
    "noun.motive", "noun.object", "noun.person", "noun.phenomenon", "noun.plant", "noun.possession",
    "noun.process", "noun.quantity", "noun.relation", "noun.shape", "noun.state", "noun.substance",
    "noun.time",
)
ALL_LEXICOGRAPHER_CLASSES = (
    "adj.all", "adj.pert", "adv.all", *LEXICOGRAPHER_CLASSES, "verb.body", "verb.change", "verb.cognition",
    "verb.communication", "verb.competition", "verb.consumption", "verb.contact", "verb.creation", "verb.emotion",
    "verb.motion", "verb.perception", "verb.possession", "verb.social", "verb.stative", "verb.weather", "adj.ppl",
)
# fmt: on

_MARKER = re.compile(r"\((a|p|ip)\)$")
"""Where an adjective may stand, as "(p)" behind its lemma: wninput(5WN)."""


@dataclass(frozen=True, eq=False)
class WordNet:
    """The noun synsets of one release, in the order of its file; everywhere a synset is its row number.

    ``ids`` as in "n01440764" (n and the eight-digit offset; those of 3.0 are ImageNet's), ``lemmas`` the words of each
    (spaces, not underscores), ``glosses``, ``classes`` (n,) int64 into ``LEXICOGRAPHER_CLASSES``.
    ``hypernyms`` (m, 2) int64 rows (synset, more general synset), ``is_instance`` (m,) bool marks those that say
    "is an instance of" (Bach, a composer). ``parents`` (n,) int64: the first hypernym in the file, -1 at a root; for
    an instance its first class. Following parents ends at a root from every synset.
    """

    version: str
    ids: Sequence[str]
    lemmas: Sequence[tuple[str, ...]]
    glosses: Sequence[str]
    classes: IntArray
    parents: IntArray
    hypernyms: IntArray
    is_instance: np.ndarray
    _words: Sequence[str]
    _senses: Sequence[str]

    def __len__(self) -> int:
        """Return the number of synsets."""
        return len(self.ids)

    def senses(self, word: str) -> list[int]:
        """Return the synsets of a word, most frequent sense first; empty when it is no noun here. O(log words)."""
        plain = word.strip().lower().replace(" ", "_")
        at = bisect_left(self._words, plain)  # not NumPy, which would copy the whole list at every call
        if at == len(self._words) or self._words[at] != plain:
            return []
        return [int(number) for number in self._senses[at].split()]

    def below(self, root: int) -> IntArray:
        """Return ``root`` and every synset whose chain of parents meets it, ascending. O(n * depth / 2)."""
        root = check_integer(root, "root", low=0, high=len(self) - 1)
        inside = np.zeros(len(self) + 1, dtype=bool)  # the last place stands for the parent of a root
        inside[root] = True
        while True:
            grown = inside[self.parents]
            grown[root] = True
            if np.array_equal(grown, inside[:-1]):
                return np.flatnonzero(grown)
            inside[:-1] = grown

    def texts(self) -> list[str]:
        """Return "word, word: gloss" for each synset: what a text model reads."""
        return [f"{', '.join(words)}: {gloss}" for words, gloss in zip(self.lemmas, self.glosses, strict=True)]


def load_nouns(version: str = "3.1", *, progress: Progress = no_progress) -> WordNet:
    """Return the 82,192 noun synsets of WordNet 3.1, or the 82,115 of 3.0 (whose offsets ImageNet uses).

    3.1 comes from an npm package, 3.0 from a Debian one. Raises ``InputError`` for another version and
    ``DataUnavailableError``. Parsing takes some seconds once, loading 0.4 s; O(n) memory, 60 MB.
    """
    version = check_choice(version, "version", list(_PACKAGES))
    source = package(_PACKAGES[version])

    def build() -> Arrays:
        progress("read WordNet", 0, 1)
        found = {
            name.rpartition("/")[2]: content.decode("utf-8", errors="replace")
            for name, content in read_members(
                fetch(source, progress), lambda name: name.endswith(("/data.noun", "/index.noun"))
            )
        }
        arrays = _parse(found["data.noun"], found["index.noun"])
        progress("read WordNet", 1, 1)
        return arrays

    arrays = remembered(f"wordnet-{version}", {"recipe": _RECIPE, "source": source.sha256}, build)
    return WordNet(
        version,
        ids=_split(arrays["ids"]),
        lemmas=[tuple(line.split("\t")) for line in _split(arrays["lemmas"])],
        glosses=_split(arrays["glosses"]),
        classes=arrays["classes"],
        parents=arrays["parents"],
        hypernyms=arrays["hypernyms"],
        is_instance=arrays["is_instance"],
        _words=_split(arrays["words"]),
        _senses=_split(arrays["senses"]),
    )


def load_wordnet(*, version: str = "3.1", progress: Progress = no_progress) -> Dataset:
    """Return the nouns as texts: X (82192,) object of "word, word: gloss"; y = one of 26 lexicographer classes.

    Attributes ``id``, ``lemma`` (the first word), ``gloss`` and ``parent`` (row of the first hypernym, -1 at a root).
    ``load_nouns`` gives the graph. Raises as ``load_nouns``.
    """
    nouns = load_nouns(version, progress=progress)
    source = package(_PACKAGES[version])
    attributes: dict[str, Sequence | np.ndarray] = {
        "id": nouns.ids,
        "lemma": [words[0] for words in nouns.lemmas],
        "gloss": nouns.glosses,
        "parent": nouns.parents,
    }
    texts = np.array(nouns.texts(), dtype=object)
    return Dataset(
        "wordnet", texts, nouns.classes, list(LEXICOGRAPHER_CLASSES), attributes, source.licence, source.title
    )


def load_glosses(*, progress: Progress = no_progress) -> Dataset:
    """Return all 117,791 synsets of WordNet 3.1: X (n,) object of "word, word: gloss"; y = one of 45 classes.

    Classes are the lexicographer files ("noun.animal", "verb.motion", "adj.all", ...). Attributes: ``part_of_speech``
    ("noun", "verb", "adj", "adv"), ``n_words``, ``n_pointers``, ``length`` of the gloss in characters (int64) and
    ``words``, a tuple of the words of the lemmas. Parsing takes some seconds; O(n) memory. Raises as ``load_nouns``.
    """
    source = package(_PACKAGES["3.1"])
    parts = ("noun", "verb", "adj", "adv")
    found = dict(read_members(fetch(source, progress), lambda name: name.endswith(tuple(f"/data.{p}" for p in parts))))
    texts, classes = [], []
    columns: dict[str, list] = {name: [] for name in ("part_of_speech", "n_words", "n_pointers", "length")}
    words: list[tuple[str, ...]] = []
    for part in parts:
        content = next(content for name, content in found.items() if name.endswith(f"/data.{part}"))
        for line in content.decode("utf-8", errors="replace").splitlines():
            if line.startswith(" "):
                continue
            head, _, gloss = line.partition(" | ")
            field = head.split()
            at = 4 + 2 * int(field[3], 16)
            lemmas = [_MARKER.sub("", word).replace("_", " ") for word in field[4:at:2]]
            texts.append(f"{', '.join(lemmas)}: {gloss.strip()}")
            classes.append(int(field[1]))
            words.append(tuple(dict.fromkeys(" ".join(lemmas).lower().split())))
            for name, value in zip(columns, (part, len(lemmas), int(field[at]), len(gloss.strip())), strict=True):
                columns[name].append(value)
    numbers = {name: np.array(values, dtype=np.int64) for name, values in columns.items() if name != "part_of_speech"}
    return Dataset(
        "wordnet-glosses",
        np.array(texts, dtype=object),
        np.array(classes, dtype=np.int64),
        list(ALL_LEXICOGRAPHER_CLASSES),
        {"part_of_speech": columns["part_of_speech"], **numbers, "words": words},
        source.licence,
        source.title,
    )


def _parse(data: str, index: str) -> Arrays:
    """Read data.noun and index.noun as wndb(5WN) describes them; their licence lines start with spaces."""
    ids, lemmas, glosses, classes, pointers = [], [], [], [], []
    for line in data.splitlines():
        if line.startswith(" "):
            continue
        head, _, gloss = line.partition(" | ")
        field = head.split()
        n_words = int(field[3], 16)
        at = 4 + 2 * n_words
        ids.append(field[0])
        classes.append(int(field[1]) - _FIRST_FILE)
        lemmas.append("\t".join(word.replace("_", " ") for word in field[4:at:2]))
        glosses.append(gloss.strip())
        pointers.append(
            [
                (field[place], field[place + 1])
                for place in range(at + 1, at + 1 + 4 * int(field[at]), 4)
                if field[place] in {"@", "@i"} and field[place + 2] == "n"
            ]
        )
    row = {offset: number for number, offset in enumerate(ids)}
    edges = [(number, row[target], kind == "@i") for number, targets in enumerate(pointers) for kind, target in targets]
    words, senses = _parse_index(index, row)
    return {
        "ids": _joined([f"n{offset}" for offset in ids]),
        "lemmas": _joined(lemmas),
        "glosses": _joined(glosses),
        "classes": np.array(classes, dtype=np.int64),
        "parents": np.array([row[targets[0][1]] if targets else -1 for targets in pointers], dtype=np.int64),
        "hypernyms": np.array([edge[:2] for edge in edges], dtype=np.int64),
        "is_instance": np.array([edge[2] for edge in edges], dtype=bool),
        "words": _joined(words),
        "senses": _joined(senses),
    }


def _parse_index(index: str, row: dict[str, int]) -> tuple[list[str], list[str]]:
    senses = {}
    for line in index.splitlines():
        if not line.startswith(" "):
            field = line.split()
            senses[field[0]] = " ".join(str(row[offset]) for offset in field[-int(field[2]) :])
    words = sorted(senses)
    return words, [senses[word] for word in words]


def _joined(lines: Sequence[str]) -> np.ndarray:
    # One blob of text: an array of fixed-width strings would be as wide as the longest gloss, hundreds of megabytes.
    return np.frombuffer("\n".join(lines).encode(), dtype=np.uint8)


def _split(blob: np.ndarray) -> list[str]:
    return blob.tobytes().decode().split("\n")
