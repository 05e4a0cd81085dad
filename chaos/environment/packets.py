"""Whether packets can be lost here: a worker then runs in a network namespace of its own."""

from __future__ import annotations

import platform
import shutil
from functools import cache

from chaos.network.packet_line import FAR, NEAR
from chaos.network.tun import PrivateNetwork, TunError
from chaos.process import is_linux


@cache
def why_no_packets() -> str | None:
    """Why this machine cannot lose packets of a worker; None where it can. It is for the `needs` of
    a case.
    """
    if not is_linux():
        return f"packets are lost in Linux's network namespaces, and this is {platform.system()}"
    if not all(shutil.which(program) for program in ("unshare", "nsenter")):
        return "packets are lost in a network namespace, which needs the programs unshare, nsenter"
    try:
        PrivateNetwork.create(NEAR, FAR).close()
    except TunError as error:
        return str(error)
    return None
