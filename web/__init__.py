"""The built pages, as package data under `static`; the sources are TypeScript beside this file."""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).parent / "static"
