"""The demo shows commands as a person would type them, and they mean the same to a shell."""

import shlex

import pytest

import demo


@pytest.mark.parametrize(
    "argument", ["space", "cat face", "category = 'Animals & Nature'", 'it\'s "quoted"', "$HOME's"]
)
def test_a_command_can_be_copied_from_the_screen(argument):
    assert shlex.split(demo.quoted(argument)) == [argument]


def test_texts_with_single_quotes_stay_readable():
    assert demo.quoted("a = 'b'") == '''"a = 'b'"'''


def test_the_verbs_are_verbs():
    from spaceform.cli.main import verbs

    assert {verb[0] for verb in demo.VERBS} <= set(verbs())
