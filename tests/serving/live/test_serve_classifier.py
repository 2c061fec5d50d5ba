"""`llmtl serve` of a run whose winner is no language model, from the outside: the whole path without vLLM's start."""

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import httpx
import openai
import pytest

import llmtl
from llmtl.cli import main
from llmtl.measured.endpoint import SERVED
from llmtl.pipeline.serve import find_target, open_warnings
from llmtl.progress import Silent
from llmtl.serving.bundle.hashes import write_hashes
from llmtl.serving.server.options import ServeOptions
from llmtl.store import Store
from tests.support.live_bundle import error_of, free_port
from tests.support.serve_process import serving

WORDS = {"billing": ("invoice", "charge"), "parcels": ("package", "courier"), "access": ("password", "login")}
FRAMES = ("my {0} {1} is wrong", "the {1} about the {0} again", "a {0} and a {1} please", "where is {0} or {1} now")
QUICK = ("--port", "0", "--no-playground", "--no-measure")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run that measured the two baselines only."""
    folder = tmp_path_factory.mktemp("desk")
    rows = [
        (f"{frame.format(*words)} number {index}", label)
        for label, words in WORDS.items()
        for frame in FRAMES
        for index in range(6)
    ]
    with (folder / "desk.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    (folder / "recipe.yaml").write_text(
        "name: desk\ndata: {path: desk.csv}\nmodel: {name: pocket-llama}\nstrategies: {run: [majority, tfidf]}\n"
    )
    return llmtl.run(folder / "recipe.yaml", out=folder / "run")


@pytest.fixture(scope="module")
def bundle(run):
    """Return the run's bundle; copy it before changing it."""
    from llmtl.pipeline.export import export

    return export(run)


@pytest.fixture(scope="module")
def server(run):
    """Return a server with an API key and no playground, announced after the checks and the measurement."""
    environment = os.environ | {"LLMTL_API_KEY": "secret-key"}
    with serving(run.folder, "--port", "0", "--no-playground", "--gate", "all", environment=environment) as started:
        started.url = started.announced()
        yield started


def test_it_says_what_it_checked_and_measured(server, run):
    tested = len(next(item for item in run.evaluations if item.split == "test").predictions)
    assert f"Parity: {tested} of {tested} recorded labels" in server.output
    for concurrency in (1, 8, 64):
        assert f"Load: {concurrency} at a time: p50 " in server.output
    # its stderr is part of that output: no warning of a library, and no path of one
    assert not [line for line in server.lines if "site-packages" in line or "Warning" in line]


def test_the_measurement_is_kept_with_the_run(server, run):
    served = SERVED.validate_json((run.folder / "serving.json").read_bytes())
    assert (served.task, served.strategy, served.device) == ("desk", run.decision.winner, "cpu")
    assert served.engine == f"llmtl {llmtl.__version__}"
    assert served.parity.passed
    assert not served.accepted_drift
    assert [load.concurrency for load in served.loads] == [1, 8, 64]
    for load in served.loads:
        assert load.requests > load.errors
        assert 0 < load.p50_ms <= load.p95_ms
    best = max(load.requests_per_second for load in served.loads)
    # A thousand requests at the best rate, at the hourly price of the CPU machine.
    assert served.usd_per_1k_requests == pytest.approx(1000 / best / 3600 * run.recipe.prices.usd_per_cpu_hour)
    assert served.measured_at in run.report.read_text() or "served" in run.report.read_text().lower()


def test_it_goes_on_serving_a_run_that_is_written_meanwhile(run, tmp_path):
    folder = shutil.copytree(run.folder, tmp_path / "run")
    before = [path.read_bytes() for path in folder.glob("serving.json")]  # of another test, or none
    with serving(folder, "--port", "0", "--no-playground") as started:
        started.until("^Parity: ")
        with Store(folder).claimed():
            started.until(
                "What was measured is not in the report: Another run is writing '.*'; wait until it has ended"
            )
        assert httpx.get(started.announced().replace("/v1", "/health")).json() == {"status": "ready"}
    assert [path.read_bytes() for path in folder.glob("serving.json")] == before


def test_the_printed_curl_line_works(server):
    line = next(line for line in server.lines if line.startswith("curl "))
    assert "secret-key" not in server.output
    done = subprocess.run(
        line, shell=True, capture_output=True, text=True, check=True, env=os.environ | {"LLMTL_API_KEY": "secret-key"}
    )
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] in WORDS


