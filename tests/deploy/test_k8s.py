"""Every overlay renders and holds, and a wrong value in one is seen."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from chassis.cli import command_line
from chassis.process import make_world
from chassis.settings import ServiceSettings
from contracts.catalogue import SERVICES
from services.__main__ import build_all
from services.gateway.app import Settings
from tests.architecture.tree import ROOT
from tests.deploy.manifests import ALLOWED, K8S, OVERLAYS, Manifest, complaints, labels_of, pods, rendered

PART_OF = "app.kubernetes.io/part-of"
ENGINES = ("POSTGRES", "READ_STORE", "KAFKA")
STATELESS = {"production", "staging"}
"""The overlays in which no pod of a service has a volume."""
NOT_OUTSIDE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"]
"""Private networks, what providers share out among pods and nodes, and where a cloud tells a machine its secrets."""
DEPLOYING = (ROOT / "docs/deploying.md").read_text()
pytestmark = pytest.mark.usefixtures("kustomize")


@cache
def overlay(name: str) -> tuple[Manifest, ...]:
    return tuple(rendered(K8S / "overlays" / name))


def one(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    return next(m for m in manifests if (m["kind"], m["metadata"]["name"]) == (kind, name))


def container(manifests: list[Manifest], name: str = "registration") -> Any:
    return one(manifests, "Deployment", name)["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_holds(name: str) -> None:
    assert [] == complaints(list(overlay(name)))


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_service_runs_with_its_own_image_and_asks_its_real_probes(name: str) -> None:
    for service in SERVICES:
        runs = container(list(overlay(name)), service)
        assert runs["image"].rpartition(":")[0] == f"entente/{service}"
        assert runs["args"][0] == "serve"
        asked = {probe: runs[f"{probe}Probe"] for probe in ("startup", "liveness", "readiness")}
        paths = {probe: str(asked[probe]).count("/livez") for probe in asked}
        assert paths == {"startup": 1, "liveness": 1, "readiness": 0}
        assert "/readyz" in str(asked["readiness"])


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_settings_of_an_overlay_are_those_of_the_code(name: str) -> None:
    known = {f"ENTENTE_{field.upper()}" for field in Settings.model_fields}
    assert set(written(name)) <= known
    assert set(settings_of(name).upstreams) == set(SERVICES) - {"gateway"}


@pytest.mark.parametrize("name", OVERLAYS)
def test_behind_an_ingress_callers_are_told_apart_by_what_it_says_and_nobody_else_can_say_it(name: str) -> None:
    there = {(m["kind"], m["metadata"]["name"]): m for m in overlay(name)}
    behind = ("Ingress", "gateway") in there
    assert bool(settings_of(name).trusted_proxies) is behind
    if behind:
        door = there["NetworkPolicy", "door"]["spec"]
        controller = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}
        assert [rule["from"] for rule in door["ingress"]] == [[controller]]


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_next_release_s_migration_takes_the_place_of_the_last_one_s(name: str) -> None:
    migrate = one(list(overlay(name)), "Job", "migrate")
    assert migrate["metadata"]["annotations"] == {
        "argocd.argoproj.io/hook": "Sync",
        "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
        "kustomize.toolkit.fluxcd.io/force": "enabled",
    }
    tags = {pods(m)[0]["containers"][0]["image"].rpartition(":")[2] for m in overlay(name) if pods(m) and is_ours(m)}
    assert {runs["image"].rpartition(":")[2] for runs in pods(migrate)[0]["containers"]} == tags
    by_hand = re.findall(r"^ *\$ kubectl (.*)$", DEPLOYING.partition("## Upgrade and rollback")[2], re.MULTILINE)[:3]
    assert [words.split()[words.startswith("-n") * 2] for words in by_hand] == ["delete", "apply", "wait"]


def is_ours(one: Manifest) -> bool:
    """Whether its pods run a service's image."""
    return all(runs["image"].startswith("entente/") for pod in pods(one) for runs in pod["containers"])


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_pod_of_ours_is_found_by_what_is_said_of_all_of_them(name: str) -> None:
    part = {m["metadata"]["name"]: labels_of(m).get(PART_OF) for m in overlay(name) if pods(m) and is_ours(m)}
    assert part == dict.fromkeys(part, "entente")
    for service in SERVICES:
        assert part.keys() >= {service, f"{service}-maintenance"}


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_keys_of_each_service_are_copied_where_its_files_are_and_to_a_volume_of_their_own(name: str) -> None:
    manifests = list(overlay(name))
    for service in SERVICES:
        cron = one(manifests, "CronJob", f"{service}-maintenance")
        [pod] = pods(cron)
        runs = pod["containers"][0]
        assert runs["image"].rpartition(":")[0] == f"entente/{service}"
        assert runs["args"] == ["keys", "backup", "/keys-backup", "--keep", "24"]
        assert "suspend" not in cron["spec"]
        at = {mount["mountPath"]: mount["name"] for mount in runs["volumeMounts"]}
        claims = {
            v["name"]: v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if "persistentVolumeClaim" in v
        }
        serving = one(manifests, "Deployment", service)
        files = {} if name in STATELESS else {"/data": service}
        assert {path: claims.get(volume) for path, volume in at.items() if volume in claims} == {
            **files,
            "/keys-backup": f"{service}-keys-backup",
        }
        where = pod.get("affinity", {}).get("podAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", [])
        assert len(where) == len(files)
        for found in (labels_of(serving), labels_of(cron)):
            assert all(picks(each["labelSelector"], found) for each in where)
        assert not picks(serving["spec"]["selector"], labels_of(cron)), "no Deployment takes its pods for its own"
        assert not picks({"matchLabels": one(manifests, "Service", service)["spec"]["selector"]}, labels_of(cron))


