"""Forms with files (multipart/form-data, RFC 7578), read in memory: no picture touches a disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from egide.errors import BatchTooLarge, RequestInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_FIELDS = 16
_MAX_FIELD_BYTES = 64 * 1024
_MAX_HEADERS = 16
_MAX_HEADER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Form:
    """The content of a form with files.

    Attributes:
        files: the bytes of each part named `file`, in order; file names are not kept.
        fields: the other parts.
    """

    files: tuple[bytes, ...] = field(repr=False)
    fields: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a form: bytes if it is a file, else text."""

    name: str
    content: bytes | str = field(repr=False)


class Parts:
    """Reads a form piece by piece.

    A part is a file if it has a file name or the name of a file field: RFC 7578 requires no file
    name, and `curl -F 'file=<picture.jpg'` sends none.
    """

    def __init__(self, content_type: str, max_files: int, file_fields: Iterable[str]) -> None:
        """Begin.

        Raises:
            RequestInvalid: the content type names no usable boundary.
        """
        self._max_files = max_files
        self._file_fields = frozenset(file_fields)
        self._parts: list[Part] = []
        self._files = 0
        self._header = bytearray()
        self._value = bytearray()
        self._headers = 0
        self._disposition = b""
        self._name = ""
        self._is_file = False
        self._content = bytearray()
        self._ended = False
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise RequestInvalid(reason="the content type names no boundary")
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._add_to_header,
                    "on_header_value": self._add_to_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._add,
                    "on_part_end": self._end,
                    "on_end": self._end_form,
                },
            )
        except FormParserError as error:
            raise RequestInvalid(reason="the boundary of the form is too long") from error

    def feed(self, piece: bytes) -> None:
        """Read the next piece.

        Raises:
            BatchTooLarge: there are too many files.
            RequestInvalid: the form is otherwise invalid; it names the reason.
        """
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise RequestInvalid(reason="the multipart body is damaged") from error

    def end(self) -> list[Part]:
        """Return all parts, once the last piece was read.

        Raises:
            RequestInvalid: the form is incomplete.
        """
        if not self._ended:
            raise RequestInvalid(reason="the multipart body ends before its last boundary")
        return self._parts

    # --- what the parser calls ---

    def _begin(self) -> None:
        self._disposition = b""
        self._headers = 0
        self._content = bytearray()

    def _add_to_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]
        self._bound_header()

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._bound_header()

    def _bound_header(self) -> None:
        if len(self._header) + len(self._value) > _MAX_HEADER_BYTES:
            raise RequestInvalid(reason="a header of a part is too long")

    def _end_header(self) -> None:
        self._headers += 1
        if self._headers > _MAX_HEADERS:
            raise RequestInvalid(reason="a part has too many headers")
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _end_headers(self) -> None:
        options = parse_options_header(self._disposition)[1]
        if b"name" not in options:
            raise RequestInvalid(reason="a part has no Content-Disposition with a name")
        self._name = options[b"name"].decode("utf-8", "replace")
        self._is_file = b"filename" in options or self._name in self._file_fields
        self._files += self._is_file
        if self._files > self._max_files:
            raise BatchTooLarge(count=f"More than {self._max_files}", limit=self._max_files)
        if not self._is_file and len(self._parts) - self._files >= _MAX_FIELDS:
            raise RequestInvalid(reason=f"the form has more than {_MAX_FIELDS} fields")

    def _add(self, data: bytes, start: int, end: int) -> None:
        self._content += data[start:end]
        if not self._is_file and len(self._content) > _MAX_FIELD_BYTES:
            raise RequestInvalid(reason=f"a text field has over {_MAX_FIELD_BYTES} bytes")

    def _end(self) -> None:
        content = bytes(self._content)
        self._content = bytearray()
        try:
            self._parts.append(Part(self._name, content if self._is_file else content.decode()))
        except UnicodeDecodeError:
            raise RequestInvalid(reason="a text field is not in UTF-8") from None

    def _end_form(self) -> None:
        self._ended = True
