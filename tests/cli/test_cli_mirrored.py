"""Options made from fields: of a pydantic model and of a dataclass alike."""

import argparse
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from llmtl.cli.mirrored import add_mirrored, read_mirrored
from llmtl.errors import RecipeError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Section(BaseModel):
    most_steps: int = Field(default=3, ge=1, le=9, description="Steps, of which 5% are skipped.")
    share: float | None = Field(default=None, gt=0, description="The share of it.")
    colour: Colour = Field(default=Colour.RED, description="Its colour.")
    name: str = Field(min_length=1, description="What it is called.")
    fast: bool = Field(default=False, description="Hurry.")


@dataclass(frozen=True)
class Plain:
    most_steps: Annotated[int, Field(ge=1, le=9, description="Steps, of which 5% are skipped.")] = 3
    share: Annotated[float | None, Field(gt=0, description="The share of it.")] = None
    colour: Annotated[Colour, Field(description="Its colour.")] = Colour.RED
    name: Annotated[str, Field(min_length=1, description="What it is called.")] = "x"
    fast: Annotated[bool, Field(description="Hurry.")] = False


NAMES = ("most_steps", "share", "colour", "name", "fast")
BOTH = pytest.mark.parametrize("section", [Section, Plain])


def parser_of(section: type) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="p")
    for name in NAMES:
        add_mirrored(parser, section, name)
    return parser


@BOTH
def test_help_gives_description_bounds_and_default(section: type):
    shown = " ".join(parser_of(section).format_help().split())
    assert "--most-steps N steps, of which 5% are skipped (1 to 9, default: 3)" in shown
    assert "--share N the share of it (above 0)" in shown
    assert "--colour {red,blue} its colour (default: red)" in shown
    assert "--name NAME what it is called" in shown
    assert "--fast hurry" in shown


@BOTH
def test_values_are_read_by_the_section_and_the_others_stay_at_their_defaults(section: type):
    read = read_mirrored(
        parser_of(section).parse_args(["--most-steps", "4", "--name", "n", "--colour", "blue", "--fast"]),
        section,
        NAMES,
    )
    assert (read.most_steps, read.share, read.colour, read.name, read.fast) == (4, None, Colour.BLUE, "n", True)
    assert isinstance(read, section)


@BOTH
def test_all_problems_are_told_in_one_line(section: type):
    options = parser_of(section).parse_args(["--most-steps", "10", "--share", "half", "--name", ""])
    with pytest.raises(RecipeError, match="The command line has 3 problems") as caught:
        read_mirrored(options, section, NAMES)
    assert "'most_steps': input should be less than or equal to 9, got '10'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_flag_and_metavar():
    parser = argparse.ArgumentParser(prog="p")
    add_mirrored(parser, Section, "name", flag="--model", metavar="M")
    assert parser.parse_args(["--model", "x"]).model == "x"
    assert "--model M" in parser.format_help()
