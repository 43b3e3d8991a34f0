"""Refuse pickled records of the workflow database. The only file that touches DBOS's internals.

DBOS writes with the serializer of its configuration, which is JSON here, but reads each row with the serializer that
the row names: a forged row could name pickle, and a pickle can run any program. DBOS has no option against it, so its
pickle reader is replaced for the whole process. tests/backend/test_no_pickle.py fails if DBOS changes this.
"""

from __future__ import annotations

from typing import Any

from dbos._serialization import DefaultSerializer


def refuse_pickle() -> None:
    """Make every read of a pickled record raise `ValueError`."""
    DefaultSerializer.deserialize = _refuse  # type: ignore[assignment,method-assign]


def _refuse(*_: Any) -> Any:
    raise ValueError("a record of the workflow database is pickled; this backend writes and reads JSON only")
