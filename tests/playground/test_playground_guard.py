"""Who gets into the playground: the guard before an application that answers everybody. Real routes: tests/browser."""

import asyncio

import pytest
from starlette.testclient import TestClient, WebSocketDisconnect

from llmtl.playground import guard
from llmtl.playground.guard import AccessPolicy, Guard

KEY = "sesame"
PATHS = (
    "/",
    "/config",
    "/gradio_api/queue/join",
    "/gradio_api/queue/data",
    "/gradio_api/file=/etc/passwd",
    "/assets/x",
)


async def everything(scope, receive, send):
    """Answer every request with its path, and echo over every socket."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": scope["path"]})
        await send({"type": "websocket.close"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(guard, "WRONG_KEY_SECONDS", 0.0)


def client_of(policy, base="http://127.0.0.1:7860"):
    return TestClient(Guard(everything, policy), base_url=base, follow_redirects=False)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD", "DELETE"])
@pytest.mark.parametrize("path", PATHS)
def test_with_a_key_nothing_answers_before_the_login(path, method):
    answer = client_of(AccessPolicy(KEY)).request(method, path)
    expected = 303 if path == "/" and method in ("GET", "HEAD") else 401
    assert answer.status_code == expected
    assert path.encode() not in answer.content or expected == 303


def test_the_login_opens_everything_and_a_wrong_key_nothing():
    client = client_of(AccessPolicy(KEY))
    assert client.get("/").headers["location"] == "login"
    assert "API key" in client.get("/login").text
    for wrong in ("", "sesam", "sesame2", "x" * 100_000):
        refused = client.post("/login", data={"key": wrong})
        assert (refused.status_code, "not the key" in refused.text) == (403, True)
        assert "set-cookie" not in refused.headers
    welcome = client.post("/login", data={"key": KEY})
    assert (welcome.status_code, welcome.headers["location"]) == (303, "./")
    cookie = welcome.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    assert KEY not in cookie
    assert [client.get(path).text for path in PATHS] == list(PATHS)


def test_behind_tls_the_cookie_stays_off_plain_connections():
    welcome = client_of(AccessPolicy(KEY)).post("/login", data={"key": KEY}, headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in welcome.headers["set-cookie"]


def test_programs_send_the_key_itself_and_a_cookie_of_another_process_is_worth_nothing():
    client = client_of(AccessPolicy(KEY))
    assert client.get("/config", headers={"Authorization": f"Bearer {KEY}"}).text == "/config"
    assert client.get("/config", headers={"Authorization": "Bearer other"}).status_code == 401
    other = AccessPolicy(KEY)
    assert client.get("/config", headers={"Cookie": f"{other.cookie}={other.secret}"}).status_code == 401


def test_a_socket_is_closed_before_the_login_and_open_after_it():
    client = client_of(AccessPolicy(KEY))
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("ws://127.0.0.1:7860/queue/join"):
        pass
    client.post("/login", data={"key": KEY})
    with client.websocket_connect("ws://127.0.0.1:7860/queue/join") as socket:
        assert socket.receive_text() == "/queue/join"


def test_only_while_it_starts_gradio_may_ask_its_own_server():
    policy = AccessPolicy(KEY)
    client = client_of(policy)
    assert client.get("/gradio_api/startup-events").status_code == 200
    policy.launching = False
    assert client.get("/gradio_api/startup-events").status_code == 401


@pytest.mark.parametrize("path", ["/gradio_api/upload", "/gradio_api/queue/join"])
def test_no_body_without_a_bound_gets_to_gradio(path):
    client = client_of(AccessPolicy())
    assert client.post(path, content=b"x" * guard.MOST_BYTES).status_code == 200
    assert client.post(path, content=b"x" * (guard.MOST_BYTES + 1)).status_code == 413
    assert client.post(path, content=iter([b"x"])).status_code == 411


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "[::1]:7860"])
def test_without_a_key_this_machine_is_let_in(host):
    assert client_of(AccessPolicy()).get("/config", headers={"Host": host}).text == "/config"


@pytest.mark.parametrize("host", ["evil.example:7860", "192.168.1.5:7860", "127.0.0.1.evil.example", "[x"])
def test_without_a_key_no_name_may_be_made_to_point_at_this_machine(host):
    answer = client_of(AccessPolicy()).get("/config", headers={"Host": host})
    assert answer.status_code == 403
    assert "set --api-key" in answer.text
    published = AccessPolicy(local=False)
    assert client_of(published).get("/config", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:3000", "null"])
def test_a_page_of_another_site_may_not_ask(origin, key):
    client = client_of(AccessPolicy(key))
    if key:
        client.post("/login", data={"key": key})
    answer = client.post("/gradio_api/queue/join", headers={"Origin": origin}, content=b"{}")
    assert answer.status_code == 403
    own = {"Origin": "http://127.0.0.1:7860"}
    assert client.post("/gradio_api/queue/join", headers=own, content=b"{}").status_code == 200
    proxied = {"Origin": "https://play.example", "X-Forwarded-Host": "play.example"}
    assert client.post("/gradio_api/queue/join", headers=proxied, content=b"{}").status_code == 200


@pytest.mark.parametrize("path", ["/gradio_api/file=http://127.0.0.1:9/x", "/gradio_api/proxy=http://a/x"])
def test_no_address_is_fetched_for_a_visitor(path):
    assert client_of(AccessPolicy()).get(path).status_code == 403


def test_every_answer_forbids_other_hosts_the_login_included():
    client = client_of(AccessPolicy(KEY))
    for path in ("/", "/login", "/config"):
        assert "default-src 'self'" in client.get(path).headers["content-security-policy"]


def test_a_client_that_leaves_during_its_login_harms_nothing():
    sent = []

    async def leave():
        return {"type": "http.disconnect"}

    async def note(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/login", "headers": [], "query_string": b"", "scheme": "http"}
    asyncio.run(Guard(everything, AccessPolicy(KEY))(scope | {"server": ("127.0.0.1", 1)}, leave, note))
    assert sent[0]["status"] == 403
