"""What is installed: every package pinned for a Space, and bounds for other projects."""

import sys

import pytest
from packaging.utils import canonicalize_name

from train.requirements import ROOT, declared, installed, project

PINS = dict(line.split("==") for line in (ROOT / "requirements.txt").read_text().splitlines())


def test_every_package_is_pinned_to_what_the_tests_run_on():
    here = installed()
    assert {name: PINS.get(name) for name in here} == here, "python -m train.requirements brings it up to date"
    if sys.version_info[:2] == (3, 11):  # another Python may need fewer
        assert PINS.keys() == here.keys()


@pytest.mark.parametrize("extra", declared())
def test_bounds_are_above_and_below_and_hold_the_pins(extra):
    for wanted in declared()[extra]:
        if wanted.name == project()["name"]:
            continue
        operators = {bound.operator for bound in wanted.specifier}
        assert operators == {"=="} or operators == {">=", "<"}, f"{wanted} has bounds on one side only"
        if pin := PINS.get(canonicalize_name(wanted.name)):
            assert wanted.specifier.contains(pin), f"{wanted} does not allow {pin}"
