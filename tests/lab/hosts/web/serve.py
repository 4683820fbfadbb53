"""Run the shop's current release on every address of its container: on loopback, nobody outside would reach it."""

from __future__ import annotations

import socket
import sys

sys.path.insert(0, "/srv/shop/current")
import app


class Server(app.Server):
    """The shop's own server, but for the address."""

    address_family = socket.AF_INET6  # which takes IPv4 too

    def server_bind(self) -> None:
        """Bind the port on every address."""
        self.server_address = ("::", self.server_address[1])
        super().server_bind()


app.Server = Server
app.main()
