"""sse_middleware.doctor.layers: who is named by an answer, and who gives itself away."""

import pytest

from sse_middleware.doctor.asking import ask
from sse_middleware.doctor.layers import LAYERS, compressors_of, layers_of, likely_layers
from sse_middleware.doctor.probe import Heard, Read

DATE = ("Date", "Sun, 22 Nov 2026 20:11:44 GMT")


def heard(*headers, body=b""):
    return Heard(ask("http://h"), status=200, headers=list(headers), reads=[Read(0.0, body)])


@pytest.mark.parametrize(
    ("headers", "layers"),
    [
        ([("Server", "nginx/1.22.1")], ["nginx"]),
        ([("server", "openresty")], ["nginx"]),
        ([("Server", "Apache/2.4.71 (Debian)")], ["apache"]),
        ([("Server", "Caddy"), ("Server", "gunicorn")], ["caddy", "gunicorn"]),
        ([("Via", "1.1 Caddy"), ("Server", "waitress")], ["caddy", "waitress"]),
        ([("Server", "cloudflare"), ("CF-RAY", "1-FRA")], ["Cloudflare"]),
        ([("Server", "Werkzeug/3.1.9 Python/3.12.1")], ["Werkzeug"]),
        ([("Via", "1.1 example.com (Apache/2.4.71)")], ["apache"]),
        ([("Via", "1.1 varnish (Varnish/7.1)"), ("X-Varnish", "7")], ["Varnish"]),
        ([("X-Varnish", "32770")], ["Varnish"]),
        ([("Via", "1.1 google")], ["Google's front end"]),
        ([("Via", "1.1 0123.cloudfront.net (CloudFront)")], ["CloudFront"]),
        ([("X-Amz-Cf-Id", "abc==")], ["CloudFront"]),
        ([("Server", "cloudflare")], ["Cloudflare"]),
        ([("CF-RAY", "1-FRA")], ["Cloudflare"]),
        ([("X-Served-By", "cache-fra-1")], ["Fastly"]),
        ([("X-Served-By", "app-1")], []),
        ([("Server", "AkamaiGHost")], ["Akamai"]),
        ([("server", "envoy")], ["Envoy"]),
        ([("x-envoy-upstream-service-time", "7")], ["Envoy"]),
        ([("Server", "Microsoft-IIS/10.0")], ["IIS"]),
        ([("Server", "LiteSpeed")], ["LiteSpeed"]),
        ([("Server", "waitress")], ["waitress"]),
        ([("Server", "WSGIServer/0.2 CPython/3.12.1")], ["wsgiref"]),
        ([("Server", "Cheroot/11.1.2")], ["cheroot"]),
        ([("server", "granian")], ["granian"]),
        ([("server", "uvicorn")], ["uvicorn"]),
        ([("Server", "something else")], []),
        ([], []),
    ],
)
def test_the_layers_that_say_who_they_are(headers, layers):
    assert layers_of(heard(*headers, DATE)) == layers


@pytest.mark.parametrize(
    ("headers", "layers"),
    [
        ([("Server", "gunicorn"), DATE, ("Connection", "keep-alive")], []),
        ([("Server", "gunicorn"), DATE], ["apache"]),
        ([("server", "gunicorn"), ("date", DATE[1])], ["haproxy"]),
        ([("Server", "nginx"), DATE], []),
        ([("Content-Type", "text/event-stream")], ["uwsgi"]),
        ([("Content-Type", "text/event-stream"), DATE], []),
    ],
)
def test_the_layers_that_only_their_habits_show(headers, layers):
    assert likely_layers(heard(*headers)) == layers


@pytest.mark.parametrize(
    ("encoding", "head", "layers", "makers"),
    [
        ("gzip", "1f8b0800000000000403", ["nginx"], ["nginx"]),
        ("gzip", "1f8b0800000000000003", ["nginx"], ["nginx"]),
        ("gzip", "1f8b0800000000000003", ["apache", "gunicorn"], ["apache"]),
        ("gzip", "1f8b0800000000000403", ["haproxy", "gunicorn"], ["haproxy"]),
        ("gzip", "1f8b080000096e8800ff", ["caddy"], ["caddy"]),
        ("gzip", "1f8b08080000000000ff6161", ["gunicorn"], ["django"]),
        ("gzip", "1f8b08000000000002ff", ["gunicorn"], ["django", "flask-compress"]),
        ("gzip", "1f8b080012345678 02ff", ["nginx"], ["django", "flask-compress"]),
        ("gzip", "1f8b08000000000000ff", ["caddy", "gunicorn"], []),
        ("deflate", "789c", ["gunicorn"], ["flask-compress"]),
        ("gzip", "1f8b08", [], []),
        ("gzip", "00" * 10, [], []),
        ("gzip", "1f8b0800000000000007", [], []),
    ],
)
def test_a_compressor_is_known_by_its_first_bytes(encoding, head, layers, makers):
    said = heard(("Content-Encoding", encoding), body=bytes.fromhex(head))
    assert compressors_of(said, layers) == makers


def test_every_layer_with_fixes_has_a_name():
    from sse_middleware.doctor.fixes import FIXES

    assert {layer for fixes in FIXES.values() for layer in fixes} == set(LAYERS)
