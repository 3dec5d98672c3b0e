"""What no file of the repository may say: open ends, the addresses of registries, the paths of one machine."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from architecture.modules import ROOT

OPEN_ENDS = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK:")
"""Written in two halves, so that this file does not say them."""

HOSTS = ("py" + "pi.org", "pythonhosted" + ".org", "npmjs" + ".org", "npmjs" + ".com", "deb.debian" + ".org")
HOSTS += ("huggingface" + ".co/", "download.pytorch" + ".org", "conda" + ".org")
PLACES = re.compile(r"(?<![\w.~}])/(?:root|home|Users|work|mnt|opt/pypi)/[\w.-]|\b[A-Z]:\\Users")

EXEMPT = {"LICENSE"}


def tracked_texts(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Yield name and content of each text file that belongs to the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        path = root / name
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 20 and name not in EXEMPT:
            data = path.read_bytes()
            if b"\0" not in data:
                yield name, data.decode("utf-8")


def forbidden_words(name: str, text: str) -> Iterator[str]:
    """Yield the words of ``text`` that no file of the repository may say."""
    for number, line in enumerate(text.splitlines(), start=1):
        yield from (f"{name}:{number}: {word}" for word in OPEN_ENDS if re.search(rf"\b{re.escape(word)}(?!\w)", line))
        yield from (f"{name}:{number}: the host {host}" for host in HOSTS if host in line)
        yield from (f"{name}:{number}: the path {found[0]}..." for found in PLACES.finditer(line))
    if text and not text.endswith("\n") and not name.endswith((".svg", ".json")):
        yield f"{name}: no newline at its end"
