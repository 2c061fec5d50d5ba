"""The files in serve/, checked by whatever needs no container engine, no cluster and no network.

Not covered: building the images, running them.
"""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any

import kubernetes_validate
import promql_parser
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from llmtl import __version__
from llmtl.cli import main
from llmtl.serving.task_api.asgi import ApiKey
from llmtl.serving.task_api.gate import Gate

SERVE = Path(__file__).parents[2] / "serve"
if not SERVE.is_dir():
    pytest.skip("the serve folder is not there", allow_module_level=True)
KUBERNETES = SERVE / "kubernetes"
DOCKERFILES = ("Dockerfile", "Dockerfile.cpu")
COMPOSE = ("docker-compose.yaml", "docker-compose.gpu.yaml")
YAML_FILES = sorted(path.relative_to(SERVE).as_posix() for path in SERVE.rglob("*.y*ml"))
YAMLLINT = "{extends: default, rules: {line-length: {max: 120}, document-start: disable}}"
DASHBOARD = SERVE / "grafana/dashboards/llmtl.json"
RECORDED = Path(__file__).with_name("vllm-0.32.0-metrics.txt")
"""Types, and the first sample of each name, from `/metrics` of a real vLLM 0.32.0 that had answered three requests and
refused one."""
SECRET = re.compile(r"(api[_-]?key|password|token|secret)\s*[:=]\s*['\"]?[A-Za-z0-9+/_-]{8,}", re.IGNORECASE)


def tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the environment's packages, else of the machine."""
    found = shutil.which(name, path=Path(sys.executable).parent) or shutil.which(name)
    assert found, f"{name} is not installed"
    return subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=600)


def documents(name: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all((SERVE / name).read_text()) if each]


def compose() -> dict[str, Any]:
    return documents("docker-compose.yaml")[0]