def test_the_printed_python_works(server):
    begin = server.lines.index("import os")
    program = "\n".join(server.lines[begin : server.lines.index("", begin)])
    environment = os.environ | {"LLMTL_API_KEY": "secret-key"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() in WORDS


def test_the_key_is_asked_for(server):
    message = {"role": "user", "content": "hello"}
    with (
        openai.OpenAI(base_url=server.url, api_key="wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.chat.completions.create(model="desk", messages=[message])
    assert httpx.post(f"{server.url}/predict", json={"inputs": ["x"]}).status_code == 401


def test_the_key_is_on_no_command_line(server):
    for process in server.family():
        assert "secret-key" not in " ".join(process.cmdline())


def test_a_busy_port_is_found_before_anything_starts(server, bundle):
    port = server.url.split(":")[2].partition("/")[0]
    with serving(bundle, "--port", port, "--no-playground") as second:
        assert second.finished() == 1
    assert second.lines[-1] == f"llmtl: Port {port} is in use; stop what uses it, or choose another with --port."


def test_the_playground_a_crash_and_the_end(bundle):
    with serving(bundle, "--port", "0", "--playground-port", "0", "--no-measure") as server:
        url = server.announced()
        page = next(line for line in server.lines if line.startswith("Playground: http")).split()[1]
        assert httpx.get(page).status_code == 200
        [process] = [each for each in server.named("classifier_app") if "keeper" not in " ".join(each.cmdline())]
        root = url.removesuffix("/v1")
        assert [httpx.get(f"{root}{path}").status_code for path in ("/ready", "/health", "/live")] == [200] * 3
        process.kill()
        until(lambda: httpx.get(f"{root}/health").json() == {"status": "degraded"})
        refused = httpx.post(f"{url}/predict", json={"inputs": ["my invoice charge"]})
        assert (error_of(refused, 503)["code"], refused.headers["retry-after"]) == ("not_ready", "5")
        assert [httpx.get(f"{root}{path}").status_code for path in ("/ready", "/live")] == [503, 200]
        server.until(r"The server died: it was killed .*SIGKILL.*Restart 1 of 5")
        server.until("The server answers again")
        answer = httpx.post(f"{url}/predict", json={"inputs": ["my invoice charge"]}).json()
        assert answer["data"][0]["label"] in WORDS
        until(lambda: httpx.get(f"{root}/ready").status_code == 200)
        assert len(server.family()) >= 4  # llmtl, the front, the keeper, the server
        assert server.stop() == 0
        assert server.lines[-1] == "stopped"
        assert server.family() == []
    for address in (url, page):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", httpx.URL(address).port)) != 0


def edited(bundle, folder, change):
    """Return a copy of a bundle with its recorded rows changed, and hashes that fit."""
    shutil.copytree(bundle, folder)
    path = folder / "recorded.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        change(row)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    write_hashes(folder, Silent())
    return folder


def another_label(row):
    row["prediction"] = next(label for label in WORDS if label != row["prediction"])


def test_drift_is_refused_and_listed(bundle, tmp_path):
    folder = edited(bundle, tmp_path / "drifted", another_label)
    with serving(folder, *QUICK) as server:
        assert server.finished() == 1
        assert server.family() == []
    assert "--accept-drift" in server.lines[-1]
    assert "is served by" not in server.output
    listed = [line for line in server.lines if ": measured " in line]
    assert len(listed) == 10
    assert all(", served " in line and line.count("(") == 2 for line in listed)


def test_accepted_drift_is_served_and_recorded(bundle, tmp_path):
    folder = edited(bundle, tmp_path / "drifted", another_label)
    with serving(folder, "--port", "0", "--no-playground", "--accept-drift", "--gate", "5") as server:
        server.announced()
        assert server.stop() == 0
    served = SERVED.validate_json((folder / "serving.json").read_bytes())
    assert served.accepted_drift
    assert (served.parity.compared, served.parity.agreed) == (5, 0)


def test_a_server_that_dies_at_start_is_explained(bundle, tmp_path):
    """A broken Python module in the way: the server's own process cannot even start."""
    (tmp_path / "uvicorn.py").write_text("raise RuntimeError('no uvicorn today')\n")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    with serving(bundle, *QUICK, environment=environment) as server:
        assert server.finished() == 1
    assert "The server did not start: RuntimeError: no uvicorn today; its log is " in server.lines[-1]


def test_the_dry_run_prints_a_command_that_serves_when_pasted(bundle, tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "llmtl.cli", "serve", str(bundle), "--dry-run", "--port", str(port)]
    printed = subprocess.run([*command, "--api-key", "secret-key"], capture_output=True, text=True, check=True).stdout
    assert printed.count("\n") == 1
    assert "VLLM_API_KEY='***'" in printed
    assert "secret-key" not in printed
    with subprocess.Popen(
        ["bash", "-c", f"{printed.strip()} >{tmp_path}/log 2>&1 & wait"], start_new_session=True
    ) as shell:
        try:
            until(lambda: httpx_status(f"http://127.0.0.1:{port}/health") == 200)
        finally:
            os.killpg(shell.pid, signal.SIGKILL)


def until(condition, seconds=600.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.2)


def httpx_status(url):
    """Return the status of a request, None where nothing answers."""
    try:
        return httpx.get(url).status_code
    except httpx.HTTPError:
        return None


def refused(capsys, *arguments):
    """Return the one line on stderr of a command that is refused before anything is started."""
    assert main(list(map(str, arguments))) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("llmtl: ")
    assert printed.count("\n") == 1
    return printed


def test_a_folder_that_is_not_there(capsys, tmp_path):
    assert "There is no folder" in refused(capsys, "serve", tmp_path / "nowhere")


def test_a_run_without_a_verdict(capsys, run, tmp_path):
    folder = tmp_path / "unfinished"
    shutil.copytree(run.folder, folder)
    (folder / "decision.json").unlink()
    assert "has no verdict (decision.json is missing)" in refused(capsys, "serve", folder)
    assert "decision.json" in refused(capsys, "export", folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_bundle_that_was_changed(capsys, bundle, tmp_path):
    folder = tmp_path / "tampered"
    shutil.copytree(bundle, folder)
    with (folder / "labels.json").open("a") as file:
        file.write(" ")
    line = refused(capsys, "serve", folder)
    assert "'labels.json'" in line
    assert "was changed after the export" in line


def test_a_bundle_that_lacks_a_file(capsys, bundle, tmp_path):
    folder = tmp_path / "incomplete"
    shutil.copytree(bundle, folder)
    (folder / "labels.json").unlink()
    assert "lacks 'labels.json'" in refused(capsys, "serve", folder)


def test_a_strategy_that_was_not_measured(capsys, run):
    assert "it measured majority, tfidf" in refused(capsys, "serve", run.folder, "--strategy", "qlora")


def test_a_bundle_is_served_as_it_is(capsys, bundle):
    assert "A bundle is served as it is" in refused(capsys, "serve", bundle, "--strategy", "majority")


def test_what_llmtl_sets_itself_cannot_be_passed_on(capsys, bundle):
    assert "'--port' cannot be passed on" in refused(capsys, "serve", bundle, "--", "--port=9000")


def test_the_two_ports_must_differ(capsys, bundle):
    arguments = ("serve", bundle, "--port", "45123", "--playground-port", "45123")
    assert main(list(map(str, arguments))) == 1
    assert "give the playground another with --playground-port" in capsys.readouterr().err


def test_what_is_open_to_whom_is_said_in_a_line_each():
    assert open_warnings(ServeOptions()) == []
    assert open_warnings(ServeOptions(api_key="k")) == []
    [line] = open_warnings(ServeOptions(host="0.0.0.0"))
    assert line.startswith("The endpoint on 0.0.0.0:8000 answers whoever reaches it: set --api-key")
    [line] = open_warnings(ServeOptions(host="0.0.0.0", api_key="k"))
    assert "sends the API key; /health, /ready" in line
    [line] = open_warnings(ServeOptions(playground_host="0.0.0.0"))
    assert line.startswith("The playground on 0.0.0.0:7860 lets in whoever reaches it, and asks the model for them")
    [line] = open_warnings(ServeOptions(playground_host="0.0.0.0", api_key="k"))
    assert "in the clear" in line
    assert open_warnings(ServeOptions(playground_host="0.0.0.0", playground_port=None)) == []
    assert ["without a login" in line for line in open_warnings(ServeOptions(share=True))] == [True]
    assert ["without a login" in line for line in open_warnings(ServeOptions(share=True, api_key="k"))] == [False]


def test_export_writes_a_bundle_that_can_be_served(capsys, run, tmp_path):
    assert main(["export", str(run.folder), str(tmp_path / "out"), "--strategy", "majority"]) == 0
    assert str(tmp_path / "out") in capsys.readouterr().out
    assert find_target(tmp_path / "out").bundle.winner.name == "majority"
    manifest = tmp_path / "out" / "bundle.json"
    manifest.write_text(manifest.read_text()[:200])
    assert "bundle.json' is damaged; export the bundle again" in refused(capsys, "serve", tmp_path / "out")
    manifest.unlink()
    assert "has no bundle.json" in refused(capsys, "serve", tmp_path / "out")
