"""`codesign run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rich_click as click

from codesign.cli import options
from codesign.cli.console import Console
from codesign.cli.console import command as make
from codesign.cli.work import Work
from codesign.errors import UserError

if TYPE_CHECKING:
    from codesign.deploy.client import Counts
    from codesign.deploy.measure import Measured
    from codesign.deploy.serial_port import SerialPort

MARGIN_S = 1.0
"""For the network, the USB adapter and the operating system, beside what the line takes."""


@make(name="run", short_help="Send test images to a programmed board and compare its answers.")
@options.model
@options.board
@click.option("--port", required=True, metavar="PATH", help="Serial port of the board, such as /dev/ttyUSB0.")
@click.option("--baud", type=click.IntRange(300), help="Bits per second on the line. [default: the board's]")
@options.limit("test images")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0.01, 3600),
    help="Seconds to wait for an answer. [default: what the line takes, and one more]",
)
def command(
    console: Console, model: str, board: str, port: str, baud: int | None, limit: int | None, timeout_s: float | None
) -> int:
    """Send test images to a board that holds the model's bitstream, and compare every integer with the golden executor.

    The device is asked first what it holds, and refused when that is not this model. Packets that are damaged or
    lost on the line are sent again. The exit code is 1 when an integer differs. Speed is that of the whole way,
    serial line included; at a pseudo-terminal there is no line, so nothing is said of it.
    """
    from codesign.deploy.measure import measure
    from codesign.deploy.serial_port import SerialPort
    from codesign.verify.accuracy import top1

    work = Work.on(model, board, console)
    if work.board.shell is None:
        raise UserError(
            f"no bitstream with a serial port is made for {work.board.name}; choose a board of the open tools."
        )
    baud = work.board.shell.baud if baud is None else baud
    with SerialPort(port, baud) as serial:
        x, y = work.dataset.x_test[:limit], work.dataset.y_test[:limit]
        timeout_s = _timeout(work, baud) if timeout_s is None else timeout_s
        client, device = _connect(work, serial, baud, timeout_s)
        with console.progress(f"Sending {len(x)} images to {port}", len(x)) as advance:
            try:
                found = measure(device, work.graph, x, y, top1, advance)
            except UserError as error:
                raise UserError(
                    f"{str(error).rstrip('.')} (after {client.counts.requests - 1:,} images at {port})."
                ) from error
        timed = not serial.is_pseudo_terminal
    data = {
        "model": work.model.name,
        "board": work.board.name,
        "port": port,
        "dataset": work.model.dataset,
        "accuracy": found.accuracy,
        "images": found.images,
        "differences": found.differences,
        "first_difference": found.first_difference,
        **_line(client.counts),
        "frames_per_second": found.frames_per_second if timed else None,
        "latency_us": found.latency_us if timed else None,
        "pseudo_terminal": not timed,
    }
    console.result(data, *_shown(work, found, client.counts, timed, baud))
    return 1 if found.differences else 0


def _timeout(work: Work, baud: int) -> float:
    """Return the seconds that a request takes at most, by the widest words that there may be."""
    from codesign.deploy.client import reply_time_s

    (source,), (result,) = work.graph.inputs, work.graph.outputs
    sizes = [edge.size * -(-edge.type.bits // 8) for edge in (work.graph.edges[source], work.graph.edges[result])]
    return reply_time_s(baud, *sizes) + MARGIN_S


def _connect(work: Work, serial: SerialPort, baud: int, timeout_s: float) -> Any:
    from codesign.deploy.client import Client, DeviceError
    from codesign.deploy.device import Device, WrongDeviceError

    made = f"codesign synth {work.model.name} --board {work.board.name} --backend rtl"
    client = Client(serial, timeout_s, byte_s=10 / baud)
    with work.console.progress(f"Asking {serial.path} what it holds"):
        try:
            return client, Device(client, work.graph)
        except WrongDeviceError as error:
            raise UserError(f"{serial.path}: {error}; program it with the bitstream of `{made}`.") from error
        except DeviceError as error:
            raise UserError(
                f"{serial.path}: {error} at {baud:,} baud; is it programmed with the bitstream of `{made}`?"
            ) from error


def _line(counts: Counts) -> dict[str, Any]:
    return {
        "retries": counts.retries,
        "timeouts": counts.timeouts,
        "damaged": counts.damaged,
        "refused": {code.name.lower(): count for code, count in counts.refused.items()},
        "stale": counts.stale,
        "breaks": counts.breaks,
    }


def _shown(work: Work, found: Measured, counts: Counts, timed: bool, baud: int) -> list[str]:
    first = found.first_difference
    equal = (
        f"{found.integers:,} integers equal the golden executor."
        if first is None
        else f"{found.differences:,} of {found.integers:,} integers differ from the golden executor, the first in "
        f"image {first['image']}, element {first['element']}: {first['found']} instead of {first['expected']}."
    )
    speed = "Nothing is said of speed: a program is at the other end of the port, not a board."
    if timed:
        speed = (
            f"{found.frames_per_second:,.1f} frames per second, {found.latency_us:,.0f} µs from a request to its "
            f"answer, over the serial line at {baud:,} baud."
        )
    return [
        f"{found.accuracy:.2f} % of {found.images:,} test images of {work.model.dataset} on {work.board.title}.",
        equal,
        speed,
        f"Packets that were sent again: {counts.retries:,}.",
    ]
