"""Real servers for the tests of shared stores: a PostgreSQL of their own, and one that speaks S3."""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

PATIENCE_S = 60.0
BUCKET = "tenfold"
KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
}


def program(name: str) -> str | None:
    """A program of PostgreSQL; Debian keeps them apart by version."""
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    return str(newest[-1]) if newest else shutil.which(name)


MISSING = next((name for name in ("initdb", "postgres") if program(name) is None), None)


class Postgres:
    """A PostgreSQL that can be stopped, killed and started again. It runs as another user where we are root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._user = _unprivileged() if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._schemas = 0
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        options = ["--auth=trust", "--username=tenfold", "--encoding=UTF8", "--locale=C", "--no-sync"]
        self._run("initdb", f"--pgdata={folder / 'data'}", *options).wait()
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        fast = ["fsync=off", "full_page_writes=off", "max_connections=60", "shared_buffers=16MB", "listen_addresses="]
        settings = [word for setting in fast for word in ("-c", setting)]
        self._process = self._run("postgres", "-D", str(self.folder / "data"), "-k", str(self.folder), *settings)
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                psycopg.connect(self.url).close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < until, (self.folder / "log").read_text()
                time.sleep(0.02)
            else:
                return

    def stop(self, ending: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends its connections, SIGQUIT is a crash."""
        assert self._process is not None
        self._process.send_signal(ending)
        self._process.wait(PATIENCE_S)

    def create(self) -> str:
        """The URL of a schema of its own, which is empty: that is cheaper than a database."""
        self._schemas += 1
        name = f"store{self._schemas}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{self.url}&options=-csearch_path%3D{name}"

    def guard(self, user: str, password: str) -> None:
        """Let a user in with a password alone."""
        rules = self.folder / "data" / "pg_hba.conf"
        rule = f"local all {user} scram-sha-256\n"
        rules.write_text(rule + rules.read_text().replace(rule, ""))
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"DROP ROLE IF EXISTS {user}".encode())
            secret = password.replace("'", "''")
            connection.execute(
                f"SET standard_conforming_strings = on; CREATE ROLE {user} LOGIN PASSWORD '{secret}'".encode()
            )
            connection.execute(b"SELECT pg_reload_conf()")

    @property
    def url(self) -> str:
        """Where it is: a socket, and nothing on TCP."""
        return f"postgres://tenfold@/postgres?host={self.folder}"

    def _run(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        path = program(name)
        assert path is not None
        user, group = (self._user.pw_uid, self._user.pw_gid) if self._user else (None, None)
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [path, *words],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                user=user,
                group=group,
                extra_groups=[] if user else None,
            )


def _unprivileged() -> pwd.struct_passwd:
    """The user of PostgreSQL, or one without rights: initdb refuses root."""
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL, stopped and removed on leaving."""
    folder = Path(tempfile.mkdtemp(prefix="tenfold-pg-"))  # pytest's folders are closed to other users
    server = Postgres(folder)
    try:
        yield server
    finally:
        server.stop(signal.SIGQUIT)
        shutil.rmtree(folder)


def environment(url: str, cache: Path) -> dict[str, str]:
    """The variables by which a process finds the objects, and where it keeps what it makes of them."""
    return {**KEYS, "AWS_ENDPOINT_URL": url, "XDG_CACHE_HOME": str(cache / "cache")}


def client(url: str = "") -> Any:
    """A client of S3 that knows nothing of tenfold."""
    import boto3

    keys = {name.lower(): KEYS[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    return boto3.client(
        "s3", endpoint_url=url or os.environ["AWS_ENDPOINT_URL"], region_name=KEYS["AWS_REGION"], **keys
    )


@contextmanager
def objects() -> Iterator[str]:
    """An S3 server with a bucket; its address."""
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        client(url).create_bucket(Bucket=BUCKET)
        yield url
    finally:
        server.stop()
