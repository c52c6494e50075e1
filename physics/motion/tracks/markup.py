"""XML elements with their lines, streamed, without document types or entities."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from retrodict.physics.errors import DataError, expected
from retrodict.physics.motion.tracks.damage import RecordError

__all__ = ["Element", "read_elements"]


@dataclass
class Element:
    """One element of a document.

    Parameters
    ----------
    tag : str
        Its name.
    attributes : mapping of str to str
        Its attributes.
    line : int
        Line of its start tag.
    text : str
        Text directly inside.
    children : list of Element
        Elements directly inside.

    Examples
    --------
    >>> Element("x", {}, 3, "1.5").content()
    '1.5'
    """

    tag: str
    attributes: Mapping[str, str]
    line: int
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def find(self, tag: str) -> Element | None:
        """Return the only child of that name, or None.

        Raises
        ------
        RecordError
            If there are several.
        """
        found = [child for child in self.children if child.tag == tag]
        if len(found) > 1:
            raise RecordError(f"{len(found)} elements <{tag}> in <{self.tag}>", "one")
        return found[0] if found else None

    def need(self, tag: str) -> Element:
        """Return the only child of that name.

        Raises
        ------
        RecordError
            If there is none, or there are several.
        """
        found = self.find(tag)
        if found is None:
            raise RecordError(f"no <{tag}> in <{self.tag}>", "one")
        return found

    def content(self) -> str:
        """Return the text of an element without children.

        Raises
        ------
        RecordError
            If there are children.
        """
        if self.children:
            raise RecordError(f"<{self.children[0].tag}> in <{self.tag}>", "plain text")
        return self.text.strip(" \t\r\n")


def read_elements(data: bytes, root: str, tags: Collection[str], file: str) -> tuple[Element, list[Element]]:
    """Read the direct children of the root that have one of the names; all else is checked for form and dropped.

    Parameters
    ----------
    data : bytes
        The document, UTF-8.
    root : str
        Name that the root must have.
    tags : collection of str
        Names of the children to keep.
    file : str
        File name, for messages.

    Returns
    -------
    root : Element
        The root, with its attributes and without children.
    elements : list of Element
        The children, complete.

    Raises
    ------
    DataError
        If the document is not well-formed, has another root, or declares a document type: entities can blow up a
        document without bound, and no format that is read here needs them.

    Examples
    --------
    >>> top, found = read_elements(b'<a v="1"><b><c>2</c></b><d/></a>', "a", ["b"], "a.xml")
    >>> top.attributes["v"], found[0].need("c").content()
    ('1', '2')
    """
    builder = _Builder(root, tags, file)
    parser = expat.ParserCreate(encoding="utf-8")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = builder.refuse
    parser.StartElementHandler = lambda tag, attributes: builder.start(tag, attributes, parser.CurrentLineNumber)
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    try:
        # In pieces: expat runs on to the end of a piece after a handler has raised.
        for start in range(0, len(data), 65536):
            parser.Parse(data[start : start + 65536], False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        place = f"{file}, line {error.lineno}"
        raise DataError(expected(place, expat.ErrorString(error.code), "well-formed XML in UTF-8")) from error
    if builder.top is None:
        raise DataError(expected(file, "no element", f"<{root}>"))
    return builder.top, builder.found


class _Builder:
    def __init__(self, root: str, tags: Collection[str], file: str) -> None:
        self.root, self.tags, self.file = root, tags, file
        self.top: Element | None = None
        self.found: list[Element] = []
        self.depth = 0
        self.stack: list[Element] = []

    def refuse(self, name: str, *_: object) -> None:
        raise DataError(expected(f"{self.file}, document type {name}", "a declaration", "none (entities are refused)"))

    def start(self, tag: str, attributes: dict[str, str], line: int) -> None:
        self.depth += 1
        if self.depth == 1:
            if tag != self.root:
                raise DataError(expected(f"{self.file}, line {line}", f"root <{tag}>", f"<{self.root}>"))
            self.top = Element(tag, attributes, line)
        elif self.stack or (self.depth == 2 and tag in self.tags):
            element = Element(tag, attributes, line)
            (self.stack[-1].children if self.stack else self.found).append(element)
            self.stack.append(element)

    def end(self, _: str) -> None:
        self.depth -= 1
        if self.stack:
            self.stack.pop()

    def text(self, data: str) -> None:
        if self.stack:
            self.stack[-1].text += data
