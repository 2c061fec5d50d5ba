"""Who may ask, in front of both kinds of server: hosts, origins and JSON, as browsers and attackers send them."""

import pytest
from starlette.responses import Response

from llmtl.cli import main
from llmtl.errors import InputError
from llmtl.serving.bundle.manifest import Weights
from llmtl.serving.server.options import ServeOptions
from llmtl.serving.server.server_command import server_command
from llmtl.serving.task_api.access import Access
from llmtl.serving.task_api.classifier_app import create_app
from llmtl.serving.task_api.middleware import TaskMiddleware
from tests.serving.server.test_command import bundle as adapter_bundle
from tests.serving.task_api.test_predict_scoring import StandIn
from tests.support.kept_bundles import asked, kept_bundles, written
from tests.support.live_bundle import error_of
from tests.support.small_bundle import small_bundle

PREDICT, CHAT = "/v1/predict", "/v1/chat/completions"
HERE = "http://127.0.0.1:8000"
PAGE = "https://app.example.com"


class Upstream(StandIn):
    """The stand-in for vLLM, healthy."""

    async def __call__(self, scope, receive, send):
        if scope["path"] == "/health":
            await Response()(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    return kept_bundles(tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module", params=["classifier", "hosted", "vllm"])
def served(request, bundles, tiny_llama, tmp_path_factory):
    """Return what makes the application of each kind of winner for an environment."""
    if request.param == "vllm":
        folder = written(small_bundle(), tiny_llama, tmp_path_factory.mktemp("small") / "bundle")
        return lambda **given: TaskMiddleware(Upstream(), {"LLMTL_BUNDLE": str(folder), **given})
    name = "classification-tfidf" if request.param == "classifier" else "hosted"
    return lambda **given: create_app(bundles / name, environment=given)


def predicting(**headers):
    return ("POST", PREDICT, {"headers": headers, "content": b'{"inputs": []}'})


@pytest.mark.parametrize("route", [PREDICT, CHAT])
@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain, text/html"]
)
def test_what_a_page_of_any_site_can_send_is_refused(served, route, kind):
    headers = {"Origin": "https://evil.example"} | ({"Content-Type": kind} if kind else {})
    [answer] = asked(served(), ("POST", route, {"headers": headers, "content": b'{"inputs": ["x"]}'}), url=HERE)
    assert error_of(answer, 415)["code"] == "unsupported_media_type"


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8"])
def test_json_is_taken_however_it_is_spelled(served, kind):
    [answer] = asked(served(), predicting(**{"Content-Type": kind}), url=HERE)
    assert error_of(answer, 400)["param"] == "inputs"


@pytest.mark.parametrize("host", ["[", "a]b", "\xe9", "x/y?z", "x:y"])
def test_with_a_key_errors_are_told_whatever_host_is_named(served, host):
    headers = {"Host": host.encode("latin-1"), "Authorization": "Bearer k"}
    wrong = [("GET", PREDICT, {"headers": headers}), ("POST", "/v1/task", {"headers": headers, "content": b"{}"})]
    for answer in asked(served(VLLM_API_KEY="k"), *wrong, url=HERE):
        assert error_of(answer, 405)["code"] == "method_not_allowed"


@pytest.mark.parametrize(("packing", "status"), [("gzip", 415), ("br, identity", 415), ("identity", 400), ("", 400)])
def test_what_is_compressed_is_not_unpacked(served, packing, status):
    headers = {"Content-Type": "application/json", "Content-Encoding": packing}
    [answer] = asked(served(), predicting(**headers), url=HERE)
    assert error_of(answer, status)["code"] == ("unsupported_encoding" if status == 415 else None)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "localhost.evil"])
def test_a_name_that_resolves_to_this_machine_is_not_one_of_it(served, host):
    reads = [("GET", path, {"headers": {"Host": host}}) for path in ("/v1/task", "/metrics", "/v1/models")]
    for answer in asked(served(), *reads, predicting(Host=host, **{"Content-Type": "application/json"}), url=HERE):
        assert error_of(answer, 403)["code"] == "host_not_allowed"


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost", "LOCALHOST:8000", "[::1]:8000", "127.9.9.9", "localhost."]
)
def test_the_names_of_this_machine_are_let_in(served, host):
    [answer] = asked(served(), ("GET", "/v1/task", {"headers": {"Host": host}}), url=HERE)
    assert answer.status_code == 200


