"""The rules: one module a dimension. A module with a `RULE` is a rule; nothing else is registered."""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache

from pipelines.errors import RuleError
from pipelines.rules.engine import Rule


@lru_cache(maxsize=1)
def all_rules() -> dict[str, Rule]:
    """Every rule by its dimension."""
    rules: dict[str, Rule] = {}
    for module_info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        rule = getattr(module, "RULE", None)
        if not isinstance(rule, Rule):
            continue
        if rule.dimension != module_info.name:
            raise RuleError(f"module {module_info.name} holds the rule of {rule.dimension}")
        rules[rule.dimension] = rule
    return rules
