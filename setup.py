"""Builds the native extensions and the pages; the rest of the package is in pyproject.toml."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_py import build_py

FOLDERS = ("sfu", "mixer", "interpretation", "signaling", "native", "web", "benchmarks")
DEBUG = os.environ.get("KABINA_DEBUG") == "1"

# Cython, mypy and pyright look modules up by folder: this view shows them `kabina.<folder>`.
VIEW = Path("build/ns/kabina")
VIEW.mkdir(parents=True, exist_ok=True)
for folder in FOLDERS:
    if not (VIEW / folder).is_symlink():
        (VIEW / folder).symlink_to(os.path.relpath(folder, VIEW), target_is_directory=True)

WARNINGS = ["-std=gnu11", "-Wall", "-Wextra", "-Werror=implicit-function-declaration"]
HARDENING = ["-D_FORTIFY_SOURCE=3", "-fstack-protector-strong"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
COMPILE = WARNINGS + (["-Og", "-g", *SANITIZERS] if DEBUG else ["-O2", *HARDENING])
LINK = SANITIZERS if DEBUG else ["-Wl,-z,relro,-z,now"]


def extension(name: str) -> Extension:
    """The extension `kabina.native._<name>`: one .pyx and the C files of its folder, its alone."""
    folder = Path("native/c") / name
    return Extension(
        f"kabina.native._{name}",
        [f"native/_{name}.pyx", *sorted(str(path) for path in folder.glob("*.c"))],
        include_dirs=["native/c", str(folder)],
        depends=sorted(str(path) for path in Path("native/c").rglob("*.h")),
        extra_compile_args=COMPILE,
        extra_link_args=LINK,
        libraries=["dl", "pthread", "m"] if sys.platform == "linux" else [],
    )


def load_extension() -> Extension:
    """The benchmarks' load generator: its own C files, and the plane's table of libsrtp."""
    made = extension("plane")
    made.name = "kabina.benchmarks._load"
    made.sources = [
        "benchmarks/_load.pyx",
        "benchmarks/c/load/kb_load.c",
        "native/c/plane/kb_srtp_table.c",
    ]
    made.include_dirs = ["benchmarks/c/load", "native/c/plane"]
    return made


def video_load_extension() -> Extension:
    """The benchmarks' publisher of video."""
    made = load_extension()
    made.name = "kabina.benchmarks._video_load"
    made.sources = [
        "benchmarks/_video_load.pyx",
        "benchmarks/c/load/kb_video_load.c",
        "benchmarks/c/load/kb_vp8_stream.c",
        "native/c/plane/kb_srtp_table.c",
    ]
    made.depends = [*made.depends, *sorted(str(path) for path in Path("benchmarks").rglob("*.h"))]
    return made


def relay_extension() -> Extension:
    """The benchmarks' and tests' impairment relay: C files of its own, no library."""
    made = extension("plane")
    made.name = "kabina.benchmarks._relay"
    folder = Path("benchmarks/c/relay")
    made.sources = ["benchmarks/_relay.pyx", *sorted(str(path) for path in folder.glob("*.c"))]
    made.include_dirs = [str(folder)]
    made.depends = sorted(str(path) for path in folder.glob("*.h"))
    return made


def replay_extension() -> Extension:
    """The benchmarks' timed sender: one file of its own."""
    made = extension("plane")
    made.name = "kabina.benchmarks._replay"
    made.sources = ["benchmarks/_replay.pyx"]
    made.include_dirs, made.depends = [], []
    return made


EXTENSIONS = [
    extension("plane"),
    extension("mixing"),
    load_extension(),
    video_load_extension(),
    relay_extension(),
    replay_extension(),
]


class BuildWithPages(build_py):
    """Builds the pages with Vite first, so that `web/static` is package data of `kabina.web`."""

    def run(self) -> None:
        # Without this a second build ships stale hashed files beside the new ones.
        shutil.rmtree(Path(self.build_lib) / "kabina/web/static", ignore_errors=True)
        if os.environ.get("KABINA_SKIP_WEB") != "1":
            for arguments in (
                ["ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                ["run", "build"],
            ):
                if subprocess.run([sys.executable, "tools/npm", *arguments]).returncode != 0:
                    raise SystemExit(f"web: npm {arguments[0]} failed")
        super().run()


setup(
    ext_modules=cythonize(
        EXTENSIONS,
        include_path=["build/ns"],
        build_dir="build/cython",
        compiler_directives={"language_level": 3, "boundscheck": DEBUG, "embedsignature": True},
    ),
    cmdclass={"build_py": BuildWithPages},
)