@pytest.mark.parametrize("name", ["compact", "production", "staging"])
def test_maintenance_reaches_the_engines_and_the_feeds_that_it_fills_from_and_nothing_reaches_it(name: str) -> None:
    manifests = list(overlay(name))
    policies = {m["metadata"]["name"]: m["spec"] for m in manifests if m["kind"] == "NetworkPolicy"}
    for service in SERVICES:
        mine = labels_of(one(manifests, "CronJob", f"{service}-maintenance"))
        out = {title for title, spec in policies.items() if spec.get("egress") and picks(spec["podSelector"], mine)}
        assert out - {"readers-of-feeds"} == {"names", "engines"}
        assert ("readers-of-feeds" in out) is (service in ("gateway", "incentives"))
        into = {title for title, spec in policies.items() if spec.get("ingress") and picks(spec["podSelector"], mine)}
        assert into == {"figures"}, "which lets Prometheus ask on a port where maintenance does not listen"


def ordered(words: list[str], cron: Manifest) -> Manifest:
    """The job that the page has administrators make."""
    made = subprocess.run(
        [K8S / "job", *words], input=json.dumps(cron), capture_output=True, text=True, check=True, timeout=60
    )
    job: Manifest = json.loads(made.stdout)
    return job


def by_hand() -> list[tuple[str, list[str]]]:
    """Each order of the page: whose maintenance, and what it runs."""
    told = re.sub(r"\\\n *", "", DEPLOYING)
    asked = re.findall(r"get cronjob (\S+)-maintenance -o json \| deploy/k8s/job (.*?) \| kubectl create", told)
    return [(service, shlex.split(words)) for service, words in asked]


def test_what_the_page_orders_on_a_cluster_is_a_job_that_holds_and_a_command_that_there_is() -> None:
    manifests = list(overlay("production"))
    orders = by_hand()
    assert {words[0] for _, words in orders} == {"reconcile", "keys", "verify", "--shell"}
    for named, words in orders:
        service = "registration" if named == "$s" else named
        job = ordered(words, one(manifests, "CronJob", f"{service}-maintenance"))
        [pod] = pods(job)
        runs = pod["containers"][0]
        if words[0] == "--shell":
            assert (runs["command"], runs["args"]) == (["/bin/sh", "-c"], words[1:])
        else:
            assert runs["args"] == words
            assert takes(service, words)
        job["metadata"]["name"] = job["metadata"].pop("generateName") + "x7f2k"
        assert complaints([*manifests, job]) == []
        assert labels_of(job) == labels_of(one(manifests, "CronJob", f"{service}-maintenance"))


def takes(service: str, words: list[str]) -> bool:
    """Whether the service's command line knows the command and its options."""
    app = import_module(f"services.{service}.app")
    command: Any = get_command(command_line(service, app.Settings, app.build))
    rest = list(words)
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    command.make_context("", rest, resilient_parsing=False)
    return True


