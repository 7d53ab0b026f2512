"""Reading TOML into typed structures, with errors a user can act on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from codesign.errors import UserError

T = TypeVar("T")

_EXPECTED = re.compile(r"Expected `(?P<expected>.+?)`, got `(?P<found>.+?)`(?: - at `\$\.?(?P<field>[^`]*)`)?")
_RANGE = re.compile(r"Expected `(?P<expected>\w+)` (?P<range>[<>]=? .+?) - at `\$\.?(?P<field>[^`]*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`(?: - at `\$\.?(?P<where>[^`]*)`)?")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`(?: - at `\$\.?(?P<where>[^`]*)`)?")


def read(path: Path, kind: type[T]) -> T:
    """Decode the TOML file at `path` into `kind`, a msgspec structure.

    Raises
    ------
    UserError
        When the file cannot be read, is not TOML, or does not match `kind`; the sentence names the
        file, the field and what was expected there.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text; save it as UTF-8.") from error
    try:
        return msgspec.convert(tomllib.loads(text), kind)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is not valid TOML: {error}.") from error
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {_sentence(str(error))}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path} has a number with thousands of digits, or thousands of lists within one another; correct it."
        ) from error


def _sentence(message: str) -> str:
    """Turn msgspec's message into words about TOML fields."""
    if match := _EXPECTED.match(message):
        field = match["field"] or "the file"
        return f"the field '{field}' must be {match['expected']}, found {match['found']}."
    if match := _RANGE.match(message):
        return f"the field '{match['field']}' must be {match['expected']} {match['range']}."
    if message.startswith("the field "):
        # Raised by a structure itself; msgspec appends the place.
        return re.sub(r" - at `[^`]*`$", "", message) + "."
    if match := _UNKNOWN.match(message):
        return f"unknown field '{_join(match['where'], match['field'])}'; check its spelling."
    if match := _MISSING.match(message):
        return f"the field '{_join(match['where'], match['field'])}' is missing."
    return message.replace("$.", "").rstrip(".") + "."


def _join(where: str | None, field: str) -> str:
    return f"{where}.{field}" if where else field
