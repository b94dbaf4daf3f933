"""Which form a body has, and which one is wanted."""

import pytest
from starlette.requests import Request

from foretwin.errors import BadInput, NotAcceptable
from foretwin.serving.http.negotiation import accepted, content_type

KNOWN = ("application/json", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet")


def request(**headers):
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": pairs})


@pytest.mark.parametrize(
    ("header", "place"),
    [
        (None, 0),
        ("*/*", 0),
        ("application/*", 0),
        ("application/vnd.apache.parquet", 2),
        ("text/html, application/json;q=0.9, */*;q=0.8", 0),
        ("application/json;q=0.5, application/vnd.apache.arrow.stream", 1),
        ("application/json;q=0, */*", 1),
        ("APPLICATION/JSON; q=1", 0),
        ("text/html, */*;q=0.1", 0),
    ],
)
def test_the_form_that_is_liked_best_is_taken(header, place):
    assert accepted(request(**({"accept": header} if header else {})), KNOWN) == KNOWN[place]


@pytest.mark.parametrize("header", ["text/html", "application/json;q=0", "", "nonsense", "*/*;q=x"])
def test_where_none_is_wanted_the_call_is_refused(header):
    with pytest.raises(NotAcceptable):
        accepted(request(accept=header), KNOWN)


def test_the_type_of_a_body_is_known_without_its_parameters():
    assert content_type(request(content_type="Application/JSON; charset=utf-8"), KNOWN) == KNOWN[0]


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({}, "Content-Type"),
        ({"content_type": "text/csv"}, "Content-Type"),
        ({"content_type": "application/json", "content_encoding": "gzip"}, "Content-Encoding"),
    ],
)
def test_another_type_or_a_compressed_body_is_refused(headers, field):
    with pytest.raises(BadInput) as refused:
        content_type(request(**headers), KNOWN)
    assert refused.value.field == field