@pytest.mark.parametrize("name", OVERLAYS)
def test_nothing_starts_on_files_because_an_engine_was_not_named(name: str) -> None:
    named = {f"ENTENTE_{engine}": {"name": "engines", "key": f"ENTENTE_{engine}"} for engine in ENGINES}
    ours = [m for m in overlay(name) if pods(m) and is_ours(m)]
    assert len(ours) >= len(SERVICES) + 1
    for one_of_us in ours:
        for runs in pods(one_of_us)[0]["containers"]:
            asked = {entry["name"]: entry.get("valueFrom", {}).get("secretKeyRef", {}) for entry in runs["env"]}
            found = {key: {**asked[key], "name": asked[key]["name"].partition("-")[0]} for key in named}
            assert found == named, one_of_us["metadata"]["name"]
    for made in (m for m in overlay(name) if m["kind"] == "Secret" and m["metadata"]["name"].startswith("engines")):
        assert set(made["data"]) == set(named)
    told = DEPLOYING.partition("create secret generic engines")[2].partition("```")[0]
    assert set(re.findall(r"--from-literal=(\w+)=", told)) == set(named)


def written(name: str) -> dict[str, str]:
    """The settings that an overlay writes, by their variables."""
    found: dict[str, str] = next(m for m in overlay(name) if m["metadata"]["name"].startswith("settings"))["data"]
    return found


def settings_of(name: str) -> Settings:
    """What the code makes of them, with what the secret `engines` holds besides."""
    whole = {**written(name), "ENTENTE_OPENID_SECRET": "from the secret store"}
    return Settings.model_validate_json(settings_json(whole))


def settings_json(settings: dict[str, str]) -> str:
    fields = {name.removeprefix("ENTENTE_").lower(): value for name, value in settings.items()}
    parts = [
        f'"{name}": {value}' if value[:1] in "[{" or value.isdigit() else f'"{name}": "{value}"'
        for name, value in fields.items()
    ]
    return f"{{{', '.join(parts)}}}"


@pytest.mark.parametrize("name", ["compact", "production", "staging"])
def test_where_networks_are_locked_nothing_is_open_but_what_has_to_be(name: str) -> None:
    policies = {m["metadata"]["name"]: m["spec"] for m in overlay(name) if m["kind"] == "NetworkPolicy"}
    assert policies["nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    behind = policies["behind-the-door"]["ingress"]
    assert [rule["from"] for rule in behind] == [
        [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "gateway"}}}]
    ]
    outside = policies["outside-systems"]["egress"]
    assert [rule["to"] for rule in outside] == [[{"ipBlock": {"cidr": "0.0.0.0/0", "except": NOT_OUTSIDE}}]]
    open_to_all = [title for title, spec in policies.items() for rule in spec.get("ingress", []) if "from" not in rule]
    assert open_to_all == []


def test_the_page_s_patch_opens_a_port_and_a_network_of_one_s_own_and_nothing_else(tmp_path: Path) -> None:
    [patches] = re.findall(r"```yaml\n(patches:.*?)```", DEPLOYING, re.DOTALL)
    mine = {"resources": [os.path.relpath(K8S / "overlays/production", tmp_path.resolve())], **yaml.safe_load(patches)}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(mine))
    manifests = rendered(tmp_path)
    assert complaints(manifests) == []
    before, after = (
        {m["metadata"]["name"]: deepcopy(m["spec"]) for m in all_of if m["kind"] == "NetworkPolicy"}
        for all_of in (overlay("production"), manifests)
    )
    assert after["engines"]["egress"][0]["ports"].pop() == {"protocol": "TCP", "port": 9096}
    issuer = {"to": [{"ipBlock": {"cidr": "10.20.0.0/24"}}], "ports": [{"protocol": "TCP", "port": 443}]}
    assert after["outside-systems"]["egress"].pop() == issuer
    assert after == before
    ports = [str(each["port"]) for each in before["engines"]["egress"][0]["ports"]]
    told = DEPLOYING.partition("the engines' usual ports (")[2].partition(")")[0]
    assert re.findall(r"\d+", told) == ports


def picks(selector: Any, labels: dict[str, str]) -> bool:
    """Whether a selector is for pods with these labels."""
    listed = selector.get("matchExpressions", [])
    within = all((labels.get(one["key"]) in one["values"]) == (one["operator"] == "In") for one in listed)
    return within and selector.get("matchLabels", {}).items() <= labels.items()


def pod(service: str, component: str) -> dict[str, str]:
    name = "app.kubernetes.io/"
    return {f"{name}part-of": "entente", f"{name}name": service, f"{name}component": component}


