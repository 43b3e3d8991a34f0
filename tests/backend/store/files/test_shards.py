"""Shards: adding, finding and reading rows, also after damage to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import BackendError
from backend.store.files import arrays, shards
from backend.store.files.shards import Shards


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "ROWS", 4)
    monkeypatch.setattr(shards, "_FEW", 2)


def _rows(digests: list[int], width: int = 2) -> Any:
    return np.array([[digest * 10 + place for place in range(width)] for digest in digests], np.float32)


@settings(deadline=None, max_examples=50)
@given(parts=st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=11), max_size=5), data=st.data())
def test_what_is_added_is_found(
    parts: list[list[int]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The reference implementation is a dict."""
    folder = tmp_path_factory.mktemp("shards")
    scores, known = Shards(folder), {}
    for part in parts:
        fresh = sorted(set(part) - set(known))
        if fresh:
            values = np.arange(len(fresh), dtype=np.float32) + len(known)
            scores.add(fresh, {"a": values})
            known |= dict(zip(fresh, values, strict=True))
    wanted = data.draw(st.lists(st.sampled_from([*known, 12345]), max_size=9))
    for reader in (scores, Shards(folder)):
        assert len(reader) == len(known)
        there, found = reader.found(["a"], wanted)
        assert there.tolist() == [each in known for each in wanted]
        assert found.get("a", np.empty(0)).tolist() == [known[each] for each in wanted if each in known]
    assert len(list(folder.glob("*"))) == -(-len(known) // 4), "all shards but the last are full"


def test_nothing_has_no_rows(tmp_path: Path) -> None:
    scores = Shards(tmp_path / "none")
    assert (len(scores), scores.names, scores.rows([1, 2]).tolist()) == (0, frozenset(), [-1, -1])
    assert scores.take("a", []).size == 0
    with pytest.raises(BackendError, match="2 of 2 texts have no 'a'"):
        scores.take("a", [1, 2])


def test_an_array_that_is_not_there_is_told(tmp_path: Path) -> None:
    scores = Shards(tmp_path)
    scores.add([1], {"a": _rows([1])})
    with pytest.raises(BackendError, match="the scores lack 'b'"):
        scores.take("b", [1])
    there, found = scores.found(["a", "b"], [1])
    assert (there.tolist(), found) == ([False], {})
    assert scores.take("a", []).shape == (0, 2)


def test_full_shards_are_not_written_again(tmp_path: Path) -> None:
    scores = Shards(tmp_path)
    scores.add([1, 2, 3, 4, 5], {"a": _rows([1, 2, 3, 4, 5])})
    first, second = sorted(tmp_path.iterdir())
    scores.add([6], {"a": _rows([6])})
    assert first in set(tmp_path.iterdir())
    assert second not in set(tmp_path.iterdir())


def test_narrow_rows_are_filled_up_with_zeros(tmp_path: Path) -> None:
    """Outputs per token are as wide as the longest text."""
    scores = Shards(tmp_path)
    scores.add([1, 2, 3, 4, 5], {"a": _rows([1, 2, 3, 4, 5], width=1)})
    scores.add([6], {"a": _rows([6], width=3)})
    assert scores.take("a", [6, 1]).tolist() == [[60, 61, 62], [10, 0, 0]]


def test_a_reader_sees_what_came_when_it_looks_again(tmp_path: Path) -> None:
    writer, reader = Shards(tmp_path), Shards(tmp_path)
    writer.add([1], {"a": _rows([1])})
    assert len(reader) == 1
    writer.add([2], {"a": _rows([2])})
    assert not reader.is_current()
    assert reader.rows([2]).tolist() == [-1]
    assert reader.take("a", [1]).tolist() == [[10, 11]], "its shard was replaced"
    assert reader.is_current()
    assert reader.take("a", [2]).tolist() == [[20, 21]]
    writer.clear()
    assert reader.found(["a"], [1])[0].tolist() == [False]


@pytest.mark.parametrize("size", [0, 7, -3])
def test_a_damaged_shard_is_left_out_and_leaves(tmp_path: Path, size: int, caplog: pytest.LogCaptureFixture) -> None:
    scores = Shards(tmp_path)
    scores.add([1, 2, 3, 4, 5], {"a": _rows([1, 2, 3, 4, 5])})
    first = min(tmp_path.iterdir())
    first.write_bytes(first.read_bytes()[:size])
    found = Shards(tmp_path)
    assert found.rows([1, 4, 5]).tolist() == [-1, -1, 0]
    assert found.is_current()
    assert "is damaged" in caplog.text
    found.add([1], {"a": _rows([1])})
    assert not first.exists()
    assert Shards(tmp_path).take("a", [1, 5]).tolist() == [[10, 11], [50, 51]]


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="object"):
        arrays.write(tmp_path / "a.safetensors", {"a": np.array([object()])})
    assert list(tmp_path.iterdir()) == []


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.safetensors"
    assert arrays.read(path) is None
    arrays.write(path, {"tasks": np.array([-5, 7]), "places": np.eye(2, dtype=np.float32)})
    found = arrays.read(path)
    assert found is not None
    assert (found["tasks"].tolist(), found["places"].tolist()) == ([-5, 7], [[1, 0], [0, 1]])
    path.write_bytes(b"half")
    assert arrays.read(path) is None


def test_a_shard_that_is_damaged_while_somebody_reads_is_not_there(tmp_path: Path) -> None:
    Shards(tmp_path).add([1, 2, 3, 4, 5], {"a": _rows([1, 2, 3, 4, 5])})
    reader = Shards(tmp_path)
    assert len(reader) == 5
    min(tmp_path.iterdir()).write_bytes(b"x" * 20)
    there, found = reader.found(["a"], [1, 5])
    assert there.tolist() == [False, True]
    assert found["a"].tolist() == [[50, 51]]


def test_what_asks_for_less_leaves_what_there_is(tmp_path: Path) -> None:
    """The strategy changed to one that requires fewer arrays, and a text was added."""
    scores = Shards(tmp_path)
    scores.add([1], {"a": _rows([1]), "b": _rows([1])})
    scores.add([2], {"a": _rows([2])})
    assert scores.take("a", [1, 2]).tolist() == [[10, 11], [20, 21]]
    assert len(list(tmp_path.iterdir())) == 2, "the first keeps its arrays"


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    """A worker that was taken over from resumes."""
    first, second = Shards(tmp_path), Shards(tmp_path)
    first.add([1], {"a": _rows([1])})
    second.add([2], {"a": _rows([2])})
    first.add([3], {"a": _rows([3])})
    second.add([4], {"a": _rows([4])})
    assert Shards(tmp_path).take("a", [1, 2, 3, 4]).tolist() == _rows([1, 2, 3, 4]).tolist()