def pods() -> dict[str, dict[str, Any]]:
    """The pod specifications of all manifests by the name of their workload."""
    found = {}
    for path in sorted(KUBERNETES.glob("*.yaml")):
        for each in documents(f"kubernetes/{path.name}"):
            if each["kind"] == "Pod":
                found[each["metadata"]["name"]] = each["spec"]
            elif each["kind"] == "Deployment":
                found[each["metadata"]["name"]] = each["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("name", DOCKERFILES)
def test_dockerfiles_pass_hadolint(name: str):
    done = tool("hadolint", "--failure-threshold", "info", SERVE / name)
    assert done.returncode == 0, done.stdout


def test_hadolint_would_find_something(tmp_path: Path):
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN cd /tmp && apt-get install curl\n")
    assert tool("hadolint", tmp_path / "Dockerfile").returncode != 0


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_run_as_a_user_with_a_health_check_and_hold_no_secret(name: str):
    text = (SERVE / name).read_text()
    last = text[text.rindex("FROM ") :]
    assert re.search(r"^USER 10001$", last, re.MULTILINE)
    assert "HEALTHCHECK" in last
    assert ":latest" not in text
    assert not SECRET.search(text)
    assert not re.search(r"^(ARG|ENV).*(KEY|TOKEN|PASSWORD)", text, re.MULTILINE)
    copied = re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
    sources = set(chain.from_iterable(line.split()[:-1] for line in copied))
    ignored = (SERVE / f"{name}.dockerignore").read_text().splitlines()
    assert {f"!{source}" for source in sources} <= set(ignored)
    assert "*" in ignored
    assert all((SERVE.parent / source).exists() for source in sources)
    assert text.index("pyproject.toml") < text.index("COPY llmtl llmtl")  # packages are cached apart from the code


@pytest.mark.parametrize(
    ("name", "installs"),
    [
        ("Dockerfile", r"--editable '\.\[gpu,([\w,]+)\]'"),
        ("Dockerfile.cpu", r"install\.py --device cpu --extras ([\w,]+)"),
    ],
)
def test_images_can_embed_messages_at_no_cost_in_size(name: str, installs: str):
    [extras] = re.findall(installs, (SERVE / name).read_text())
    assert "embeddings" in extras.split(",")
    project = tomllib.loads((SERVE.parent / "pyproject.toml").read_text())["project"]
    wanted = {Requirement(each).name for each in project["optional-dependencies"]["embeddings"]}
    assert wanted == {"sentence-transformers"}
    extras = project["optional-dependencies"]
    there = closure({Requirement(each).name for each in [*project["dependencies"], *extras["local"]]})
    assert closure(wanted) - there == wanted  # torch and all else are there without it


def closure(names: set[str]) -> set[str]:
    """Return the packages with those that they need, in canonical names, as they are installed here."""
    found: set[str] = set()
    waiting = {canonicalize_name(name) for name in names}
    while waiting:
        found |= waiting
        needed = (Requirement(line) for name in waiting for line in metadata.requires(name) or ())
        plain = [each for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
        waiting = {canonicalize_name(each.name) for each in plain} - found
    return found


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_images_command_is_one_that_llmtl_takes(name: str, capsys: pytest.CaptureFixture[str]):
    text = (SERVE / name).read_text()
    command = json.loads(re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE)[-1])
    assert re.search(r'^ENTRYPOINT \["llmtl"\]$', text, re.MULTILINE)
    assert command == ["serve", "/bundle", "--host", "0.0.0.0", "--no-playground"]
    assert main(command) == 2  # understood, and refused for the one thing that is missing here
    assert "'/bundle'" in capsys.readouterr().err


@pytest.mark.parametrize("name", YAML_FILES)
def test_yaml_passes_yamllint(name: str):
    done = tool("yamllint", "--strict", "-d", YAMLLINT, SERVE / name)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", COMPOSE)
def test_compose_files_follow_the_schema(name: str):
    done = tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", SERVE / name)
    assert done.returncode == 0, done.stdout


def test_everything_is_published_on_the_loopback_interface_only():
    published = [port for service in compose()["services"].values() for port in service.get("ports", [])]
    assert len(published) == 4
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_compose_services_are_locked_down_and_wait_for_each_other():
    services = compose()["services"]
    assert set(services) == {"server", "playground", "prometheus", "grafana"}
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "@" in service["image"] or re.search(r":v?\d", service["image"])
    assert services["playground"]["depends_on"]["server"] == {"condition": "service_healthy"}
    assert services["grafana"]["depends_on"]["prometheus"] == {"condition": "service_healthy"}
    for name, target in (("server", "/bundle"), ("playground", "/run-folder")):
        [mount] = [each for each in services[name]["volumes"] if isinstance(each, dict)]
        assert (mount["target"], mount["read_only"]) == (target, True)
    assert services["server"]["command"][1] == "/bundle"
    for service in ("server", "playground"):
        assert services[service]["environment"]["LLMTL_API_KEY"].startswith("${LLMTL_API_KEY:?")
    assert "healthcheck" not in services["server"]  # the image has one
    assert services["server"]["env_file"] == [{"path": "provider.env", "required": False}]
    assert "env_file" not in services["playground"]  # a provider's key is the server's alone


def test_no_file_holds_a_secret():
    for path in SERVE.rglob("*"):
        if path.is_file() and path.suffix in {".yaml", ".yml", ".json", ".md"}:
            found = [each.group() for each in SECRET.finditer(path.read_text()) if "$" not in each.group()]
            assert not found, path


def test_images_carry_the_version_of_the_package():
    tags = {f"llmtl:{__version__}", f"llmtl:{__version__}-cpu"}
    used = {service["image"] for name in COMPOSE for service in documents(name)[0]["services"].values()}
    assert tags <= used
    images = documents("kubernetes/kustomization.yaml")[0]["images"]
    assert {f"{image['newName']}:{image['newTag']}" for image in images} == tags


@pytest.mark.parametrize("name", sorted({path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}))
def test_manifests_follow_the_schema(name: str):
    for document in documents(f"kubernetes/{name}"):
        kubernetes_validate.validate(document, "1.33", strict=True)


def test_the_manifest_check_would_find_something():
    document = documents("kubernetes/server.yaml")[0]
    document["spec"]["template"]["spec"]["containers"][0]["startupProbes"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, "1.33", strict=True)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_the_kustomization_builds():
    done = tool("kubectl", "kustomize", KUBERNETES)
    assert done.returncode == 0, done.stderr
    built = [each for each in yaml.safe_load_all(done.stdout) if each]
    images = {c["image"] for each in built if each["kind"] == "Deployment" for c in containers(each)}
    assert images == {f"llmtl:{__version__}", f"llmtl:{__version__}-cpu"}
    assert {each["kind"] for each in built} == {"Deployment", "Service", "PersistentVolumeClaim", "NetworkPolicy"}


def containers(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = deployment["spec"]["template"]["spec"]["containers"]
    return found


def test_every_manifest_is_in_the_kustomization_or_said_not_to_be():
    listed = documents("kubernetes/kustomization.yaml")[0]["resources"]
    present = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert present - set(listed) == {"loader.yaml"}


def test_pods_run_without_privileges():
    assert set(pods()) == {"llmtl-server", "llmtl-playground", "llmtl-loader"}
    for spec in pods().values():
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"requests", "limits"} <= container["resources"].keys()


def test_the_server_pod_has_probes_a_gpu_its_bundle_and_its_key():
    [server] = pods()["llmtl-server"]["containers"]
    for probe, path in (("startupProbe", "/ready"), ("readinessProbe", "/ready"), ("livenessProbe", "/live")):
        assert server[probe]["httpGet"] == {"path": path, "port": "http"}
    started_within = server["startupProbe"]["periodSeconds"] * server["startupProbe"]["failureThreshold"]
    assert started_within >= 1800  # as long as llmtl serve itself waits
    assert server["resources"]["limits"]["nvidia.com/gpu"] == "1"
    [mount] = [mount for mount in server["volumeMounts"] if mount["name"] == "bundle"]
    assert (mount["mountPath"], mount["readOnly"]) == ("/bundle", True)
    assert server["env"] == [
        {"name": "LLMTL_API_KEY", "valueFrom": {"secretKeyRef": {"name": "llmtl-api-key", "key": "key"}}}
    ]
    assert server["args"][:2] == ["serve", "/bundle"]


def test_each_pod_that_serves_has_a_network_policy_for_both_ways():
    policies = {each["metadata"]["name"]: each["spec"] for each in documents("kubernetes/network.yaml")}
    assert set(policies) == {"llmtl-server", "llmtl-playground"}
    for name, spec in policies.items():
        assert spec["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": name}
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        assert all(rule["from"] == [{"podSelector": {}}] for rule in spec["ingress"])
    outside = [rule["ports"] for rule in policies["llmtl-playground"]["egress"] if "to" not in rule]
    assert outside == [[{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]]


@pytest.mark.parametrize("name", ["llmtl-server", "llmtl-playground"])
def test_pods_that_serve_are_probed_and_write_to_nothing_but_scratch_space(name: str):
    spec = pods()[name]
    [container] = spec["containers"]
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
    assert "memory" in container["resources"]["limits"]
    scratch = {volume["name"] for volume in spec["volumes"] if "emptyDir" in volume}
    written = {mount["name"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert written <= scratch


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_keep_the_rules_that_no_linter_checks(name: str):
    text = (SERVE / name).read_text()
    assert not re.search(r"^ADD |curl[^\n]*\|\s*(ba)?sh|--trusted-host|chmod 777|sudo ", text, re.MULTILINE)
    for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE):
        assert re.search(r":v?\d+\.\d+", image), f"{image} is not pinned"
    last = text[text.rindex("FROM ") :]
    assert last.index("USER 10001") > last.index(
        "COPY llmtl llmtl"
    )  # the code belongs to root: a server cannot change it
    assert not re.search(r"^(RUN|COPY|USER)", last[last.index("USER 10001") + 1 :], re.MULTILINE)


@pytest.mark.parametrize("name", ["server", "playground"])
def test_services_reach_their_pods(name: str):
    deployment, service = documents(f"kubernetes/{name}.yaml")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    [port] = service["spec"]["ports"]
    [container] = containers(deployment)
    assert port["targetPort"] in {each["name"] for each in container["ports"]}
    assert port["port"] == container["ports"][0]["containerPort"]


def recorded() -> dict[str, set[str]]:
    """Every sample name with its label names: vLLM's as recorded, and those of the app for other winners."""
    registry = CollectorRegistry()
    Gate(None, key=ApiKey(None), registry=registry, routes=())
    found: dict[str, set[str]] = {"up": {"job", "instance"}}
    for family in text_string_to_metric_families(RECORDED.read_text()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    for collector in list(registry._collector_to_names):  # labelled metrics without a sample are not exposed
        for name in registry._collector_to_names[collector]:
            found.setdefault(name, set()).update(collector._labelnames)
            found.setdefault(f"{name}_bucket", set()).update([*collector._labelnames, "le"])
    return found


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def selectors(node: Any) -> list[Any]:
    """Every vector selector of a parsed expression."""
    if isinstance(node, promql_parser.VectorSelector):
        return [node]
    names = ("expr", "lhs", "rhs", "vector_selector", "vs", "args")
    children = chain.from_iterable(
        child if isinstance(child, list) else [child] for name in names if (child := getattr(node, name, None))
    )
    return [found for child in children for found in selectors(child)]


def parsed(expression: str) -> Any:
    return promql_parser.parse(expression.replace("$__rate_interval", "1m"))


@pytest.mark.parametrize("expression", expressions())
def test_the_dashboard_asks_for_metrics_and_labels_that_exist(expression: str):
    known = recorded()
    found = selectors(parsed(expression))
    assert found
    for selector in found:
        assert selector.name in known
        asked = {matcher.name for matcher in selector.matchers.matchers}
        assert asked - {"job"} <= known[selector.name], selector.name
    grouped = {label.strip() for labels in re.findall(r"by \(([^)]*)\)", expression) for label in labels.split(",")}
    assert grouped <= set().union(*(known[selector.name] for selector in found))


def test_the_dashboard_shows_what_was_promised():
    asked = {selector.name for expression in expressions() for selector in selectors(parsed(expression))}
    assert {
        "http_requests_total",
        "vllm:e2e_request_latency_seconds_bucket",
        "vllm:time_to_first_token_seconds_bucket",
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "vllm:generation_tokens_total",
        "vllm:kv_cache_usage_perc",
        "vllm:prefix_cache_hits_total",
        "vllm:request_success_total",
        "llmtl_requests_total",
        "llmtl_request_seconds_bucket",
        "process_resident_memory_bytes",
    } <= asked


def test_dashboard_panels_are_distinct_and_do_not_overlap():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_grafana_is_told_of_the_dashboard_and_of_prometheus():
    dashboard = json.loads(DASHBOARD.read_text())
    [source] = documents("grafana/provisioning/datasources/prometheus.yaml")[0]["datasources"]
    used = {panel["datasource"]["uid"] for panel in dashboard["panels"] if "datasource" in panel}
    assert used == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"
    [provider] = documents("grafana/provisioning/dashboards/llmtl.yaml")[0]["providers"]
    mounts = compose()["services"]["grafana"]["volumes"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounts


def test_prometheus_scrapes_the_server():
    [job] = documents("prometheus.yml")[0]["scrape_configs"]
    assert job["job_name"] == json.loads(DASHBOARD.read_text())["templating"]["list"][0]["current"]["value"]
    assert job["static_configs"] == [{"targets": ["server:8000"]}]
    assert job["metrics_path"] == "/metrics"