def lets(policies: list[Any], way: str, here: dict[str, str], there: dict[str, str]) -> bool:
    """Whether pods with the labels `here` may begin (egress) or take (ingress) a connection on port 8080 with `there`."""
    end = {"egress": "to", "ingress": "from"}[way]
    return any(
        "podSelector" in peer and "namespaceSelector" not in peer and picks(peer["podSelector"], there)
        for spec in policies
        if picks(spec["podSelector"], here)
        for rule in spec.get(way, [])
        if {"protocol": "TCP", "port": 8080} in rule["ports"]
        for peer in rule.get(end, [])
    )


@pytest.mark.parametrize("name", ["compact", "production", "staging"])
async def test_who_reads_the_feeds_of_others_reaches_them_and_no_other_service_does(name: str, tmp_path: Path) -> None:
    whole = ServiceSettings(port=0, data=tmp_path)
    services = build_all(whole, make_world(whole))
    policies = [m["spec"] for m in overlay(name) if m["kind"] == "NetworkPolicy"]
    for reader, service in services.items():
        heard = frozenset[str]().union(*(one.heard for one in service.projections))
        for source in services.keys() - {reader, "gateway"}:
            there = pod(source, "serve")
            open_ways = [
                lets(policies, "egress", pod(reader, component), there)
                and lets(policies, "ingress", there, pod(reader, component))
                for component in ("serve", "work")
            ]
            assert open_ways == [source in heard or reader == "gateway"] * 2, (reader, source)
        service.application.keys.close()


def test_production_stops_no_sooner_than_requests_and_proxies_need() -> None:
    settings = written("production")
    for deployment in (m for m in overlay("production") if m["kind"] == "Deployment"):
        if deployment["metadata"]["name"] == "collector":
            continue
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        pod = deployment["spec"]["template"]["spec"]
        before = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
        assert pod["terminationGracePeriodSeconds"] > before + int(settings["ENTENTE_STOP_SECONDS"])


def test_split_roles_leave_no_work_undone_and_no_request_unheard() -> None:
    roles = {
        m["metadata"]["name"]: m["spec"]["template"]["spec"]["containers"][0]["args"][2]
        for m in overlay("production")
        if m["kind"] == "Deployment" and m["metadata"]["name"] != "collector"
    }
    assert roles == dict.fromkeys(SERVICES, "api") | {f"{service}-work": "work" for service in SERVICES}


def test_whoever_hears_others_gets_more_processes_when_it_is_behind_by_the_figure_that_the_adapter_gives() -> None:
    scaled = {m["metadata"]["name"]: m["spec"] for m in overlay("production") if m["kind"] == "HorizontalPodAutoscaler"}
    users = [
        m for m in yaml.safe_load_all((ROOT / "deploy/kafka/entente.yaml").read_text()) if m["kind"] == "KafkaUser"
    ]
    groups = [
        acl["resource"]["name"].removeprefix("entente.").rstrip(".")
        for user in users
        for acl in user["spec"]["authorization"]["acls"]
        if acl["resource"]["type"] == "group"
    ]
    work = {name: spec for name, spec in scaled.items() if name.endswith("-work")}
    assert set(work) == {f"{service}-work" for service in groups}
    assert all(spec["scaleTargetRef"]["name"] == name for name, spec in scaled.items())
    [rule] = yaml.safe_load((ROOT / "deploy/telemetry/adapter.yaml").read_text())["rules"]
    assert {spec["metrics"][0]["pods"]["metric"]["name"] for spec in work.values()} == {
        rule["seriesQuery"].partition("{")[0]
    }
    [job] = yaml.safe_load((ROOT / "deploy/telemetry/scrape.yaml").read_text())["scrape_configs"]
    told = {relabelled.get("target_label") for relabelled in job["relabel_configs"]}
    assert set(rule["resources"]["overrides"]) <= told


def test_in_production_a_kms_keeps_the_master_keys_and_each_service_has_its_own_token_alone() -> None:
    secrets = {m["metadata"]["name"]: m["spec"] for m in overlay("production") if m["kind"] == "ExternalSecret"}
    assert [entry["secretKey"] for entry in secrets["keys"]["data"]] == ["signing.json"]
    for service in SERVICES:
        for name in (service, f"{service}-work"):
            keys = pods(one(list(overlay("production")), "Deployment", name))[0]["volumes"][2]
            sources = [source["secret"]["name"] for source in keys["projected"]["sources"]]
            assert sources == ["keys", f"kms-{service}"]
    ways_out = one(list(overlay("production")), "NetworkPolicy", "engines")["spec"]["egress"][0]["ports"]
    assert {"protocol": "TCP", "port": 8200} in ways_out


