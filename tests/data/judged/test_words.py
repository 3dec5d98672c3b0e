"""Things that people like, and names."""

import pytest

from spaceform.data.judged.words import FIRST_NAMES, LAST_NAMES, PLAIN_NOUNS, people, wordnet_attributes
from spaceform.data.wordnet import load_nouns
from spaceform.errors import DataUnavailableError, InputError


def test_lists_have_no_word_twice():
    for words in (PLAIN_NOUNS, FIRST_NAMES, LAST_NAMES):
        assert len({word.lower() for word in words}) == len(words)
    assert len(PLAIN_NOUNS) > 200


def test_fifty_thousand_people_have_different_names():
    names = people(50_000, seed=1)
    assert len(set(names)) == 50_000
    assert people(10, seed=1) == names[:10] != people(10, seed=2)
    with pytest.raises(InputError, match="more names"):
        people(28, first=["A"], last=["B"])


@pytest.mark.network
def test_attributes_of_wordnet_have_no_kinds_of_each_other():
    try:
        words, nouns = wordnet_attributes(1850), load_nouns()
    except DataUnavailableError as error:
        pytest.skip(str(error))
    assert len(set(words)) == 1850
    assert all(word.isalpha() and word.islower() and 4 <= len(word) <= 9 for word in words)
    rows = {nouns.senses(word)[0] for word in words}
    assert len(rows) == 1850
    assert not rows & set(nouns.hypernyms[:, 1].tolist())
    assert wordnet_attributes(20, random_state=1) != words[:20]
    with pytest.raises(InputError, match="at most"):
        wordnet_attributes(100_000)
