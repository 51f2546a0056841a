"""Commits transactions as Orthanc's index does for SECONDS, and prints how many
a second there were.

Usage: transactions.py DATABASE SECONDS SYNCHRONOUS LOCKING_MODE
"""
import sqlite3
import sys
import time


def main(path, seconds, synchronous, locking):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"PRAGMA locking_mode={locking}")
    db.execute("PRAGMA journal_mode=wal")
    db.execute(f"PRAGMA synchronous={synchronous}")
    db.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, name TEXT, b BLOB)")
    db.execute("CREATE INDEX IF NOT EXISTS i ON t (name)")
    n, end = 0, time.monotonic() + float(seconds)
    begin = time.monotonic()
    while time.monotonic() < end:
        db.execute("BEGIN")
        for _ in range(5):
            db.execute("INSERT INTO t (name, b) VALUES (hex(randomblob(16)), randomblob(200))")
        db.execute("SELECT name FROM t ORDER BY id DESC LIMIT 1").fetchone()
        db.execute("COMMIT")
        n += 1
    print(n / (time.monotonic() - begin))


main(*sys.argv[1:])
