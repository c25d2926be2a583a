"""A port that several processes of one server share, and nobody else."""

from __future__ import annotations

import socket

from services.platform.server import ServerNotStarted


class ReservedPort:
    """Holds host:port without listening, so that only sockets with SO_REUSEPORT of the same user may listen there.

    SO_REUSEPORT alone would let any second server of the same user join in silence and take a share of the calls. So the
    port is first taken exclusively, which fails where anybody has it, another reservation included, and only then opened
    to sharing. Linux keeps the binding of a listening socket that was shut down.
    """

    def __init__(self, host: str, port: int) -> None:
        """Port 0 takes a free one. Raises ServerNotStarted."""
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            where = (address[0], port or _free(family, str(address[0])))
            self._socket = socket.socket(family, kind, protocol)
            try:
                self._take(where)
            except OSError:
                self._socket.close()
                raise
        except OSError:
            raise ServerNotStarted(
                f"cannot listen on {host}:{port}: is the port taken? Choose another with --port"
            ) from None
        self.port = where[1]

    def _take(self, where: tuple[str | int, int]) -> None:
        # a restarted server finds connections of its predecessor in TIME_WAIT
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(where)
        self._socket.listen(1)
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)

    def close(self) -> None:
        """Gives the port back; those that listen go on."""
        self._socket.close()


def _free(family: int, host: str) -> int:
    """Some free port: the kernel keeps the binding of a socket that was shut down only if its port was chosen."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
