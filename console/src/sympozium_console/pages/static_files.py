"""Static files of the pages. All are read once, and the digest of all is a part of their address, so a browser asks for each once."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response

from sympozium_http.refusal import Refusal

_FOLDER = Path(__file__).parent / "static"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_NOT_SERVED = ".d.ts"
_LEAST_COMPRESSED = 1000
_DIGEST_CHARACTERS = 12
_FOREVER = "public, max-age=31536000, immutable"
_BEFORE_AN_UPGRADE = "no-cache"
"""For a page that another version of the console has made: it gets this version's files, for now."""

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class StaticFile:
    """A file as it is sent."""

    content: bytes
    compressed: bytes | None
    """By gzip; None for a file that gains nothing."""
    media_type: str


@dataclass(frozen=True)
class StaticFiles:
    """All files, by the path below ``static``."""

    files: dict[str, StaticFile]
    digest: str

    def address(self, path: str) -> str:
        """Return the address of a file. Raises KeyError for one that is not there."""
        if path not in self.files:
            raise KeyError(path)
        return f"/static/{self.digest}/{path}"


@cache
def static_files() -> StaticFiles:
    """Return the files of this version."""
    files, digest = dict[str, StaticFile](), hashlib.sha256()
    for file in sorted(path for path in _FOLDER.rglob("*") if path.is_file() and not path.name.endswith(_NOT_SERVED)):
        path, content = file.relative_to(_FOLDER).as_posix(), file.read_bytes()
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
        files[path] = _static_file(file, content)
    return StaticFiles(files, digest.hexdigest()[:_DIGEST_CHARACTERS])


@router.get("/static/{digest}/{path:path}")
async def get_static_file(request: Request, digest: str, path: str) -> Response:
    """Return a file."""
    files = static_files()
    found = files.files.get(path)
    if found is None:
        raise Refusal(404, "NotFound", f"There is no file {path}.")
    headers = {
        "Cache-Control": _FOREVER if digest == files.digest else _BEFORE_AN_UPGRADE,
        "Vary": "Accept-Encoding",
    }
    if found.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.compressed, media_type=found.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(found.content, media_type=found.media_type, headers=headers)


def _static_file(file: Path, content: bytes) -> StaticFile:
    compressed = gzip.compress(content, 9, mtime=0) if len(content) >= _LEAST_COMPRESSED else None
    guessed = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return StaticFile(content, compressed, guessed)
