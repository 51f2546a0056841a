"""Counts up in one SQLite database from several processes at once, kills one
of them, and checks that nothing committed is lost.

Usage: sqlite.py DATABASE JOURNAL_MODE
"""
import os
import signal
import sqlite3
import sys

PROCESSES, STEPS = 3, 40


def connect(path):
    return sqlite3.connect(path, timeout=60, isolation_level=None)


def count(path, tell):
    db = connect(path)
    for _ in range(STEPS):
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE counter SET n = n + 1")
        db.execute("INSERT INTO filler VALUES (randomblob(3000))")
        db.execute("COMMIT")
        os.write(tell, b".")
    db.close()


def start(path, tell):
    pid = os.fork()
    if pid == 0:
        count(path, tell)
        os._exit(0)
    return pid


def main(path, mode):
    db = connect(path)
    if db.execute(f"PRAGMA journal_mode={mode}").fetchone()[0] != mode:
        sys.exit(f"journal mode {mode} is not available")
    db.execute("CREATE TABLE counter (n INTEGER)")
    db.execute("CREATE TABLE filler (b BLOB)")
    db.execute("INSERT INTO counter VALUES (0)")
    db.close()

    hear, tell = os.pipe()
    pids = [start(path, tell) for _ in range(PROCESSES)]
    victim_hear, victim_tell = os.pipe()
    victim = start(path, victim_tell)
    os.close(tell)
    os.close(victim_tell)
    told = len(os.read(victim_hear, 1))
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
    while more := os.read(victim_hear, 4096):
        told += len(more)
    for pid in pids:
        if os.waitpid(pid, 0)[1] != 0:
            sys.exit("a process failed")
    while more := os.read(hear, 4096):
        told += len(more)

    db = connect(path)
    n = db.execute("SELECT n FROM counter").fetchone()[0]
    if not told <= n <= told + 1:  # the victim may have died before it told of its last commit
        sys.exit(f"{told} commits were told, {n} counted")
    check = db.execute("PRAGMA integrity_check").fetchone()[0]
    if check != "ok":
        sys.exit(check)


main(*sys.argv[1:])
