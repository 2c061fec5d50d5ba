"""What llmtl is installed with: pinned versions, a bill of materials, and whether any of it has a known hole.

    python .ci/supply.py constraints    write constraints.txt: the versions in this environment
    python .ci/supply.py sbom           write sbom.json: CycloneDX 1.6, every package with its licence
    python .ci/supply.py audit          compare constraints.txt with the vulnerabilities that PyPI knows of

Run by `make constraints`, `make sbom` and `make audit`. Not covered: the system's libraries, container images (scan
those where they are built), what models were trained on.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS, SBOM = ROOT / "constraints.txt", ROOT / "sbom.json"
OURS = "llmtl"
_TOOLS = {"pip", "setuptools", "uv", "wheel"}
"""What installs packages is not pinned: an older one may not know how to install the others."""
_HEAD = """# The versions that are tested, on Linux, Python 3.11 and a CPU: pip install -c constraints.txt 'llmtl[cpu]'
# Written by `make constraints`; `make audit` says which of them have known vulnerabilities.
"""


def installed() -> dict[str, Distribution]:
    """Find the packages of this environment by canonical name, in order."""
    found = {canonicalize_name(each.metadata["Name"]): each for each in distributions()}
    return dict(sorted(found.items()))


def constraints() -> str:
    """Write one pin per package; a build for one kind of machine (`+cpu`) is pinned as its version."""
    pins = (f"{name}=={each.version.partition('+')[0]}" for name, each in installed().items() if name not in _TOOLS)
    return _HEAD + "".join(f"{pin}\n" for pin in pins if not pin.startswith(f"{OURS}=="))


def sbom() -> str:
    """Write the bill of materials: llmtl, and below it every package with version, licence, origin and needs."""
    found = installed()
    components = {name: _component(name, each) for name, each in found.items()}
    bom = Bom(components=[each for name, each in components.items() if name != OURS])
    bom.metadata.component = components[OURS]
    for name, each in found.items():
        needs = [components[other] for other in _needs(each) if other in components and other != name]
        bom.register_dependency(components[name], needs)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def audit() -> int:
    """Print the known vulnerabilities; return 0 without any, 1 with some, 2 where not everything could be checked."""
    asked = [sys.executable, "-m", "pip_audit", "--requirement", str(CONSTRAINTS), "--no-deps", "--disable-pip"]
    told = ["--format", "json", "--progress-spinner", "off", "--timeout", "15"]
    done = subprocess.run([*asked, *told], capture_output=True, text=True, check=False)
    try:
        rows = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        print(f"audit: PyPI cannot be asked, nothing was checked ({last}); connect, and run again.", file=sys.stderr)
        return 2
    return _report(rows)


def _report(rows: Sequence[Mapping[str, Any]]) -> int:
    """Print what an audit found; packages that could not be looked up are not taken for sound."""
    unchecked = [row for row in rows if "skip_reason" in row]
    if unchecked and len(unchecked) == len(rows):
        reason = unchecked[0]["skip_reason"]
        print(f"audit: none of {len(rows)} packages could be checked ({reason}); connect, and run again.")
        return 2
    holes = [(row, hole) for row in rows for hole in row.get("vulns", ())]
    for row, hole in holes:
        cure = f"fixed in {', '.join(hole['fix_versions'])}" if hole.get("fix_versions") else "not fixed yet"
        print(f"{row['name']} {row['version']}: {hole['id']} ({cure})")
    print(f"{len(rows) - len(unchecked)} of {len(rows)} packages were checked: {len(holes)} known vulnerabilities.")
    if holes:
        return 1
    if unchecked:
        print(
            f"audit: {len(unchecked)} packages could not be checked ({unchecked[0]['skip_reason']}).", file=sys.stderr
        )
        return 2
    return 0


def main(arguments: list[str]) -> int:
    """Carry out one command and return its exit code."""
    match arguments:
        case ["constraints"]:
            CONSTRAINTS.write_text(constraints(), encoding="utf-8")
            print(f"Written: {CONSTRAINTS}")
        case ["sbom"]:
            SBOM.write_text(sbom(), encoding="utf-8")
            print(f"Written: {SBOM}")
        case ["audit"]:
            return audit()
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


def _component(name: str, found: Distribution) -> Component:
    about = found.metadata
    said = about.get("License-Expression") or about.get("License") or ""
    licences = [LicenseFactory().make_from_string(line) for line in said.splitlines()[:1] if line.strip()]
    pages = [] if name == OURS else [f"https://pypi.org/project/{name}/{found.version}/"]
    return Component(
        name=name,
        version=found.version,
        type=ComponentType.APPLICATION if name == OURS else ComponentType.LIBRARY,
        bom_ref=f"{name}=={found.version}",
        purl=PackageURL("pypi", name=name, version=found.version),
        description=about.get("Summary"),
        licenses=licences,
        external_references=[
            ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(page)) for page in pages
        ],
    )


def _needs(found: Distribution) -> Iterator[str]:
    """Name the packages that one needs here, extras left out."""
    for line in found.requires or ():
        needed = Requirement(line)
        if needed.marker is None or needed.marker.evaluate({"extra": ""}):
            yield canonicalize_name(needed.name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
