"""`gateway completion SHELL`: a script by which a shell completes this program's commands, options and files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import shtab

from gateway.cli.main import COMMANDS, parser

_SHELLS = ("bash", "zsh", "fish")

#: Where each shell looks for what it completes by.
_PLACES = """\
to have it in every shell from the next one on:
  bash  gateway completion bash > ~/.local/share/bash-completion/completions/gateway
  zsh   gateway completion zsh > DIRECTORY/_gateway, of a directory in $fpath
  fish  gateway completion fish > ~/.config/fish/completions/gateway.fish
in this shell alone, bash: source <(gateway completion bash)"""


def add(command: argparse.ArgumentParser) -> None:
    """Register the arguments."""
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = _PLACES
    command.add_argument("shell", choices=_SHELLS, help="whose script")


def main(args: argparse.Namespace) -> int:
    """Print it: it knows the commands of the version that has made it."""
    whole = parser(COMMANDS)
    for action in _actions(whole):
        if action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab's way of being told
    print(shtab.complete(whole, args.shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way of saying what a parser takes
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for inner in action.choices.values():
                yield from _actions(inner)
