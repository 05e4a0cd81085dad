from dataclasses import dataclass

TASK_QUEUE = "TRANSFER_MONEY_TASK_QUEUE"


@dataclass
class Transfer:
    source: str
    target: str
    amount: int
    reference: str
