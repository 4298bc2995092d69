"""The manifests of deploy/k8s, rendered by kustomize and judged offline.

Judged by Kubernetes' own schemas (unknown fields refused), by the restricted pod security standard, and by whether what
a manifest names is there: config maps, secrets, volumes, ports, the Deployment that an autoscaler scales.
"""

import json
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from chassis.desk import postgres as desk
from chassis.read_store import postgres as read_store
from chassis.store import postgres as log
from tests.architecture.tree import ROOT
from tests.engines import kustomize

K8S = ROOT / "deploy/k8s"
OVERLAYS = tuple(sorted(path.name for path in (K8S / "overlays").iterdir()))
VERSION = "1.31"
RENDER_SECONDS = 60
OWN_SCHEMAS = {
    "ExternalSecret": {
        "refreshInterval": str,
        "secretStoreRef": {"kind": str, "name": str},
        "target": {"name": str, "creationPolicy": str},
        "dataFrom": list,
        "data": list,
    }
}
"""Of kinds that Kubernetes has no schema for: the fields that may stand in `spec`, and what they are."""
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
BY_HAND = {"keys", "engines", "gateway-tls"}
"""Secrets that no manifest makes: docs/operations.md says how."""
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
OURS = "entente/"
KEPT = ("ENTENTE_POSTGRES", "ENTENTE_READ_STORE", "ENTENTE_KEY_STORE")
"""What names the engines that hold all that a service keeps, where it has no volume."""
PROCESS_CONNECTIONS = log.CONNECTIONS_MAX + read_store.CONNECTIONS_MAX + desk.CONNECTIONS_MAX + 1
"""What a process may have to one PostgreSQL: for its log, its read models, what it remembers, and that it is at work."""
ADMINISTRATORS, PODS_MIN = 3, 2
"""How many connections PostgreSQL keeps for those who administer it; and how many pods outlive the loss of a node."""
ALLOWED = "entente/postgres-connections"
Manifest = dict[str, Any]


def rendered(folder: Path) -> list[Manifest]:
    """The manifests of an overlay. Raises CalledProcessError where kustomize refuses it."""
    command = [kustomize.path() or "kustomize", "build", str(folder)]
    built = subprocess.run(command, capture_output=True, text=True, check=True, timeout=RENDER_SECONDS)
    return [one for one in yaml.safe_load_all(built.stdout) if one]


def complaints(manifests: list[Manifest]) -> list[str]:
    """What is wrong with an overlay, each with the object it is about."""
    found = [(one, said) for one in manifests for judge in (of_schema, of_security) for said in judge(one)]
    found += [
        (one, said)
        for one in manifests
        for judge in (of_references, of_keeping, of_connections, of_surviving)
        for said in judge(one, manifests)
    ]
    found += [
        (one, said) for one in manifests if one["kind"] == "PodDisruptionBudget" for said in of_moving(one, manifests)
    ]
    return [f"{one['kind']}/{one['metadata']['name']}: {said}" for one, said in found]


def of_schema(one: Manifest) -> Iterator[str]:
    """What Kubernetes' schema, or our own of a foreign kind, holds against it."""
    if one["kind"] in OWN_SCHEMAS:
        yield from _strange(one["spec"], OWN_SCHEMAS[one["kind"]], "spec")
        return
    if said := _judged(json.dumps(one, sort_keys=True)):
        yield said


@cache
def _judged(manifest: str) -> str:
    """What Kubernetes' schema says first; "" for nothing."""
    import kubernetes_validate  # its grammars take two seconds to make, of whoever only collects tests too

    try:
        kubernetes_validate.validate(json.loads(manifest), VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(map(str, error.path))}: {error.message}"
    return ""


def _strange(value: Any, wanted: Any, where: str) -> Iterator[str]:
    if isinstance(wanted, type):
        if not isinstance(value, wanted):
            yield f"{where}: {value!r} is no {wanted.__name__}"
        return
    for name, part in value.items():
        if name not in wanted:
            yield f"{where}.{name}: is not known"
        else:
            yield from _strange(part, wanted[name], f"{where}.{name}")


def pods(one: Manifest) -> list[Manifest]:
    """The pod specification of what makes pods."""
    template = template_of(one)
    return [template["spec"]] if "containers" in template.get("spec", {}) else []


def template_of(one: Manifest) -> Manifest:
    """What it makes pods of; nothing where it makes none."""
    spec = one.get("spec", {})
    template = spec.get("jobTemplate", {}).get("spec", spec).get("template", {})
    return template if isinstance(template, dict) else {}


