"""`python sdk_download.py FOLDER VERSION`: has the Temporal SDK download its dev server.

The SDK downloads only what it then starts, so it is started and shut down. A process of its
own, since the SDK's download can neither be cancelled nor given a time limit.
"""

import asyncio
import sys

from temporalio.testing import WorkflowEnvironment


async def _download(folder: str, version: str) -> None:
    environment = await WorkflowEnvironment.start_local(
        download_dest_dir=folder, dev_server_download_version=version
    )
    await environment.shutdown()


if __name__ == "__main__":
    try:
        asyncio.run(_download(*sys.argv[1:]))
    except RuntimeError as error:  # the SDK's only error here
        sys.exit(str(error))
