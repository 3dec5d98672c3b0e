"""WordNet's files are parsed as wndb(5WN) describes them; the tree holds together."""

import numpy as np
import pytest

from spaceform import data
from spaceform.data.wordnet import LEXICOGRAPHER_CLASSES
from spaceform.errors import InputError

LICENCE = "  1 This software and database is being provided to you\n"
DATA = (
    LICENCE
    + "00000010 03 n 01 entity 0 001 ~ 00000020 n 0000 | all there is  \n"
    + "00000020 05 n 02 animal 0 living_thing 1 003 @ 00000010 n 0000 ~ 00000030 n 0000 + 00000001 v 0101 "
    + "| it moves | fast\n"
    + "00000030 05 n 01 dog 0 002 @ 00000020 n 0000 @ 00000010 n 0000 | it barks\n"
    + "00000040 18 n 01 Laika 0 001 @i 00000030 n 0000 | flew\n"
    + "00000050 21 n 01 tax 0 001 @ 00000010 n 0000 | a due\n"
)
INDEX = (
    LICENCE
    + "animal n 1 2 @ ~ 1 1 00000020  \n"
    + "dog n 2 1 @ 2 1 00000050 00000030  \n"
    + "living_thing n 1 0 1 0 00000020  \n"
)


@pytest.fixture
def nouns(place, pack):
    files = {"package/dict/data.noun": DATA.encode(), "package/dict/index.noun": INDEX.encode()}
    place("wordnet31", pack.tgz({**files, "package/dict/data.verb": b"x"}))
    return data.wordnet.load_nouns()


def test_synsets_have_words_gloss_class_and_parents(nouns):
    assert len(nouns) == 5
    assert nouns.ids[1] == "n00000020"
    assert nouns.lemmas[1] == ("animal", "living thing")
    assert nouns.glosses[1] == "it moves | fast"
    assert [LEXICOGRAPHER_CLASSES[code] for code in nouns.classes] == [
        "noun.Tops", "noun.animal", "noun.animal", "noun.person", "noun.possession",
    ]  # fmt: skip
    assert nouns.parents.tolist() == [-1, 0, 1, 2, 0]
    assert nouns.hypernyms.tolist() == [[1, 0], [2, 1], [2, 0], [3, 2], [4, 0]]
    assert nouns.is_instance.tolist() == [False, False, False, True, False]
    assert nouns.texts()[1] == "animal, living thing: it moves | fast"


def test_senses_come_in_their_order_in_any_spelling(nouns):
    assert nouns.senses("dog") == [4, 2]
    assert nouns.senses(" Living Thing ") == [1]
    assert nouns.senses("unheard") == []
    assert nouns.senses("zzz") == []


def test_what_is_below_follows_first_parents(nouns):
    assert nouns.below(1).tolist() == [1, 2, 3]
    assert nouns.below(0).tolist() == [0, 1, 2, 3, 4]
    assert nouns.below(4).tolist() == [4]
    with pytest.raises(InputError, match="root"):
        nouns.below(5)


@pytest.mark.usefixtures("nouns")
def test_as_a_data_set_it_is_texts_with_the_tree_beside():
    found = data.load("wordnet")
    assert found.X[0] == "entity: all there is"
    assert found.classes[found.y[3]] == "noun.person"
    assert found.attributes["parent"].tolist() == [-1, 0, 1, 2, 0]
    assert found.attributes["lemma"][3] == "Laika"


def test_the_older_release_comes_from_its_own_package(place, pack):
    files = {"usr/share/wordnet/data.noun": DATA.encode(), "usr/share/wordnet/index.noun": INDEX.encode()}
    place("wordnet30", pack.deb(files))
    older = data.wordnet.load_nouns("3.0")
    assert (older.version, len(older)) == ("3.0", 5)
    np.testing.assert_array_equal(older.parents, [-1, 0, 1, 2, 0])


def test_the_classes_are_the_26_noun_files():
    assert len(LEXICOGRAPHER_CLASSES) == len(set(LEXICOGRAPHER_CLASSES)) == 26


def test_glosses_of_all_parts_of_speech_with_their_attributes(place, pack):
    lines = {
        "noun": "00000030 05 n 02 dog 0 living_thing 1 001 @ 00000020 n 0000 | it barks  ",
        "verb": "00000010 29 v 01 breathe 0 000 01 + 02 00 | take in air",
        "adj": "00000010 00 a 01 able(p) 0 000 | having means",
        "adv": "00000010 02 r 01 well 0 000 | in a good way",
    }
    place(
        "wordnet31", pack.tgz({f"package/dict/data.{p}": (LICENCE + line + "\n").encode() for p, line in lines.items()})
    )
    found = data.load("wordnet-glosses")
    assert found.X.tolist()[0] == "dog, living thing: it barks"
    assert found.X.tolist()[2] == "able: having means"
    assert [found.classes[label] for label in found.y] == ["noun.animal", "verb.body", "adj.all", "adv.all"]
    assert len(found.classes) == 45
    assert found.attributes["part_of_speech"] == ["noun", "verb", "adj", "adv"]
    assert found.attributes["words"][0] == ("dog", "living", "thing")
    assert found.attributes["n_words"].tolist() == [2, 1, 1, 1]
    assert found.attributes["n_pointers"].tolist() == [1, 0, 0, 0]
    assert found.attributes["length"].tolist() == [8, 11, 12, 13]
