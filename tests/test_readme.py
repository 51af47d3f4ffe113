"""The README: short, with generated tables that are those of the scores that are kept, and commands that exist."""

import json
import re

import pytest

from restoration.__main__ import main
from train import benchmarks, tables

TEXT = tables.README.read_text()


def test_the_first_screen_is_a_sentence_a_picture_two_commands_and_three_lines():
    first = TEXT.split("# Image restoration\n")[1].split("\n## ")[0]
    assert len(re.findall(r"^!\[", first, re.MULTILINE)) == 1
    blocks = re.findall(r"```(\w+)\n(.*?)```", first, re.DOTALL)
    assert [(language, sum(map(bool, code.splitlines()))) for language, code in blocks] == [
        ("bash", 1), ("bash", 1), ("python", 3),
    ]  # fmt: skip


def test_it_is_read_in_ten_minutes():
    assert len(TEXT.split()) < 2600


@pytest.mark.parametrize(
    ("file", "what", "make"),
    [
        (tables.README, "scores", tables.overview),
        *(
            (tables.ALL_TABLES, f"{task} scores", lambda scores, task=task: tables.content(scores, task))
            for task in benchmarks.every()
        ),
    ],
)
def test_tables_are_those_of_the_scores(file, what, make):
    shown = file.read_text().split(f"<!-- {what}: written by train.evaluate -->")[1].split(f"<!-- end of {what} -->")[0]
    assert shown.strip() == make(json.loads(tables.SCORES.read_text()))


def test_its_commands_are_understood(capsys):
    commands = re.findall(r"^python -m restoration (\w+)", TEXT, re.MULTILINE)
    assert len(set(commands)) >= 6
    for command in set(commands):
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
