from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities import deposit, withdraw
    from shared import Transfer

RETRY = RetryPolicy(maximum_attempts=3, maximum_interval=timedelta(seconds=2))
LIMIT = timedelta(seconds=5)


@workflow.defn
class MoneyTransfer:
    @workflow.run
    async def run(self, transfer: Transfer) -> str:
        taken = await workflow.execute_activity(
            withdraw, transfer, start_to_close_timeout=LIMIT, retry_policy=RETRY
        )
        given = await workflow.execute_activity(
            deposit, transfer, start_to_close_timeout=LIMIT, retry_policy=RETRY
        )
        return f"{taken}, {given}"
