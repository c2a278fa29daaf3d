"""The entry point of `./outage`: the group of all commands. Each command is a module beside this one."""

from __future__ import annotations

import difflib
import os
from typing import Any

import click
from dotenv import load_dotenv

from service_event_checker import logs
from service_event_checker.cli import (
    act,
    actions,
    alerts,
    audit,
    backup,
    check,
    completion,
    config,
    depends,
    detect,
    doctor,
    failed,
    mirror,
    preview,
    probe,
    quarantine,
    reconcile,
    replay,
    route,
    show,
    silence,
    start,
    status,
    store,
    vendor,
    why,
)
from service_event_checker.cli.context import ROOT, Here, errors_for_people


class Outage(click.Group):
    """The group: names the command that was meant, and turns our own errors into sentences."""

    def invoke(self, ctx: click.Context) -> Any:
        with errors_for_people():
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], known, n=2)
            hint = f"Did you mean {' or '.join(near)}?" if near else "./outage --help lists the commands"
            ctx.fail(f'there is no command "{args[0]}". {hint}')
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order in which a newcomer needs them


@click.group(cls=Outage, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Show the log lines of what is done.")
def outage(*, verbose: bool) -> None:
    """Platform Outage Checker: is it us, or is it them?

    The commands read the environment and the .env file of the app. They work from any folder, also while the app
    is not running.
    """
    if verbose:
        logs.set_up(level="INFO")


COMMANDS = (
    start.start,
    status.status,
    alerts.alerts,
    show.show,
    why.why,
    vendor.vendor,
    depends.depends,
    act.ack,
    act.unack,
    act.resolve,
    act.note,
    act.ticket,
    actions.act,
    actions.list_actions,
    check.check,
    probe.test_destination,
    preview.preview,
    detect.detect_page,
    config.config,
    route.route,
    replay.replay,
    silence.silence,
    failed.failed,
    quarantine.show_quarantine,
    reconcile.reconcile,
    mirror.mirror,
    doctor.doctor,
    audit.audit,
    backup.backup,
    backup.restore,
    store.store,
    start.demo,
    completion.completion,
)
for command in COMMANDS:
    outage.add_command(command)


def main() -> None:
    """Run the command that the arguments name."""
    load_dotenv(ROOT / ".env")
    logs.set_up(level="ERROR")  # a person asked for an answer, not for what is done on the way
    outage.main(prog_name="outage", obj=Here(os.environ))


if __name__ == "__main__":
    main()
