"""Forms with files as sent by browsers: fields as text, files as bytes with names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_string
from email.message import Message
from pathlib import PurePath
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request

from services.api.problems import ProblemError

_MOST_PARTS, _MOST_NAME = 40, 200
_MULTIPART = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Upload:
    """Fields and chosen files of a form."""

    fields: Mapping[str, str]
    files: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)

    def said(self, name: str) -> str:
        """Return a field without surrounding blanks; empty if absent."""
        return self.fields.get(name, "").strip()


async def _upload(request: Request) -> Upload:
    """Return the form of a request."""
    head = Message()
    head["content-type"] = request.headers.get("content-type", "")
    body = await request.body()
    try:
        if head.get_content_type() == _MULTIPART:
            return _of_parts(body, str(head.get_param("boundary", "")))
        result = parse_qs(body.decode(), max_num_fields=_MOST_PARTS, keep_blank_values=True)
    except ValueError:
        raise ProblemError(422, "the form cannot be read; send its text in UTF-8") from None
    return Upload({name: values[0] for name, values in result.items()})


Form = Annotated[Upload, Depends(_upload)]


def _of_parts(body: bytes, boundary: str) -> Upload:
    """
    Return the parts between boundaries (RFC 7578).

    Raises
    ------
    ValueError
        If the body has another form.
    """
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if not boundary or not parts or not parts.pop().startswith(b"--") or len(parts) > _MOST_PARTS:
        raise ValueError(boundary)
    fields: dict[str, str] = {}
    files: dict[str, tuple[str, bytes]] = {}
    for part in parts:
        head, _, data = part.partition(b"\r\n\r\n")
        headers = message_from_string(head.decode().lstrip())
        name, file = (
            headers.get_param(key, header="content-disposition") for key in ("name", "filename")
        )
        if file is None:
            fields[str(name)] = data.decode()
        elif data:  # a file that was not chosen has neither name nor bytes
            files[str(name)] = (_plain(str(file)), data)
    return Upload(fields, files)


def _plain(name: str) -> str:
    """Return a file's name without folders and control characters."""
    bare = PurePath(name.replace("\\", "/")).name
    return "".join(c for c in bare if c.isprintable())[-_MOST_NAME:] or "file"
