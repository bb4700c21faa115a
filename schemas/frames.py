"""dataframely without SQLAlchemy, which it takes in where that is installed: a fifth of a second, for no table here."""

from __future__ import annotations

import sys

_not_loaded = "sqlalchemy" not in sys.modules
if _not_loaded:
    sys.modules["sqlalchemy"] = None  # type: ignore[assignment]  # so that importing it fails
try:
    import dataframely as dy
finally:
    if _not_loaded:
        del sys.modules["sqlalchemy"]

__all__ = ["dy"]
