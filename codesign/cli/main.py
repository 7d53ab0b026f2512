"""Entry point of `codesign`: finds the commands and turns every failure into one clear sentence."""

from __future__ import annotations

import errno
import importlib
import os
import pkgutil
import signal
import sys
import traceback
from collections.abc import Sequence

import rich_click as click
from click.exceptions import Exit, NoArgsIsHelpError

from codesign.cli import commands, console, interrupts
from codesign.errors import UserError

USER_ERROR = 2
INTERRUPTED = 130
_INTERRUPTED = "interrupted; nothing half-written was left behind."

# What the system refuses for reasons of the user's: no space, no permission, no such place.
_REFUSALS = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


class Commands(click.RichGroup):
    """A group whose commands are the files of `codesign/cli/commands`."""

    @staticmethod
    def _modules() -> dict[str, str]:
        """Return the file of each command. One that Python reserves the name of ends in an underscore."""
        found = [info.name for info in pkgutil.iter_modules(commands.__path__)]
        return {name.rstrip("_").replace("_", "-"): name for name in found if not name.startswith("_")}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in alphabetical order."""
        return sorted(self._modules())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the file of one command."""
        name = self._modules().get(cmd_name)
        if name is None:
            return None
        module = importlib.import_module(f"{commands.__name__}.{name}")
        command: click.Command = module.command
        return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="codesign", prog_name="codesign", message="%(prog)s %(version)s")
def application() -> None:
    """From a trained low-bit neural network to FPGA hardware, exact to the last integer.

    Every command takes --json to print one JSON object instead of a table. Results go to
    build/MODEL/BOARD/ in the current folder.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit the process.

    Exit codes: 0 done; 1 a check failed, or a bug (with its traceback); 2 a mistake the user can mend, told
    in one sentence; 130 interrupted.
    """
    own_process = arguments is None
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in arguments
    code: int | None
    try:
        with interrupts.as_exceptions():
            code = application.main(arguments, prog_name="codesign", standalone_mode=False)
    except Exit as stop:
        code = stop.exit_code
    except NoArgsIsHelpError as help_:
        print(help_.format_message(), file=sys.stderr)
        code = USER_ERROR
    except click.ClickException as error:
        code = console.fail(_usage_sentence(error), USER_ERROR, as_json)
    except UserError as error:
        # A command that can be continued says so itself.
        replaced = interrupts.replaced(error)
        interrupted = replaced or interrupts.behind(error)
        code = console.fail(
            _INTERRUPTED if replaced else str(error), INTERRUPTED if interrupted else USER_ERROR, as_json
        )
    except (KeyboardInterrupt, click.Abort):
        code = console.fail(_INTERRUPTED, INTERRUPTED, as_json)
    except BrokenPipeError:
        # The reader of our output has gone (`codesign models | head`): nothing to tell, no one to tell it to.
        console.abandon_output()
        code = 1
    except OSError as error:
        if error.errno not in _REFUSALS:
            code = _bug(error, as_json)
        else:
            place = f" {error.filename}" if error.filename else ""
            code = console.fail(
                f"the system refused to write or read{place}: {error.strerror}; "
                "free some space or choose another folder.",
                USER_ERROR,
                as_json,
            )
    except Exception as error:
        code = _bug(error, as_json)
    if own_process:
        # The command is over: an interrupt that comes now must not change the exit code.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if code == INTERRUPTED:
            # Python ends itself by the signal once more when the interrupt struck inside an `exec` (imports do that),
            # whatever exit code it is asked for. Everything was tidied up on the way here.
            console.flush(code)
            os._exit(code)
    sys.exit(console.flush(code or 0))


def _usage_sentence(error: click.ClickException) -> str:
    """What was wrong with the arguments, with the way to the help."""
    message = error.format_message().rstrip(".")
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{message}; see {error.ctx.command_path} --help."
    return f"{message}."


def _bug(error: BaseException, as_json: bool) -> int:
    traceback.print_exception(error)
    return console.fail(f"this is a bug in codesign: {type(error).__name__}: {error}", 1, as_json)


if __name__ == "__main__":
    main()
