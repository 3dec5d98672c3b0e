"""Things that people like, and names for the people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spaceform.checks import check_integer
from spaceform.data.wordnet import LEXICOGRAPHER_CLASSES, load_nouns
from spaceform.errors import InputError
from spaceform.rng import as_generator, derive_seed
from spaceform.types import Progress, RandomState, no_progress

_PLAIN_NOUNS = """
almonds anchors apples apricots armchairs atlases avocados axes badgers bagels balloons bananas banjos barley baskets
beavers beetles bells bicycles biscuits blankets bonnets bottles bridges broccoli brooms buckets butterflies cabbages
cactuses cakes camels candles canoes carpets carrots castles cellos chalk cheese cherries chess chimneys clarinets
clocks clouds cobwebs coconuts comets compasses cranes crayons crickets cucumbers curtains cushions daisies dolphins
donkeys doughnuts drums eagles easels eels elbows elephants envelopes falcons feathers fences ferries fiddles figs
flutes foxes frogs garlic geese ginger giraffes glaciers goats gondolas grapes guitars gulls hammers hamsters harps
hats hedgehogs helmets herons honey hornets horses igloos ink islands ivy jackets jam jigsaws jugglers kangaroos
kettles kites kiwis ladders lanterns lemons lentils leopards lighthouses lilacs limes lizards llamas lobsters magnets
mangoes maples marbles marmalade mirrors mittens moss moths mules mushrooms mustard needles nests noodles oars oboes
octopuses olives onions opera orchids otters owls oysters pancakes pandas parrots peaches pearls pelicans pencils
penguins peppers pianos pickles pigeons pillows pineapples planets plums ponies poppies porcupines potatoes puddings
puppets puzzles quilts quinces rabbits radishes rainbows raisins ravens ribbons rice riddles robins roses rubies
saddles sailboats salmon sandals scarves scissors scooters seahorses seashells sharks shovels skates sleds snails snow
sofas spiders spinach sponges spoons squirrels stamps statues swans tangerines tea tents thimbles thunder tigers toads
tomatoes trains trumpets tulips turtles umbrellas unicycles vases velvet violins volcanoes waffles walnuts walruses
waterfalls whales whistles willows windmills wolves wool yachts yoghurt zebras zithers
"""
PLAIN_NOUNS = tuple(_PLAIN_NOUNS.split())

_FIRST_NAMES = """
Ada Alan Alice Amir Anna Arjun Astrid Bela Ben Bruno Carla Carlos Chen Clara Dana David Diego Dora Edgar Elena Emil
Emma Erik Esther Fatima Felix Flora Frida Georg Grace Hana Hassan Helen Hugo Ida Igor Ines Ivan Jack Jana Jonas Julia
Kai Karim Kira Lars Laura Leo Lina Luca Maria Marta Max Mina Nadia Nils Nora Olga Omar Oscar Paula Peter Pia Rafael
Rita Robert Rosa Sam Sara Simon Sofia Stella Sven Tara Theo Tilda Tom Uma Vera Victor Viola Walter Yara Yusuf Zoe
"""
FIRST_NAMES = tuple(_FIRST_NAMES.split())

_LAST_NAMES = """
Abbott Adler Ahmed Almeida Andersen Arnold Bauer Becker Bell Berg Bianchi Brandt Brennan Carter Castro Chang Conti
Cruz Dahl Dietrich Dubois Eriksen Evans Farkas Ferrari Fischer Fontaine Garcia Gomez Graf Haas Hansen Hassani Hoffmann
Horvat Hughes Ibrahim Ivanov Jansen Jensen Johnson Kaplan Keller Khan Kim Klein Kowalski Kruger Lambert Larsen Lehmann
Lopez Marino Martin Meyer Miller Moreau Morgan Murphy Nagy Nakamura Nguyen Novak Olsen Ortiz Owens Park Patel Perez
Petrov Quinn Ramirez Reyes Ricci Rossi Roth Russo Santos Sato Schmidt Silva Singh Sokolov Suzuki Tanaka Taylor Torres
Turner Vargas Vogel Wagner Walsh Watson Weber Wilson Winkler Wright Yilmaz Young Zhang Ziegler Zimmermann
"""
LAST_NAMES = tuple(_LAST_NAMES.split())

_KINDS = ("noun.animal", "noun.artifact", "noun.food", "noun.plant")
_INITIALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def wordnet_attributes(
    count: int = 1850, *, random_state: RandomState = 0, progress: Progress = no_progress
) -> list[str]:
    """Return ``count`` nouns for animals, plants, food and things of which none is a kind of another.

    They are single lower-case words of 4 to 9 letters for concepts of WordNet 3.1 without anything below them, in that
    concept's most frequent reading, one word a concept, and no two differ by an s. Raises ``InputError`` for more than
    there are and ``DataUnavailableError``.
    """
    count = check_integer(count, "count", low=1)
    nouns = load_nouns(progress=progress)
    leaf = np.ones(len(nouns), dtype=bool)
    leaf[nouns.hypernyms[:, 1]] = False
    leaf[nouns.hypernyms[nouns.is_instance, 0]] = False
    kinds = [LEXICOGRAPHER_CLASSES.index(name) for name in _KINDS]
    found: dict[str, None] = {}
    for row in np.flatnonzero(leaf & np.isin(nouns.classes, kinds)).tolist():
        for word in nouns.lemmas[row]:
            plain = word.isascii() and word.isalpha() and word.islower() and 4 <= len(word) <= 9
            if plain and nouns.senses(word)[0] == row and not {word, word + "s", word.removesuffix("s")} & found.keys():
                found[word] = None
                break
    if count > len(found):
        raise InputError("count", got=count, expected=f"at most {len(found):,}")
    order = as_generator(random_state).permutation(len(found))[:count]
    words = list(found)
    return [words[place] for place in order.tolist()]


def people(
    count: int, *, seed: int = 0, first: Sequence[str] = FIRST_NAMES, last: Sequence[str] = LAST_NAMES
) -> list[str]:
    """Return ``count`` different names, "First Last"; beyond all pairs with an initial between.

    Raises ``InputError`` when even those are too few.
    """
    count = check_integer(count, "count", low=1)
    pairs = len(first) * len(last)
    if count > pairs * (1 + len(_INITIALS)):
        raise InputError("count", got=count, expected=f"at most {pairs * (1 + len(_INITIALS)):,}", remedy="more names")
    names = [f"{a} {b}" for a in first for b in last]
    order = np.random.default_rng(derive_seed(seed, "people")).permutation(pairs).tolist()
    made = [names[place] for place in order[:count]]
    for initial in _INITIALS:
        if len(made) == count:
            break
        wider = [names[place].replace(" ", f" {initial}. ", 1) for place in order]
        made += wider[: count - len(made)]
    return made
