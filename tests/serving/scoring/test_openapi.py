"""The published OpenAPI document: valid, true to the service, and with examples that can be pasted."""

import httpx
import jsonschema
import numpy as np
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from foretwin.serving.access.authentication import Guard
from foretwin.serving.http.limits import Limits
from foretwin.serving.scoring.openapi import describe_scoring_api
from foretwin.wire.tables import ARROW, JSON, PARQUET
from support.small_service import ENGINE, FAN, PUMP, running, service_over, tiny_champion
from support.tiny_bundle import call_of, random_rows, tiny_twin

TWINS = {twin.name: twin for twin in (PUMP, FAN, ENGINE)}


@pytest.fixture(scope="module")
def champions(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    return [tiny_champion(root, twin) for twin in TWINS.values()]


@pytest.fixture(scope="module")
def service(champions):
    return service_over(*champions, limits=Limits(rows=1000))


@pytest.fixture(scope="module")
def url(service):
    with running(service) as running_at:
        yield running_at


@pytest.fixture(scope="module")
def document(url):
    return httpx.get(f"{url}/openapi.json").json()


def checker(document, schema):
    """A validator of one schema of the document, whose references it resolves."""
    return jsonschema.Draft202012Validator(
        {**schema, "components": document["components"]}, format_checker=jsonschema.FormatChecker()
    )


def content_of(document, path, status="200", kind=JSON):
    method = next(iter(document["paths"][path].values()))
    answer = method["responses"][status]
    if "$ref" in answer:
        answer = document["components"]["responses"][status]
    return answer["content"][kind]["schema"]


def body_of(document, path):
    return document["paths"][path]["post"]["requestBody"]["content"][JSON]


def test_the_document_is_valid_with_and_without_keys_and_champions(service, document):
    OpenAPIV31SpecValidator(document).validate()
    for champions in (service.champions.all(), {}):
        for needs_key in (True, False):
            OpenAPIV31SpecValidator(describe_scoring_api(champions, service.limits, needs_key)).validate()


@pytest.mark.parametrize("path", ["/v1/score", "/v1/explain"])
def test_every_example_fits_its_schema_and_is_answered_as_described(path, url, document):
    body = body_of(document, path)
    assert list(body["examples"]) == sorted(TWINS)
    for name, example in body["examples"].items():
        checker(document, body["schema"]).validate(example["value"])
        answer = httpx.post(url + path, json=example["value"])
        assert answer.status_code == 200, answer.text
        checker(document, content_of(document, path)).validate(answer.json())
        assert answer.json()["model"]["name"] == f"foretwin-{name}"


def test_the_example_of_a_long_window_has_as_many_rows_as_are_needed(tmp_path):
    content = tiny_twin("press", length=30).model_dump(mode="json")
    content["window"]["shortest"] = 30
    twin = type(PUMP).model_validate(content)
    with running(service_over(tiny_champion(tmp_path, twin))) as url:
        document = httpx.get(f"{url}/openapi.json").json()
        example = body_of(document, "/v1/score")["examples"]["press"]["value"]
        assert len(example["assets"][0]["time"]) == 30
        assert httpx.post(f"{url}/v1/score", json=example).status_code == 200


def test_a_full_call_fits_and_so_do_its_answer_and_the_list_of_models(url, document):
    call = call_of(PUMP, random_rows(PUMP, {"a": 12, "b": 3}))
    call["assets"][0] |= {"run": 2, "observed_at": "2026-11-01T12:00:00Z"}
    call["units"] = {"time": "h", "c1": "bar"}
    checker(document, body_of(document, "/v1/score")["schema"]).validate(call)
    answer = httpx.post(f"{url}/v1/score", json=call).json()
    assert "data_age" in answer["scores"][0]
    checker(document, content_of(document, "/v1/score")).validate(answer)
    for path in ("/v1/models", "/", "/livez", "/readyz"):
        checker(document, content_of(document, path)).validate(httpx.get(url + path).json())


def changed(change):
    call = call_of(PUMP, random_rows(PUMP, {"a": 4}))
    change(call, call["assets"][0])
    return call


WRONG = {
    "an unknown field": lambda call, asset: call.update(more=1),
    "an unknown channel": lambda call, asset: asset["channels"].update(c9=[1, 2, 3, 4]),
    "a missing channel": lambda call, asset: asset["channels"].pop("c1"),
    "text for a number": lambda call, asset: asset["channels"].update(c1=["1", 2, 3, 4]),
    "a number beyond single precision": lambda call, asset: asset["channels"].update(c1=[1e39, 2, 3, 4]),
    "too few rows": lambda call, asset: (
        asset.update(time=[1]),
        [v.__delitem__(slice(1, 4)) for v in asset["channels"].values()],
    ),
    "too many rows": lambda call, asset: asset.update(
        time=list(range(1001)), channels={n: [0] * 1001 for n in asset["channels"]}
    ),
    "no asset": lambda call, asset: call.update(assets=[]),
    "a long name": lambda call, asset: asset.update(asset="x" * 201),
    "a broken run": lambda call, asset: asset.update(run=1.5),
    "a huge run": lambda call, asset: asset.update(run=2**63),
    "another unit": lambda call, asset: call.update(units={"c1": "psi"}),
    "an unknown unit": lambda call, asset: call.update(units={"c9": "bar"}),
    "no moment": lambda call, asset: asset.update(observed_at="yesterday"),
    "another twin": lambda call, asset: call.update(twin="boat"),
    "the channels of another twin": lambda call, asset: call.update(twin="fan"),
    "null": lambda call, asset: asset.update(run=None),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_the_schema_forbids_the_service_refuses_as_described(name, url, document):
    call = changed(WRONG[name])
    assert not checker(document, body_of(document, "/v1/score")["schema"]).is_valid(call)
    answer = httpx.post(f"{url}/v1/score", json=call)
    assert answer.status_code >= 400
    assert answer.headers["content-type"] == "application/problem+json"
    kind = "application/problem+json"
    checker(document, content_of(document, "/v1/score", str(answer.status_code), kind)).validate(answer.json())


def test_a_call_is_told_apart_by_its_twin(document):
    body = body_of(document, "/v1/score")["schema"]
    assert set(body["discriminator"]["mapping"]) == set(TWINS)
    for twin in TWINS.values():
        fitting = call_of(twin, random_rows(twin, {"a": 4}))
        checker(document, body).validate(fitting)


def test_units_limits_and_columns_are_told(document):
    channels = document["components"]["schemas"]["pump.call"]["properties"]["assets"]["items"]["properties"]["channels"]
    assert list(channels["properties"]) == list(channels["required"]) == list(PUMP.channel_names)
    assert channels["properties"]["c1"]["description"] == "bar, physically from -1000 to 1000"
    assert (channels["properties"]["c1"]["minItems"], channels["properties"]["c1"]["maxItems"]) == (2, 1000)
    content = document["paths"]["/v1/score"]["post"]["requestBody"]["content"]
    for kind in (ARROW, PARQUET):
        assert "`c1` (bar)" in content[kind]["schema"]["description"]
    answers = document["paths"]["/v1/score"]["post"]["responses"]["200"]["content"]
    assert "p_mode_" in answers[ARROW]["schema"]["description"]


def test_faults_of_an_answer_are_exactly_those_of_the_contract(url, document):
    answer = httpx.post(f"{url}/v1/score", json=call_of(PUMP, random_rows(PUMP, {"a": 4}))).json()
    described = checker(document, content_of(document, "/v1/score"))
    described.validate(answer)
    del answer["scores"][0]["faults"]["mode"]["leak"]
    assert not described.is_valid(answer)


def test_keys_are_described_where_they_are_needed(champions, service, tmp_path):
    closed = describe_scoring_api(service.champions.all(), service.limits)
    assert closed["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, methods in closed["paths"].items():
        for operation in methods.values():
            is_closed = path.startswith("/v1/")
            assert ("security" in operation) == is_closed
            assert ("401" in operation["responses"]) == is_closed
    keyed = service_over(*champions, keys=tmp_path / "keys.json")
    assert isinstance(keyed.guard, Guard)
    with running(keyed) as url:
        assert httpx.get(f"{url}/openapi.json").json() == describe_scoring_api(keyed.champions.all(), keyed.limits)
        assert httpx.get(f"{url}/v1/models").status_code == 401


def test_the_document_follows_the_champions(tmp_path):
    service = service_over(tiny_champion(tmp_path, PUMP))
    with running(service) as url:
        first = httpx.get(f"{url}/openapi.json")
        assert httpx.get(f"{url}/openapi.json").content == first.content
        service.champions.put(tiny_champion(tmp_path, FAN))
        assert "fan.call" in httpx.get(f"{url}/openapi.json").json()["components"]["schemas"]
        service.champions.drop("pump")
        found = httpx.get(f"{url}/openapi.json").json()
        assert "pump.call" not in found["components"]["schemas"]


def test_the_example_is_what_a_healthy_machine_shows(document):
    example = body_of(document, "/v1/score")["examples"]["pump"]["value"]["assets"][0]
    healthy = np.linspace(-0.5, 0.5, 4)
    assert {name: values[0] for name, values in example["channels"].items()} == pytest.approx(
        dict(zip(PUMP.channel_names, healthy, strict=True)), abs=1e-5
    )
