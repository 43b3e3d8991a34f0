"""Several hosts: the compose file and the manifests, against what the backend and Label Studio ask of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from backend import __version__
from backend.settings import Settings
from tests.docker.compose import read
from tests.docker.image import REPOSITORY

SECRETS = {"LABEL_STUDIO_API_KEY": "0123456789abcdef0123456789abcdef01234567", "BASIC_AUTH_PASS": "our password"}
KUBERNETES = REPOSITORY / "docker/kubernetes"
KNOWN = {name.upper() for name in Settings.model_fields}


@pytest.fixture
def services(tmp_path: Path) -> dict[str, Any]:
    files = ("docker-compose.yml", "docker-compose.scale.yml")
    return read(tmp_path, *files, **SECRETS, POSTGRES_PASSWORD="secret")


class TestCompose:
    def test_without_a_password_nothing_starts(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"POSTGRES_PASSWORD is missing a value: set it in \.env"):
            read(tmp_path, "docker-compose.yml", "docker-compose.scale.yml", **SECRETS)
        assert re.search(r"^POSTGRES_PASSWORD=", (REPOSITORY / "docker/.env.example").read_text(), re.MULTILINE)

    def test_several_of_each_share_one_database(self, services: dict[str, Any]) -> None:
        for name in ("web", "worker"):
            assert services[name]["deploy"]["replicas"] == 2
            assert services[name]["environment"]["DATABASE_URL"] == "postgresql://lsal:secret@postgres:5432/lsal"
            assert set(services[name]["environment"]) - {"RAY_ADDRESS"} <= KNOWN
            assert services[name]["volumes"] == ["backend:/data"]
            assert services[name]["depends_on"]["postgres"]["condition"] == "service_healthy"
        theirs = services["postgres"]["environment"]
        assert (theirs["POSTGRES_USER"], theirs["POSTGRES_PASSWORD"], theirs["POSTGRES_DB"]) == (
            "lsal",
            "secret",
            "lsal",
        )

    def test_ray_is_of_the_same_image_and_where_workers_look_for_it(
        self, services: dict[str, Any], tmp_path: Path
    ) -> None:
        assert "ray" not in services, "only if asked for"
        assert services["worker"]["environment"]["SCORING"] == "local"
        assert "EXTRAS=s3,openai" in services["worker"]["build"]["args"]
        files = ("docker-compose.yml", "docker-compose.scale.yml")
        asked = {**SECRETS, "POSTGRES_PASSWORD": "x", "COMPOSE_PROFILES": "ray", "SCORING": "ray"}
        whole = read(tmp_path, *files, **asked)
        said = whole["ray"]
        assert whole["worker"]["environment"]["SCORING"] == "ray"
        assert "exec lsal worker" in str(whole["worker"]["command"])
        assert said["image"] == services["worker"]["image"]
        assert services["worker"]["environment"]["RAY_ADDRESS"] == "ray:6379"
        assert "--port=6379" in said["command"]
        assert (said["read_only"], said["cap_drop"]) == (True, ["ALL"])

    def test_only_the_proxy_is_called(self, services: dict[str, Any]) -> None:
        assert not services["web"].get("ports")
        assert "backend.internal" not in str(services["web"]["networks"])
        assert services["proxy"]["networks"]["default"]["aliases"] == ["backend.internal"]
        assert services["proxy"]["ports"] == ["127.0.0.1:9090:9090"]

    def test_the_proxy_passes_on_what_the_docs_ask(self) -> None:
        said = (REPOSITORY / "docker/nginx.conf").read_text()
        assert "proxy_set_header Host $http_host;" in said
        assert int(re.findall(r"proxy_read_timeout (\d+)s", said)[0]) >= 100
        assert int(re.findall(r"client_max_body_size (\d+)m", said)[0]) >= Settings.model_fields["max_body_mb"].default
        assert "http://web:9090" in said


def _manifests() -> list[dict[str, Any]]:
    return [
        each for name in _kustomization()["resources"] for each in yaml.safe_load_all((KUBERNETES / name).read_text())
    ]


def _kustomization() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    return found


def _pods() -> list[dict[str, Any]]:
    return [each["spec"]["template"]["spec"] for each in _manifests() if "template" in each["spec"]]


class TestKubernetes:
    @pytest.mark.parametrize("version", ["1.30", "1.34"])
    @pytest.mark.parametrize("manifest", _manifests(), ids=lambda each: f"{each['kind']} {each['metadata']['name']}")
    def test_they_are_of_the_schema(self, manifest: dict[str, Any], version: str) -> None:
        kubernetes_validate.validate(manifest, version, strict=True)

    def test_a_mistake_would_be_found(self) -> None:
        wrong = _manifests()[0]
        wrong["spec"]["replica"] = 2
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(wrong, "1.34", strict=True)

    def test_labels_select_what_they_should(self) -> None:
        found = {(each["kind"], each["metadata"]["name"]): each for each in _manifests()}
        for kind, name in (("Deployment", "backend-web"), ("StatefulSet", "backend-worker")):
            spec = found[kind, name]["spec"]
            labels = spec["template"]["metadata"]["labels"]
            assert spec["selector"]["matchLabels"] == labels
            service = found["Service", "backend" if kind == "Deployment" else spec["serviceName"]]
            assert service["spec"]["selector"] == labels
        assert found["PodDisruptionBudget", "backend-web"]["spec"]["selector"]["matchLabels"]["part"] == "web"

    def test_pods_may_do_little(self) -> None:
        """As the image allows, and the restricted standard of pod security asks."""
        for pod in _pods():
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert pod["automountServiceAccountToken"] is False
            (container,) = pod["containers"]
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }  # fmt: skip
            assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}
            assert "memory" in container["resources"]["limits"]
            assert pod["terminationGracePeriodSeconds"] > 35, "a web server takes that long to let requests end"

    def test_web_servers_and_workers_have_the_same_settings(self) -> None:
        environments = [container["envFrom"] for pod in _pods() for container in pod["containers"]]
        assert environments[0] == environments[1]
        (literals,) = (each["literals"] for each in _kustomization()["configMapGenerator"])
        secret = (KUBERNETES / "secret.env.example").read_text()
        names = [line.partition("=")[0] for line in [*literals, *secret.splitlines()] if not line.startswith("#")]
        assert {name for name in names if not name.startswith("AWS_")} <= KNOWN
        assert {"DATABASE_URL", "SHARED_URL", "LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"} <= set(names)
        (worker,) = (c for pod in _pods() for c in pod["containers"] if c["command"] == ["lsal", "worker"])
        assert worker["env"][0]["name"] == "EXECUTOR_ID"

    def test_only_label_studio_and_the_ingress_reach_the_web_servers(self) -> None:
        policies = {each["metadata"]["name"]: each["spec"] for each in _manifests() if each["kind"] == "NetworkPolicy"}
        assert {name: spec["podSelector"]["matchLabels"]["part"] for name, spec in policies.items()} == {
            "backend-web": "web",
            "backend-worker": "worker",
        }
        assert "ingress" not in policies["backend-worker"]
        assert [each["port"] for each in policies["backend-web"]["ingress"][0]["ports"]] == ["http"]
        assert _kustomization()["images"][0]["newTag"] == __version__

    def test_the_address_that_is_told_is_the_service(self) -> None:
        said = (KUBERNETES / "kustomization.yaml").read_text()
        assert f"http://backend.{_kustomization()['namespace']}.svc:9090" in said
        (service,) = (
            each for each in _manifests() if each["metadata"]["name"] == "backend" and each["kind"] == "Service"
        )
        assert service["spec"]["ports"][0]["port"] == 9090
