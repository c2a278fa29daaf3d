"""`outage completion`: what makes the shell complete commands, options, ids and checkers."""

from __future__ import annotations

import shlex

import click
from click.shell_completion import get_completion_class

from service_event_checker.cli.context import ROOT

_VARIABLE = "_OUTAGE_COMPLETE"
#: what click writes to call the program by its name on PATH, where ours need not be
_CALLS = {
    "bash": ("bash_complete $1", "bash_complete {program}"),
    "zsh": ("zsh_complete outage", "zsh_complete {program}"),
    "fish": ("COMP_CWORD=(commandline -t) outage", "COMP_CWORD=(commandline -t) {program}"),
}
_ONLY_ON_PATH = "    (( ! $+commands[outage] )) && return 1\n"  # zsh


@click.command()
@click.argument("shell", type=click.Choice(list(_CALLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: echo 'eval "$(/path/to/outage completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(/path/to/outage completion zsh)"' >> ~/.zshrc
    fish: /path/to/outage completion fish > ~/.config/fish/completions/outage.fish
    """
    made = get_completion_class(shell)
    if made is None:
        raise click.ClickException(f"click has no completion for {shell}")
    source = made(ctx.find_root().command, {}, "outage", _VARIABLE)
    # click's own check of bash's version would run bash; the text is the same for all that it supports.
    text = source.source_template % source.source_vars()
    call, ours = _CALLS[shell]
    program = shlex.quote(str(ROOT / "outage"))
    click.echo(text.replace(call, ours.format(program=program)).replace(_ONLY_ON_PATH, ""))
