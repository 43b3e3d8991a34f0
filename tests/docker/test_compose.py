"""The compose files against what Label Studio really does."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from backend.settings import Settings
from tests.docker.compose import read
from tests.docker.image import REPOSITORY

TOKEN = "0123456789abcdef0123456789abcdef01234567"
SECRETS = {"LABEL_STUDIO_API_KEY": TOKEN, "BASIC_AUTH_PASS": "our password"}


@pytest.fixture
def services(tmp_path: Path) -> dict[str, Any]:
    return read(tmp_path, "docker-compose.yml", **SECRETS, LABEL_STUDIO_PASSWORD="their password")


def test_label_studio_of_the_release_that_the_tests_use(services: dict[str, Any]) -> None:
    pins = (REPOSITORY / "constraints-label-studio.txt").read_text()
    (release,) = re.findall(r"^label-studio==(.+)$", pins, re.MULTILINE)
    assert services["label-studio"]["image"] == f"heartexlabs/label-studio:{release}"


def test_label_studio_lets_a_private_address_in_and_keeps_metadata_out(services: dict[str, Any]) -> None:
    environment = services["label-studio"]["environment"]
    assert environment["USE_DEFAULT_BANNED_SUBNETS"] == "false"
    assert environment["USER_ADDITIONAL_BANNED_SUBNETS"] == "169.254.0.0/16"
    assert not {"ML_BLOCK_LOCAL_IP", "SSRF_PROTECTION_ENABLED"} & set(environment), "these would open everything"


def test_label_studio_waits_for_webhooks_and_imports_fast(services: dict[str, Any]) -> None:
    environment = services["label-studio"]["environment"]
    assert float(environment["WEBHOOK_TIMEOUT"]) > 1
    assert environment["fflag_fix_back_4620_memory_efficient_predictions_import_08012025_short"] == "true"


def test_both_sides_have_the_same_token_and_it_is_of_a_kind_that_works(services: dict[str, Any]) -> None:
    theirs, ours = services["label-studio"]["environment"], services["worker"]["environment"]
    assert theirs["LABEL_STUDIO_USER_TOKEN"] == ours["LABEL_STUDIO_API_KEY"] == TOKEN
    assert theirs["LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN"] == "true"
    assert theirs["LABEL_STUDIO_PASSWORD"] == "their password"


def test_the_backend_has_a_name_with_a_dot(services: dict[str, Any]) -> None:
    aliases = services["web"]["networks"]["default"]["aliases"]
    assert any("." in alias for alias in aliases)


def test_web_and_worker_differ_in_nothing_that_matters(services: dict[str, Any]) -> None:
    web, worker = services["web"], services["worker"]
    assert (web["command"], worker["command"]) == (["lsal", "web"], ["lsal", "worker"])
    for same in ("environment", "volumes", "image", "tmpfs", "read_only", "depends_on", "restart"):
        assert web[same] == worker[same]
    assert web["volumes"] == ["backend:/data"]
    assert (web["read_only"], web["tmpfs"], web["cap_drop"]) == (True, ["/tmp"], ["ALL"])
    assert web["depends_on"]["label-studio"]["condition"] == "service_healthy"


def test_every_variable_is_one_that_the_settings_know(services: dict[str, Any]) -> None:
    known = {name.upper() for name in Settings.model_fields}
    assert set(services["web"]["environment"]) <= known


@pytest.mark.parametrize("missing", SECRETS)
def test_no_secret_no_start(tmp_path: Path, missing: str) -> None:
    with pytest.raises(ValueError, match=rf"{missing} is missing a value: run \./setup\.sh, or set it in \.env"):
        read(tmp_path, "docker-compose.yml", **{**SECRETS, missing: ""})


def test_the_setup_makes_every_secret_once(tmp_path: Path) -> None:
    folder = tmp_path / "docker"
    folder.mkdir()
    for name in ("setup.sh", ".env.example"):
        shutil.copy(REPOSITORY / "docker" / name, folder)
    done = subprocess.run(["./setup.sh"], cwd=folder, capture_output=True, text=True, check=True)
    made = dict(line.split("=", 1) for line in (folder / ".env").read_text().splitlines() if re.match("[A-Z]", line))
    secrets = [made[name] for name in (*SECRETS, "LABEL_STUDIO_PASSWORD", "POSTGRES_PASSWORD")]
    assert len({each for each in secrets if re.fullmatch("[0-9a-f]{40}", each)}) == 4
    assert not any(each in done.stdout for each in secrets)
    assert (folder / ".env").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in folder.iterdir()) == [".env", ".env.example", "setup.sh"]
    services = read(tmp_path, "docker-compose.yml", **made)
    assert services["web"]["environment"]["BASIC_AUTH_PASS"] == made["BASIC_AUTH_PASS"]
    # An .env of an earlier release: what is set stays, since volumes hold it; what is empty is filled.
    (folder / ".env").write_text("LABEL_STUDIO_API_KEY=theirs\nBASIC_AUTH_USER=\nBASIC_AUTH_PASS=\n")
    subprocess.run(["./setup.sh"], cwd=folder, capture_output=True, check=True)
    token, user, password = (folder / ".env").read_text().split()
    assert (token, user) == ("LABEL_STUDIO_API_KEY=theirs", "BASIC_AUTH_USER=")
    assert re.fullmatch("BASIC_AUTH_PASS=[0-9a-f]{40}", password)


def test_strangers_cannot_sign_up(services: dict[str, Any]) -> None:
    assert services["label-studio"]["environment"]["LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK"] == "true"


def test_the_example_names_every_variable_that_must_be_set() -> None:
    example = (REPOSITORY / "docker/.env.example").read_text()
    for file in ("docker-compose.yml", "docker-compose.remote.yml"):
        for name in re.findall(r"\$\{(\w+):\?", (REPOSITORY / "docker" / file).read_text()):
            assert re.search(rf"^{name}=", example, re.MULTILINE)


def test_a_label_studio_elsewhere(tmp_path: Path) -> None:
    files = ("docker-compose.yml", "docker-compose.remote.yml")
    there = {"LABEL_STUDIO_URL": "https://labels.example.com", **SECRETS}
    for needed in there:
        with pytest.raises(ValueError, match=rf"{needed} is missing a value: .*set it in \.env"):
            read(tmp_path, *files, **{**there, needed: ""})
    services = read(tmp_path, *files, **there)
    assert set(services) == {"web", "worker"}
    assert services["web"]["ports"] == ["9090:9090"]
    assert services["web"]["environment"] == services["worker"]["environment"]
    assert services["web"]["environment"]["LABEL_STUDIO_URL"] == "https://labels.example.com"
    assert services["worker"]["environment"]["BASIC_AUTH_PASS"] == "our password"
    assert services["web"]["depends_on"]["label-studio"]["required"] is False