def job_of(manifests: list[Manifest], name: str = "registration-maintenance") -> Any:
    return one(manifests, "CronJob", name)["spec"]["jobTemplate"]["spec"]


Change = Callable[[list[Manifest]], None]


def wrong(change: Callable[[Any], Any], *, of: str = "registration") -> Change:
    return lambda manifests: change(container(manifests, of))


WRONG: dict[str, tuple[Change, str]] = {
    "a word for a number": (
        lambda manifests: one(manifests, "Deployment", "gateway")["spec"].update(replicas="two"),
        "'two' is not of type",
    ),
    "a field that is not there": (wrong(lambda it: it.update(imagePullPolice="Always")), "imagePullPolice"),
    "root": (
        lambda manifests: pods(one(manifests, "Deployment", "gateway"))[0]["securityContext"].pop("runAsNonRoot"),
        "runs as root",
    ),
    "privileges": (
        wrong(lambda it: it["securityContext"].update(allowPrivilegeEscalation=True)),
        "may escalate its privileges",
    ),
    "capabilities": (wrong(lambda it: it["securityContext"].pop("capabilities")), "keeps capabilities"),
    "the host's network": (
        lambda manifests: pods(one(manifests, "Deployment", "gateway"))[0].update(hostNetwork=True),
        "hostNetwork is not allowed",
    ),
    "the host's files": (
        lambda manifests: pods(one(manifests, "Deployment", "gateway"))[0]["volumes"].append(
            {"name": "host", "hostPath": {"path": "/"}}
        ),
        "volume host is of a kind that is not allowed",
    ),
    "a secret that nobody makes": (
        wrong(lambda it: it["envFrom"][1]["secretRef"].update(name="gone")),
        "Secret gone is nowhere",
    ),
    "a token that nobody brings": (
        lambda manifests: pods(one(manifests, "Deployment", "gateway"))[0]["volumes"][2]["projected"]["sources"][1][
            "secret"
        ].update(name="kms-gate"),
        "Secret kms-gate is nowhere",
    ),
    "an autoscaler of nothing": (
        lambda manifests: one(manifests, "HorizontalPodAutoscaler", "gateway")["spec"]["scaleTargetRef"].update(
            name="gate"
        ),
        "Deployment gate is nowhere|has one pod",
    ),
    "a maintenance that may do more": (
        lambda manifests: job_of(manifests)["template"]["spec"]["containers"][0]["securityContext"].pop("capabilities"),
        "keeps capabilities",
    ),
    "copies of keys that go nowhere": (
        lambda manifests: job_of(manifests)["template"]["spec"]["volumes"][3]["persistentVolumeClaim"].update(
            claimName="x"
        ),
        "PersistentVolumeClaim x is nowhere",
    ),
    "a job with a word for a number": (
        lambda manifests: job_of(manifests).update(backoffLimit="two"),
        "'two' is not of type",
    ),
    "a service without pods": (
        lambda manifests: one(manifests, "Service", "gateway")["spec"]["selector"].update(app="x"),
        "selects no pod",
    ),
    "keys of a pod without a volume that nothing else keeps": (
        lambda manifests: env(manifests, "gateway").remove(named(manifests, "gateway", "ENTENTE_KEY_STORE")),
        "keeps its keys elsewhere than others|has no volume, and no secret names ENTENTE_KEY_STORE",
    ),
    "read models of a pod without a volume that nothing else keeps": (
        lambda manifests: env(manifests, "gateway").remove(named(manifests, "gateway", "ENTENTE_READ_STORE")),
        "has no volume, and no secret names ENTENTE_READ_STORE",
    ),
    "a log of a pod without a volume that nothing else keeps": (
        lambda manifests: env(manifests, "gateway").remove(named(manifests, "gateway", "ENTENTE_POSTGRES")),
        "has no volume, and no secret names ENTENTE_POSTGRES",
    ),
    "keys in the log's database": (
        lambda manifests: named(manifests, "gateway", "ENTENTE_KEY_STORE")["valueFrom"]["secretKeyRef"].update(
            key="ENTENTE_POSTGRES"
        ),
        "ENTENTE_KEY_STORE is another engine's address",
    ),
    "a simulated bank without a file": (
        lambda manifests: named(manifests, "incentives", "ENTENTE_PROVIDER").update(value="simulator"),
        "has no volume for the file of its simulated bank",
    ),
    "pods without a volume that stand together": (
        lambda manifests: pods(one(manifests, "Deployment", "gateway"))[0].update(
            affinity=pods(one(list(overlay("compact")), "Deployment", "gateway"))[0]["affinity"]
        ),
        "for files that it has not|its pods can only move together",
    ),
    "one process of a service, which is lost with its node": (
        lambda manifests: one(manifests, "HorizontalPodAutoscaler", "gateway-work")["spec"].update(minReplicas=1),
        "Deployment/gateway-work: has one pod, which may be on the node that is lost",
    ),
    "more processes than PostgreSQL has connections for": (
        lambda manifests: one(manifests, "HorizontalPodAutoscaler", "gateway-work")["spec"].update(maxReplicas=12),
        "entente/postgres-connections is 1000, and 69 processes may have 1038 connections",
    ),
    "a foreign kind's field": (
        lambda manifests: one(manifests, "ExternalSecret", "keys")["spec"].update(refreshIntervall="1h"),
        "spec.refreshIntervall: is not known",
    ),
}


