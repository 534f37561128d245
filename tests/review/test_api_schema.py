"""What the description of the API says is so, whatever is sent: no request ends in a failure of the server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, checks

from db.review_values import TokenScope
from db.session import make_engine, session_scope
from db.sign_ins import make_token
from review.app import create_app

HOST = "127.0.0.1:8700"
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
KNOWN = {"slug": "gorse", "dimension": "license", "candidate": 1, "run": 1, "batch": 1}
EXAMPLES = 6
"""Requests of each kind of operation, besides those that try every boundary of the description."""


@dataclass
class Api:
    """The desk over a copy of its own, with a token that may write."""

    app: Any
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Host": HOST, "Authorization": f"Bearer {self.token}"}


@pytest.fixture(scope="module")
def api(shared_desk: Any, _crawled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("api")
    shutil.copy(_crawled / "openness.db", folder / "openness.db")
    engine = make_engine(f"sqlite:///{folder / 'openness.db'}")
    with session_scope(engine, write=True) as session:
        token, _ = make_token(session, "Ada Curator", "schema", TokenScope.WRITE, shared_desk.clock())
    yield Api(app=create_app(replace(shared_desk.context, engine=engine)), token=token)
    engine.dispose()


@pytest.fixture(scope="module")
def operations(api: Api) -> list[Any]:
    """Everything that the description says can be asked."""
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", api.app, headers={"Host": HOST})
    schema.config.update(base_url=f"http://{HOST}/api/v1")
    return [found.ok() for found in schema.get_all_operations()]


def examples(number: int) -> Any:
    """The same examples every time."""
    return settings(
        max_examples=number,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_ends_in_a_failure_and_every_answer_is_as_described(
    api: Api, operations: list[Any], mode: GenerationMode
) -> None:
    for operation in operations:

        @examples(EXAMPLES)
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            if mode is GenerationMode.POSITIVE:
                # Names that are made up lead no further than to "there is no such thing".
                case.path_parameters.update({name: KNOWN[name] for name in case.path_parameters})
            case.call_and_validate(headers=api.headers, checks=CHECKS)

        ask()


def test_nothing_is_told_without_a_token(api: Api, operations: list[Any]) -> None:
    for operation in operations:

        @examples(2)
        @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
        def ask(case: Any) -> None:
            response = case.call(headers={"Host": HOST})
            assert response.status_code == 401, response.text

        ask()


def test_every_operation_describes_its_errors(operations: list[Any]) -> None:
    for operation in operations:
        told = {str(status) for status in operation.definition.raw["responses"]}
        assert {"400", "401", "403", "422", "503"} <= told, operation.label
        if operation.method == "post":
            assert "413" in told, operation.label
