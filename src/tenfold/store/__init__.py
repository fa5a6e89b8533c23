"""What is remembered: releases, pointers, events, blobs, labels. The only room that knows SQL.

A store is a database and a place for blobs, behind one small interface for each noun (``nouns``). Embedded, it is a folder:
``store.db`` (SQLite), ``blobs/``, and ``releases/``, where releases are made into folders to be served from. Another engine
is another ``Database`` and another ``Blobs``; the nouns are plain SQL and stay, and so does the suite that holds them.
"""

from tenfold.store.naming import resolve
from tenfold.store.nouns import Act
from tenfold.store.opening import Store, open_store
from tenfold.store.places import folder_of
from tenfold.store.releases import Absent

__all__ = ["Absent", "Act", "Store", "folder_of", "open_store", "resolve"]
