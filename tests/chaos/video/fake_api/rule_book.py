"""The rules in force: which of them hits a request."""

from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from tests.chaos.video.fake_api.bills import Call
from tests.chaos.video.fake_api.rules import FaultRule, When


class RuleStatus(BaseModel):
    """A rule in force, and how many requests it has hit."""

    model_config = ConfigDict(frozen=True)

    id: str
    hits: int
    rule: FaultRule


class _Standing:
    """A rule with its counts."""

    def __init__(self, rule: FaultRule) -> None:
        self.rule = rule
        self.matched = 0
        self.hits = 0

    def hit(self) -> bool:
        """Count one matching request; whether the rule hits it."""
        self.matched += 1
        spent = self.rule.times is not None and self.hits >= self.rule.times
        if spent or self.matched <= self.rule.skip:
            return False
        self.hits += 1
        return True


class RuleBook:
    """The rules in force, in the order they were added. They live in memory only."""

    def __init__(self) -> None:
        self._standing: dict[str, _Standing] = {}

    def add(self, rule: FaultRule) -> str:
        """Put `rule` in force; its id."""
        rule_id = uuid4().hex
        self._standing[rule_id] = _Standing(rule)
        return rule_id

    def remove(self, rule_id: str) -> bool:
        """Lift one rule; False if there is none of that id."""
        return self._standing.pop(rule_id, None) is not None

    def clear(self) -> None:
        """Lift all rules."""
        self._standing.clear()

    def statuses(self) -> tuple[RuleStatus, ...]:
        """Every rule in force, spent ones too."""
        return tuple(
            RuleStatus(id=rule_id, hits=standing.hits, rule=standing.rule)
            for rule_id, standing in self._standing.items()
        )

    def hit(
        self, call: Call, when: When, prompt: str, model: str | None = None
    ) -> FaultRule | None:
        """The first rule that hits a request at this point, counted as a hit.

        Rules behind the one that hits do not see the request: it counts against their `skip`
        only when it reaches them.
        """
        for standing in self._standing.values():
            rule = standing.rule
            matches = rule.call is call and rule.when is when and rule.match in prompt
            if matches and rule.model in {None, model} and standing.hit():
                return rule
        return None