def labels_of(one: Manifest) -> dict[str, str]:
    """The labels of its pods."""
    found: dict[str, str] = template_of(one).get("metadata", {}).get("labels", {})
    return found


def of_security(one: Manifest) -> Iterator[str]:
    """What the restricted pod security standard holds against it."""
    for pod in pods(one):
        yield from _unsafe_pod(pod)
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            yield from _unsafe_container(container, pod.get("securityContext", {}))


def _unsafe_pod(pod: Manifest) -> Iterator[str]:
    yield from (f"{name} is not allowed" for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name))
    for volume in pod.get("volumes", []):
        if not VOLUMES & volume.keys():
            yield f"volume {volume['name']} is of a kind that is not allowed"


def _unsafe_container(container: Manifest, pod: Manifest) -> Iterator[str]:
    own = container.get("securityContext", {})
    both = {**pod, **own}
    wanted = {
        "runs as root": both.get("runAsNonRoot") is True and both.get("runAsUser", 1) != 0,
        "has no seccomp profile": both.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
        "may escalate its privileges": own.get("allowPrivilegeEscalation") is False,
        "keeps capabilities": own.get("capabilities", {}).get("drop") == ["ALL"],
        "adds capabilities": set(own.get("capabilities", {}).get("add", [])) <= {"NET_BIND_SERVICE"},
        "is privileged": not own.get("privileged"),
        "takes host ports": not any("hostPort" in port for port in container.get("ports", [])),
    }
    yield from (f"{container['name']} {said}" for said, holds in wanted.items() if not holds)


def of_references(one: Manifest, manifests: list[Manifest]) -> Iterator[str]:
    """What it names that is nowhere."""
    there = {(other["kind"], other["metadata"]["name"]) for other in manifests}
    there |= {("Secret", other["spec"]["target"]["name"]) for other in manifests if other["kind"] == "ExternalSecret"}
    there |= {("Secret", name) for name in BY_HAND}
    for kind, name in _named(one):
        if (kind, name) not in there:
            yield f"{kind} {name} is nowhere"
    if one["kind"] == "Service" and not any(_selects(one["spec"]["selector"], other) for other in manifests):
        yield "selects no pod"


def of_keeping(one: Manifest, manifests: list[Manifest]) -> Iterator[str]:
    """What of a service would be gone with its pod, or would be kept in two places."""
    for pod in pods(one):
        for runs in pod["containers"]:
            if not runs["image"].startswith(OURS):
                continue
            named = _engines_of(runs)
            yield from (f"{key} is another engine's address" for key, engine in named.items() if engine != key)
            if "ENTENTE_KEY_STORE" not in named and any("ENTENTE_KEY_STORE" in it for it in _all_engines(manifests)):
                yield f"{runs['name']} keeps its keys elsewhere than others"
        if one["kind"] == "Deployment" and pod["containers"][0]["image"].startswith(OURS):
            yield from _of_volume_or_none(pod)


def _of_volume_or_none(pod: Manifest) -> Iterator[str]:
    """A service's pods share a volume and a node, or all that they keep is in engines."""
    [runs] = pod["containers"]
    bound = bool(pod.get("affinity", {}).get("podAffinity", {}).get(REQUIRED))
    if _has_volume(pod):
        if not bound:
            yield "may stand on another node than others that have its volume"
        return
    if bound:
        yield "has to stand where others do, for files that it has not"
    yield from (
        f"has no volume, and no secret names {key} for what it keeps" for key in KEPT if key not in _engines_of(runs)
    )
    given = {entry["name"]: entry.get("value") for entry in runs["env"]}
    if runs["image"].startswith(f"{OURS}incentives") and given.get("ENTENTE_PROVIDER") != "file":
        yield "has no volume for the file of its simulated bank: ENTENTE_PROVIDER names no other"


def of_connections(one: Manifest, manifests: list[Manifest]) -> Iterator[str]:
    """Whether PostgreSQL has to allow fewer connections than the processes of a rollout, and a job beside it, may have."""
    if one["kind"] != "ConfigMap" or not one["metadata"]["name"].startswith("settings"):
        return
    allowed = int(one["metadata"].get("annotations", {}).get(ALLOWED, 0))
    processes = sum(sum(_most_of(other, manifests)) for other in manifests if _is_service(other)) + 1
    wanted = processes * PROCESS_CONNECTIONS + ADMINISTRATORS
    if wanted > allowed:
        yield f"{ALLOWED} is {allowed}, and {processes} processes may have {wanted} connections"


