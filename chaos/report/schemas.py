"""JSON Schemas of the files that runs, probes, explorations and campaigns leave, from the models.

They lie in `chaos/schemas/`, named like the file that they describe, and are part of the wheel.
`python -m chaos.report.schemas` writes them; run it after a model has changed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from chaos.evidence.bills import Bill, Billing, PaidRequest, Refusal
from chaos.evidence.case import Timings
from chaos.evidence.files import write_file
from chaos.evidence.journal import Entry
from chaos.evidence.pending import Pending
from chaos.evidence.samples import Sample
from chaos.evidence.spec import WorkflowSpec
from chaos.experiment.results import RunResult
from chaos.report.campaign.record import Broken, CampaignReport, CaseLine
from chaos.report.explored import Report
from chaos.report.recheck import Recheck
from chaos.search.explore.plan import Plan
from chaos.search.explore.state import Attempt
from chaos.search.probe.record import Probe
from chaos.search.schedule import Schedule

FOLDER = Path(__file__).parents[1] / "schemas"

_ADAPTERS: Mapping[str, TypeAdapter[object]] = {
    name: TypeAdapter(kind)
    for name, kind in {
        "results": RunResult,
        "recheck": Recheck,
        "journal": Entry,
        "samples": Sample,
        "specs": tuple[WorkflowSpec, ...],
        "bills": tuple[Bill, ...],
        "paid_requests": tuple[PaidRequest, ...],
        "refusals": tuple[Refusal, ...],
        "billing": Billing,
        "timings": Timings,
        "pending": Pending,
        "schedule": Schedule,
        "probe": Probe,
        "explore": Report,
        "plan": Plan,
        "points": Attempt,
        "campaign": CampaignReport,
        "cases": CaseLine,
        "new": Broken,
    }.items()
}
"""By the names of files: of `.jsonl` files a line, of `pending/` each file."""


def texts() -> Mapping[str, str]:
    """Each schema as it should stand in its file, by the file's name.

    A field with a default is not required: not every version wrote it, and journals leave it out.
    """
    found = {}
    for name, adapter in _ADAPTERS.items():
        schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:pytest-temporal-chaos:{name}",
            **_published(adapter.json_schema(mode="serialization")),
        }
        found[f"{name}.json"] = json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
    return found


def _published(value: Any) -> Any:
    """Without a default that JSON has no number for, and open for what is not in a model: what a
    later version adds, and the settings of a guest's own faults.
    """
    if isinstance(value, dict):
        left_out = (("default", math.inf), ("additionalProperties", False))
        return {k: _published(v) for k, v in value.items() if (k, v) not in left_out}
    return [_published(each) for each in value] if isinstance(value, list) else value


def write() -> None:
    """Write all of them."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts().items():
        write_file(FOLDER / name, text)


if __name__ == "__main__":
    write()
