"""Whatever the schema allows is answered as the schema says; what it does not allow is refused."""

import hypothesis
import pytest
import schemathesis
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from spaceform.serve.app import make_app

CHECKS = (
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


@pytest.fixture(scope="module")
def app(served):
    return make_app(served, hosts=["testserver"])


@pytest.mark.filterwarnings("ignore")
def test_every_address_keeps_to_the_schema(app):
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    asked = []

    for operation in schema.get_all_operations():
        case = operation.ok()

        @hypothesis.settings(
            max_examples=15, deadline=None, database=None, derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )  # fmt: skip
        @hypothesis.given(case.as_strategy())
        def check(example):
            answer = example.call()
            asked.append((example.operation.label, answer.status_code))
            example.validate_response(answer, checks=CHECKS)

        check()
    assert len({label for label, _ in asked}) == 10
    assert {200, 422} <= {status for _, status in asked}
