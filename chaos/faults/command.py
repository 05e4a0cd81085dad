"""Any command is a fault: `kubectl delete pod`, `docker kill`, a cloud's command line."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, PrivateAttr, field_validator

from chaos.evidence.journal import Event
from chaos.evidence.text import scrubbed
from chaos.experiment.lab import Lab
from chaos.faults.base import Family, Fault
from chaos.invariants.recovery.faults import COMMAND, COMMAND_ENDED, COMMAND_PROOF
from chaos.process.child import ChildError
from chaos.process.foreign import Ended, run_to_end, shown
from chaos.process.streams import complain
from chaos.process.waiting import CLOCK

_ASK_AGAIN_SECONDS = 0.25
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASS|PWD|CREDENTIAL", re.IGNORECASE)
_SHORTEST_SECRET = 8


class CommandError(ChildError):
    """A command of a fault failed. One sentence: what ran, how it ended, its last line."""


class CommandFault(Fault):
    """A fault that commands of your own inject and heal; `proof` asks whether the effect is there.

        CommandFault(
            inject=["kubectl", "delete", "pod", "worker-7d4", "--grace-period=0", "--force"],
            proof=["sh", "-c", "! kubectl get pod worker-7d4"],
            workers=["worker-7d4"],
        )

    Each is a list of arguments, and no shell reads it unless you write `sh -c`. `{prefix}`,
    `{task_queue}`, `{namespace}` and `{address}` stand for the run's own. It runs in the target's
    folder with the variables of `Target.passed`, such as `HOME` or `KUBECONFIG`. Its output is kept
    in the evidence, without secrets that are known.

    Attributes:
        inject: begins the fault. If it fails the case is unknown.
        heal: ends it, and always runs. If it fails, that is said with the command to run by hand.
        proof: is asked right after `inject`, until it ends with 0: that proves the effect.
        workers: identities of the workers that it hits, as `until_in_flight` returns them, or their
            hosts, which are the names of pods. With them only work of these counts as hit, and
            recoveries are measured.
        name: what it is called in reports; by default the program's name.
        deadline_seconds: how long each command may take.

    """

    family: ClassVar[Family] = Family.COMMAND

    type: Literal["command"] = "command"
    to_inject: tuple[str, ...] = Field(alias="inject", min_length=1)
    to_heal: tuple[str, ...] = Field(default=(), alias="heal")
    proof: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    name: str = ""
    deadline_seconds: float = Field(default=30.0, gt=0, le=3600)
    _count: int = PrivateAttr(default=0)

    @field_validator("to_inject", "to_heal", "proof", "workers", mode="before")
    @classmethod
    def _is_a_list(cls, value: object) -> object:
        if isinstance(value, str):
            raise ValueError(  # noqa: TRY004 - pydantic makes a sentence of this one alone
                f"{value!r} is one text: write a list of arguments, such as ['kubectl', 'get'], "
                "or ['sh', '-c', '…'] for a shell"
            )
        return value

    @property
    def kind(self) -> str:
        """Its name in the journal."""
        return COMMAND

    @property
    def target(self) -> str:
        """The name that it was given, or that of the program."""
        return self.name or Path(self.to_inject[0]).name

    @property
    def is_late(self) -> bool:
        """It adds itself to the journal, with the workers that it hits."""
        return True

    async def inject(self, lab: Lab) -> None:
        """Run the command, and ask for the proof. Raises CommandError."""
        argv = self._filled(lab, self.to_inject)
        said = self._said(lab, argv)
        lab.journal.add(
            Event.FAULT,
            f"command at {self.target}: {said}",
            kind=self.kind,
            target=self.target,
            identities=self.workers,
        )
        ended = await self._run(lab, argv)
        self._tell(lab, COMMAND_ENDED, said, ended)
        if not ended.succeeded:
            raise CommandError(f"{self.target} could not be injected: `{said}` {ended}.")
        if self.proof:
            await self._ask_for_proof(lab)

    async def heal(self, lab: Lab) -> None:
        """Run the command that ends it, if there is one. Raises CommandError."""
        if not self.to_heal:
            return
        argv = self._filled(lab, self.to_heal)
        said = self._said(lab, argv)
        ended = await self._run(lab, argv)
        self._tell(lab, COMMAND_ENDED, said, ended)
        if not ended.succeeded:
            sentence = (
                f"{self.target} could not be healed: `{said}` {ended}. "
                f"It is still in force: run `{said}` by hand"
            )
            complain(f"{sentence}.")
            raise CommandError(f"{sentence}.")

    async def _ask_for_proof(self, lab: Lab) -> None:
        """Until it succeeds or its time is over; what it said then is on record."""
        argv, clock = self._filled(lab, self.proof), CLOCK.get()
        end = clock() + self.deadline_seconds
        ended = await self._run(lab, argv)
        while not ended.succeeded and clock() < end:
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
            ended = await self._run(lab, argv)
        self._tell(lab, COMMAND_PROOF, self._said(lab, argv), ended)

    async def _run(self, lab: Lab, argv: Sequence[str]) -> Ended:
        """Run one command, and keep its output with the evidence."""
        self._count += 1
        place = lab.stack.placement
        child = place.child(self.target, argv, {})
        output = place.scratch / f"command-{id(self)}-{self._count}.out"
        ended = await run_to_end(
            argv,
            environment=child.environment,
            folder=child.folder,
            output=output,
            deadline_seconds=self.deadline_seconds,
            hide=lambda text: self._without_secrets(lab, text),
        )
        output.unlink(missing_ok=True)
        child.log.parent.mkdir(parents=True, exist_ok=True)
        with child.log.open("a", encoding="utf-8", errors="backslashreplace") as log:
            head = self._said(lab, argv)
            log.write(f"$ {head}\n{ended.output.rstrip()}\n({ended.why or ended.code})\n")
        return ended

    def _tell(self, lab: Lab, kind: str, said: str, ended: Ended) -> None:
        lab.journal.add(
            Event.STAGE,
            f"`{said}` {ended}",
            kind=kind,
            target=self.target,
            exit_code=ended.code,
        )

    def _filled(self, lab: Lab, argv: Sequence[str]) -> list[str]:
        """With what stands for the placeholders. Other braces stay as they are."""
        temporal, stack = lab.stack.temporal, lab.stack
        known = {
            "{prefix}": temporal.prefix,
            "{task_queue}": stack.own_queue(stack.task_queue),
            "{namespace}": temporal.namespace,
            "{address}": temporal.address,
        }
        for placeholder, value in known.items():
            argv = [word.replace(placeholder, value) for word in argv]
        return list(argv)

    def _said(self, lab: Lab, argv: Sequence[str]) -> str:
        """The command as it can be typed. A secret is looked for before it is quoted."""
        return shown([self._without_secrets(lab, word) for word in argv])

    def _without_secrets(self, lab: Lab, text: str) -> str:
        passed = lab.stack.target.passed
        own = [os.environ.get(name, "") for name in passed if _SECRET_NAME.search(name)]
        known = [*lab.stack.secrets, *(each for each in own if len(each) >= _SHORTEST_SECRET)]
        return scrubbed(text, known)
