"""A private RabbitMQ 4 with the configuration that is shipped, on free loopback ports."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support import free_port, wait

SHIPPED = Path(__file__).parents[3] / "config" / "broker" / "rabbitmq"
PROGRAMS = "usr/lib/rabbitmq/bin"  # Debian's
START_S = 90.0


class RabbitMq:
    """Debian's package; of another Debian where EDGE_TEST_RABBITMQ_ROOT names its root folder."""

    def __init__(self) -> None:
        self._root = Path(os.environ.get("EDGE_TEST_RABBITMQ_ROOT", "/"))
        if not list(self._root.glob("usr/lib/rabbitmq/lib/rabbitmq_server-4.*")):
            pytest.skip("RabbitMQ 4 is not installed")
        self._become = ["chroot", self._root] if self._root != Path("/") else []
        self.folder = Path(tempfile.mkdtemp(prefix="rabbit-", dir=self._root / "tmp"))
        self.amqp_port, self.mqtt_port, dist, epmd = (free_port() for _ in range(4))
        inside = Path("/") / self.folder.relative_to(self._root)
        text = (SHIPPED / "rabbitmq.conf").read_text()
        text = text.replace(":5672", f":{self.amqp_port}").replace(":1883", f":{self.mqtt_port}")
        text = "\n".join(line for line in text.splitlines() if not line.startswith("management"))
        (self.folder / "rabbitmq.conf").write_text(text + "\n")
        for name in ("enabled_plugins", "definitions.json"):
            shutil.copy(SHIPPED / name, self.folder)
        self._environment = {
            **os.environ,
            "HOME": str(inside),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd),
            "RABBITMQ_NODENAME": f"edge{self.amqp_port}@localhost",
            "RABBITMQ_DIST_PORT": str(dist),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONFIG_FILE": str(inside / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(inside / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(inside / "data"),
            "RABBITMQ_LOG_BASE": str(inside / "log"),
        }
        self._inside = inside
        self._epmd = self._popen("/usr/bin/epmd", "-address", "127.0.0.1", "-port", str(epmd))
        self._node: subprocess.Popen[bytes] | None = None
        self.start()
        self.ctl("import_definitions", str(inside / "definitions.json"))

    @property
    def amqp(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.amqp_port}/%2f"

    @property
    def mqtt(self) -> str:
        return f"mqtt://127.0.0.1:{self.mqtt_port}"

    def start(self) -> None:
        self._node = self._popen(f"/{PROGRAMS}/rabbitmq-server")
        wait(self._listens, "RabbitMQ listens", START_S)

    def kill(self) -> None:
        assert self._node is not None
        os.killpg(self._node.pid, signal.SIGKILL)
        self._node.wait()

    def ctl(self, *words: str) -> str:
        command = [*self._become, f"/{PROGRAMS}/rabbitmqctl", *words]
        done = subprocess.run(
            command, env=self._environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def close(self) -> None:
        self.kill()
        self._epmd.kill()
        self._epmd.wait()
        shutil.rmtree(self.folder)

    def _popen(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / "output").open("ab") as output:
            return subprocess.Popen(
                [*self._become, *command],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _listens(self) -> bool:
        assert self._node is not None
        assert self._node.poll() is None, (self.folder / "output").read_text()[-2000:]
        for port in (self.amqp_port, self.mqtt_port):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) != 0:
                    return False
        return True