def of_surviving(one: Manifest, manifests: list[Manifest]) -> Iterator[str]:
    """What of a service is gone with one node, though its pods could stand on several."""
    if _is_service(one) and not _has_volume(pods(one)[0]) and _fewest_of(one, manifests) < PODS_MIN:
        yield "has one pod, which may be on the node that is lost"


def _has_volume(pod: Manifest) -> bool:
    return any("persistentVolumeClaim" in volume for volume in pod["volumes"])


def _is_service(one: Manifest) -> bool:
    return one["kind"] == "Deployment" and pods(one)[0]["containers"][0]["image"].startswith(OURS)


def _scaled(one: Manifest, manifests: list[Manifest]) -> Manifest:
    """What an autoscaler says of it; nothing where there is none."""
    name = one["metadata"]["name"]
    scalers = (other["spec"] for other in manifests if other["kind"] == "HorizontalPodAutoscaler")
    return next((spec for spec in scalers if spec["scaleTargetRef"]["name"] == name), {})


def _fewest_of(one: Manifest, manifests: list[Manifest]) -> int:
    fewest: int = _scaled(one, manifests).get("minReplicas", one["spec"].get("replicas", 1))
    return fewest


def _most_of(one: Manifest, manifests: list[Manifest]) -> tuple[int, int]:
    """How many pods there may be of it, and how many more while it is rolled out."""
    most = _scaled(one, manifests).get("maxReplicas", one["spec"].get("replicas", 1))
    return most, one["spec"]["strategy"]["rollingUpdate"]["maxSurge"]


def _all_engines(manifests: list[Manifest]) -> Iterator[dict[str, str]]:
    return (_engines_of(runs) for one in manifests for pod in pods(one) for runs in pod["containers"])


def _engines_of(container: Manifest) -> dict[str, str]:
    """Which of a secret's values names an engine, by the variable that is to name it."""
    sources = {entry["name"]: entry.get("valueFrom", {}).get("secretKeyRef") for entry in container.get("env", [])}
    return {name: ref["key"] for name, ref in sources.items() if ref and name in KEPT}


def of_moving(budget: Manifest, manifests: list[Manifest]) -> Iterator[str]:
    """Which pods it would keep from leaving a node.

    Who has to stand where others of its service stand starts elsewhere only when all of them have left: a budget that lets
    them go one by one lets the first one go, waits for it to be ready again, and never lets the others go.
    """
    if budget["spec"].get("maxUnavailable") == "100%":
        return
    for other in manifests:
        bound = any(pod.get("affinity", {}).get("podAffinity", {}).get(REQUIRED) for pod in pods(other))
        if bound and _selects(budget["spec"]["selector"]["matchLabels"], other):
            yield f"keeps {other['metadata']['name']} on its node: its pods can only move together"


def _named(one: Manifest) -> Iterator[tuple[str, str]]:
    for pod in pods(one):
        for volume in pod.get("volumes", []):
            yield from _of_volume(volume)
        for container in pod["containers"]:
            for source in container.get("envFrom", []):
                yield from (("ConfigMap", ref["name"]) for name, ref in source.items() if name == "configMapRef")
                yield from (("Secret", ref["name"]) for name, ref in source.items() if name == "secretRef")
            yield from (("Secret", ref["name"]) for ref in _secret_keys(container))
    if one["kind"] == "HorizontalPodAutoscaler":
        target = one["spec"]["scaleTargetRef"]
        yield target["kind"], target["name"]


def _secret_keys(container: Manifest) -> list[dict[str, str]]:
    sources = [entry.get("valueFrom", {}) for entry in container.get("env", [])]
    return [source["secretKeyRef"] for source in sources if "secretKeyRef" in source]


def _of_volume(volume: Manifest) -> Iterator[tuple[str, str]]:
    if "configMap" in volume:
        yield "ConfigMap", volume["configMap"]["name"]
    if "secret" in volume:
        yield "Secret", volume["secret"]["secretName"]
    for source in volume.get("projected", {}).get("sources", []):
        yield from (("Secret", ref["name"]) for name, ref in source.items() if name == "secret")
    if "persistentVolumeClaim" in volume:
        yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]


def _selects(selector: dict[str, str], other: Manifest) -> bool:
    return bool(pods(other)) and selector.items() <= labels_of(other).items()
