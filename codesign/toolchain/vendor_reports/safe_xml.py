"""XML from strangers: no document type, so no entities and nothing outside the file; limits on depth and elements."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from xml.parsers import expat

from codesign.errors import UserError

DEEPEST = 100
MOST_ELEMENTS = 5_000_000


class _RefusedError(Exception):
    """What is in a file that is not taken."""


def parse(path: Path, content: bytes) -> ET.Element:
    """Return the root of a document.

    Raises
    ------
    UserError
        When it is not well-formed, declares a document type, or is too deep or too long.
    """
    builder = ET.TreeBuilder()
    parser = expat.ParserCreate()
    depth = elements = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if depth > DEEPEST or elements > MOST_ELEMENTS:
            raise _RefusedError("is nested too deep or has too many elements")
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def refuse(*_: object) -> int:
        raise _RefusedError("declares a document type or entities, which no report does")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(content, True)
        return builder.close()
    except _RefusedError as error:
        raise UserError(f"{path} {error}; it is not read.") from error
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise UserError(f"{path} is no valid XML: {error}.") from error
