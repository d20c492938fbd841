"""What the pages tell people to type can be typed."""

from __future__ import annotations

import re
import shlex

import pytest
import typer.main

from spheredc_hpc.cli import build, verb_names

FENCE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def pages(project_root):
    return [project_root / "README.md", *sorted((project_root / "docs").glob("*.md"))]


def typed_commands(text: str) -> list[list[str]]:
    """Words of each `spheredc` line of the console examples."""
    blocks = [block.replace("\\\n", " ") for block in FENCE.findall(text)]
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    words = [shlex.split(re.split(r"[;>]", line)[0], comments=True) for line in lines]
    return [line[1:] for line in words if line[:1] == ["spheredc"]]


def complaint(application, words: list[str]) -> str:
    """Say what is wrong with the words after `spheredc`, nothing if all is well."""
    command = application
    while words and not words[0].startswith("-") and hasattr(command, "commands"):
        if words[0] not in command.commands:
            return f"unknown command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    known = {"--help"} | {option for param in command.params for option in param.opts}
    unknown = {word.partition("=")[0] for word in words if word.startswith("--")} - known
    return f"{command.name}: unknown {' '.join(sorted(unknown))}" if unknown else ""


@pytest.fixture(scope="module")
def application():
    return typer.main.get_command(build(verb_names()))


def test_examples_of_the_pages_name_commands_and_options_that_exist(project_root, application):
    wrong = [
        f"{page.name}: {found}"
        for page in pages(project_root)
        for words in typed_commands(page.read_text(encoding="utf-8"))
        if (found := complaint(application, words))
    ]
    assert wrong == []


@pytest.mark.parametrize("verb", verb_names())
def test_example_of_a_verb_names_its_own_options(application, verb):
    epilog = application.commands[verb].epilog
    words = shlex.split(epilog.removeprefix("Example: "))
    assert words[:2] == ["spheredc", verb]
    assert complaint(application, words[1:]) == ""


def test_every_local_link_of_the_readme_leads_somewhere(project_root):
    text = (project_root / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert links
    assert [link for link in links if not (project_root / link).exists()] == []