def test_with_a_key_or_from_a_network_any_name_will_do(served):
    named = {"Host": "tickets.example.com", "Authorization": "Bearer k"}
    [keyed] = asked(served(VLLM_API_KEY="k"), ("GET", "/v1/task", {"headers": named}), url=HERE)
    [networked] = asked(served(), ("GET", "/v1/task", {"headers": named}), url="http://192.168.7.7:8000")
    assert (keyed.status_code, networked.status_code) == (200, 200)


@pytest.mark.parametrize("url", [HERE, "http://192.168.7.7:8000"])
@pytest.mark.parametrize(
    ("host", "status"),
    [("tickets.example.com", 200), ("a.b.example.org:8000", 200), ("127.0.0.1", 200), ("example.org", 403), ("e", 403)],
)
def test_the_hosts_that_were_allowed_are_let_in_and_no_others(served, url, host, status):
    app = served(LLMTL_ALLOWED_HOSTS="Tickets.example.com, *.example.org", VLLM_API_KEY="k")
    headers = {"Host": host, "Authorization": "Bearer k"}
    answer, probe = asked(
        app, ("GET", "/v1/task", {"headers": headers}), ("GET", "/health", {"headers": {"Host": "10.0.0.9"}}), url=url
    )
    assert answer.status_code == status
    assert probe.status_code == 200


def preflight(app, origin=PAGE):
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return asked(app, ("OPTIONS", PREDICT, {"headers": asks}), url=HERE)[0]


def test_no_page_of_another_origin_may_ask_unless_it_is_allowed(bundles):
    closed = create_app(bundles / "classification-tfidf", environment={})
    opened = create_app(bundles / "classification-tfidf", environment={"LLMTL_ALLOWED_ORIGINS": f"{PAGE}, https://b.c"})
    for answer in (preflight(closed), preflight(opened, "https://evil.example")):
        assert "access-control-allow-origin" not in answer.headers


def test_a_page_of_an_allowed_origin_may_ask_and_reads_refusals_too(served):
    app = served(LLMTL_ALLOWED_ORIGINS=PAGE, VLLM_API_KEY="k")
    answer = preflight(app)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, PAGE)
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()
    good, bad = asked(
        app,
        ("GET", "/v1/task", {"headers": {"Origin": PAGE, "Authorization": "Bearer k"}}),
        ("GET", "/v1/task", {"headers": {"Origin": PAGE}}),
        url=HERE,
    )
    assert [each.status_code for each in (good, bad)] == [200, 401]
    assert {each.headers["access-control-allow-origin"] for each in (good, bad)} == {PAGE}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"allowed_hosts": "https://a.example"}, "--allowed-hosts names 'https://a.example', which is not a host"),
        ({"allowed_hosts": "a.example:8000"}, "without port or path"),
        ({"allowed_hosts": "a.example,b/c"}, "names 'b/c'"),
        ({"allowed_origins": "app.example.com"}, "--allowed-origins names 'app.example.com', which is not an origin"),
        ({"allowed_origins": "https://a.example/page"}, "not an origin"),
        ({"allowed_origins": "null"}, "not an origin"),
    ],
)
def test_what_is_neither_a_host_nor_an_origin_is_refused(given, reason):
    with pytest.raises(InputError, match=reason):
        Access(**given)


def test_what_was_allowed_reaches_the_server_with_the_address_that_llmtl_asks(tmp_path):
    access = Access("a.example,::1", "https://a.example")
    for host, hosts in (("10.0.0.5", "a.example,::1,10.0.0.5"), ("0.0.0.0", "a.example,::1")):
        command = server_command(
            tmp_path, adapter_bundle(None, Weights.CLASSIFIER), ServeOptions(host, access=access), device="cpu"
        )
        assert command.environment["LLMTL_ALLOWED_HOSTS"] == hosts
        assert Access.from_environment(command.environment).origins == ("https://a.example",)
    assert Access().to_environment() == {}


def test_the_command_line_refuses_in_one_line(capsys, bundles):
    folder = str(bundles / "classification-tfidf")
    for words, reason in (
        (["--allowed-origins", "nonsense"], "'nonsense', which is not an origin"),
        (["--dry-run", "--", "--max-model-len", "512"], "'--max-model-len' is for vLLM, which does not run 'tfidf'"),
        (["--dry-run", "--", "--allowed-origins", '["*"]'], "llmtl sets it; see"),
    ):
        assert main(["serve", folder, "--no-playground", *words]) == 2
        *_, line = capsys.readouterr().err.splitlines()
        assert reason in line
