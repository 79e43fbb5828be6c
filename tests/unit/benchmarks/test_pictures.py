"""A benchmark's pictures: drawn where matplotlib is, said where it is not."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest

from kabina.benchmarks import command, pictures


@pytest.fixture
def drawn_to(monkeypatch):
    """A benchmark of two rows that notes where it was asked to draw."""
    folders = []
    module = ModuleType("a_benchmark")
    module.rows = lambda: [{"a": 1}, {"a": 2}]

    def draw(rows, folder):
        assert [row["a"] for row in rows] == [1, 2]
        folders.append(folder)
        return [folder / "a.png"]

    module.pictures = draw
    monkeypatch.setitem(sys.modules, "a_benchmark", module)
    monkeypatch.setitem(command.BENCHMARKS, "a", "a_benchmark")
    monkeypatch.setattr(command, "conditions", dict)
    return folders


def test_pictures_lie_beside_the_rows(drawn_to, tmp_path, capsys):
    assert command.run("a", tmp_path / "rows.json") == 0
    assert drawn_to == [tmp_path]
    assert "a.png" in capsys.readouterr().out
    assert json.loads((tmp_path / "rows.json").read_text())[0]["rows"] == [{"a": 1}, {"a": 2}]


def test_without_matplotlib_a_line_says_so_and_the_rows_stay(
    drawn_to, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(
        sys.modules["a_benchmark"], "pictures", lambda rows, folder: pictures.grid()
    )
    assert command.run("a", tmp_path / "rows.json") == 0
    assert "kabina[bench]" in capsys.readouterr().out
    assert (tmp_path / "rows.json").exists()


def test_a_figure_is_saved_as_png_and_svg(tmp_path):
    pytest.importorskip("matplotlib")
    figure, (left, right) = pictures.grid(1, 2)
    left.plot([1, 2], [3, 4])
    pictures.goal(right, 0.5, "goal")
    png, svg = pictures.save(figure, tmp_path / "new", "two")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "<svg" in svg.read_text()