WRONG_WITH_VOLUMES: dict[str, tuple[Change, str]] = {
    "a budget that lets pods go one by one which have to move together": (
        lambda manifests: manifests.append(one(list(overlay("production")), "PodDisruptionBudget", "gateway")),
        "on its node: its pods can only move together",
    ),
    "one more process of each service than PostgreSQL has connections for": (
        lambda manifests: in_each_service(manifests, replicas=2),
        "entente/postgres-connections is 200, and 16 processes may have 243 connections",
    ),
    "the connections that PostgreSQL has where nobody says how many": (
        lambda manifests: of_settings(manifests)["metadata"]["annotations"].update({ALLOWED: "100"}),
        "entente/postgres-connections is 100, and 11 processes may have 168 connections",
    ),
    "pods of one volume that may stand apart": (
        lambda manifests: pods(one(manifests, "Deployment", "gateway"))[0].pop("affinity"),
        "may stand on another node than others that have its volume",
    ),
}


def of_settings(manifests: list[Manifest]) -> Manifest:
    return next(m for m in manifests if m["kind"] == "ConfigMap" and m["metadata"]["name"].startswith("settings"))


def in_each_service(manifests: list[Manifest], **change: Any) -> None:
    for name in SERVICES:
        one(manifests, "Deployment", name)["spec"].update(change)


def env(manifests: list[Manifest], name: str) -> Any:
    return container(manifests, name)["env"]


def named(manifests: list[Manifest], name: str, variable: str) -> Any:
    return next(entry for entry in env(manifests, name) if entry["name"] == variable)


def seen(of: str, change: Change, said: str) -> bool:
    """Whether a change is complained of, and everything that is said is about it."""
    manifests = deepcopy(list(overlay(of)))
    change(manifests)
    found = complaints(manifests)
    return bool(found) and all(re.search(said, line) for line in found)


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_value_is_seen(what: str) -> None:
    assert seen("production", *WRONG[what])


@pytest.mark.parametrize("what", WRONG_WITH_VOLUMES)
def test_a_wrong_value_beside_a_volume_is_seen(what: str) -> None:
    assert seen("compact", *WRONG_WITH_VOLUMES[what])


def test_a_service_s_pods_without_a_volume_stand_apart_and_leave_one_by_one() -> None:
    manifests = list(overlay("production"))
    for service in SERVICES:
        budget = one(manifests, "PodDisruptionBudget", service)["spec"]
        assert budget["maxUnavailable"] == 1
        for component in ("serve", "work"):
            name = service if component == "serve" else f"{service}-{component}"
            deployment = one(manifests, "Deployment", name)
            assert picks(budget["selector"], labels_of(deployment))
            [running] = pods(deployment)
            assert running["containers"][0]["securityContext"]["readOnlyRootFilesystem"]
            kept = {volume["name"]: set(volume) - {"name"} for volume in running["volumes"]}
            assert kept == {"data": {"emptyDir"}, "scratch": {"emptyDir"}, "keys": {"projected"}}
            spread = running["topologySpreadConstraints"]
            assert [each["topologyKey"] for each in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
            for each in spread:
                assert each["matchLabelKeys"] == ["app.kubernetes.io/name", "app.kubernetes.io/component"]
                assert set(each["matchLabelKeys"]) <= set(labels_of(deployment))
        assert not picks(budget["selector"], labels_of(one(manifests, "CronJob", f"{service}-maintenance")))
    claims = {m["metadata"]["name"] for m in manifests if m["kind"] == "PersistentVolumeClaim"}
    assert claims == {f"{service}-keys-backup" for service in SERVICES}
