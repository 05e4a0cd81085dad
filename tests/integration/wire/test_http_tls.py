"""A line to a service that speaks TLS, from a worker that does not."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import trustme

from chaos.process.ports import Port
from chaos.wire.specs import LineSpec, Protocol, Upstream, WireError
from tests.integration.wire.bed import Bed, WireProcess
from tests.integration.wire.http_bed import service_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAME = "payments.test"


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert(NAME).private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    client = authority.issue_cert("worker@test")
    client.private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    return tmp_path


async def test_the_service_is_trusted_by_its_name_and_knows_its_client(
    module_bed: Bed, process: WireProcess, certificates: Path
) -> None:
    tls = Upstream(
        address="",
        tls=True,
        ca_file=str(certificates / "ca.pem"),
        certificate_file=str(certificates / "client.pem"),
        server_name=NAME,
    )
    body = b"x" * 3_000_000
    async with service_in(module_bed, process, certificates=certificates, tls=tls) as service:
        async with service.client() as client:
            for _ in range(3):
                assert len((await client.post("/x", content=body)).content) == 64
        await service.calls(3)
    for wrong in ({"server_name": "mail.test"}, {"ca_file": ""}, {"certificate_file": ""}):
        given = tls.model_copy(update=wrong)
        async with service_in(module_bed, process, certificates=certificates, tls=given) as service:
            async with service.client() as client:
                with pytest.raises(httpx.TransportError):
                    await client.post("/x", content=body)
            assert service.booked() == []
            (call,) = await service.calls(1)
            assert call.status == ""


async def test_files_that_are_not_there_are_refused_with_a_sentence(
    process: WireProcess, nobody: Port, tmp_path: Path
) -> None:
    upstream = Upstream(address="127.0.0.1:1", tls=True, ca_file=str(tmp_path / "none.pem"))
    spec = LineSpec(
        name="worker-1>away", port=nobody.number, protocol=Protocol.HTTP, upstream=upstream
    )
    with pytest.raises(WireError, match=r"The TLS files for .* cannot be used"):
        await process.wire.open(spec)
    nowhere = spec.model_copy(update={"upstream": Upstream(address="payments")})
    with pytest.raises(WireError, match="'payments' is not an address: give one such as"):
        await process.wire.open(nowhere)
