"""The CronJob: what Kubernetes' own schema says, and what the schema cannot know."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from crawler.schedule import CronTimes, parse_zone

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
CRON_JOB = yaml.safe_load((FOLDER / "cronjob.yaml").read_text(encoding="utf-8"))
STORAGE = yaml.safe_load((FOLDER / "storage.yaml").read_text(encoding="utf-8"))
SPEC = CRON_JOB["spec"]
JOB = SPEC["jobTemplate"]["spec"]
POD = JOB["template"]["spec"]
(CONTAINER,) = POD["containers"]
IMAGE_USER = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", KUSTOMIZATION["resources"])
@pytest.mark.parametrize("version", ["1.31", "1.34"])
def test_it_fulfils_the_schema_of_kubernetes(name, version):
    validator = pytest.importorskip(
        "kubernetes_validate", reason="kubernetes-validate, which carries the schema, is not installed"
    )
    validator.validate(yaml.safe_load((FOLDER / name).read_text(encoding="utf-8")), version, strict=True)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_puts_it_together():
    done = subprocess.run(
        ["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = {entry["kind"]: entry for entry in yaml.safe_load_all(done.stdout)}
    assert set(found) == {"CronJob", "PersistentVolumeClaim"}
    labels = found["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert labels == {"app.kubernetes.io/name": "openness-crawler"}


def test_every_file_is_one_of_its_resources():
    assert {path.name for path in FOLDER.iterdir()} == {*KUSTOMIZATION["resources"], "kustomization.yaml"}


def test_one_night_at_a_time():
    assert SPEC["concurrencyPolicy"] == "Forbid"
    assert (JOB.get("parallelism", 1), JOB.get("completions", 1)) == (1, 1)


def test_its_schedule_is_one_in_a_zone():
    assert CronTimes(SPEC["schedule"], parse_zone(SPEC["timeZone"]))
    # Kubernetes looks every ten seconds: with less than that a job may never begin.
    assert SPEC["startingDeadlineSeconds"] > 10


def test_a_night_is_never_tried_again_but_after_a_drained_node():
    assert JOB["backoffLimit"] == 0
    # Failure policies hold for pods that are not restarted in place.
    assert POD["restartPolicy"] == "Never"
    ignored, failing = JOB["podFailurePolicy"]["rules"]
    assert (ignored["action"], ignored["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert failing["action"] == "FailJob"
    assert failing["onExitCodes"]["values"] == [2]
    assert failing["onExitCodes"]["containerName"] == CONTAINER["name"]


def test_it_ends_some_day_with_the_time_to_store():
    assert JOB["activeDeadlineSeconds"] == 28_800
    assert POD["terminationGracePeriodSeconds"] >= 20


def test_it_calls_a_command_of_ours_with_code_3_as_success(assert_command):
    assert CONTAINER["command"] == ["tini", "-e", "3", "--"]
    assert_command(CONTAINER["args"])


@pytest.mark.usefixtures("needs_tini")
@pytest.mark.parametrize(("code", "expected"), [(0, 0), (3, 0), (1, 1), (2, 2), (4, 4)])
def test_tini_takes_code_3_alone_for_success(code, expected):
    wrapped = [CONTAINER["command"][0], "-s", *CONTAINER["command"][1:], "sh", "-c", f"exit {code}"]
    assert subprocess.run(wrapped, check=False).returncode == expected


def test_it_runs_with_no_more_than_it_needs():
    assert IMAGE_USER
    security = POD["securityContext"]
    assert security["runAsNonRoot"] is True
    assert (security["runAsUser"], security["runAsGroup"]) == (int(IMAGE_USER[1]), int(IMAGE_USER[2]))
    assert security["fsGroup"] == int(IMAGE_USER[2])
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["automountServiceAccountToken"] is False
    assert CONTAINER["resources"]["limits"]["memory"]


def test_every_mount_has_a_volume_and_the_claim_is_the_one_that_is_made():
    volumes = {volume["name"]: volume for volume in POD["volumes"]}
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} == set(volumes)
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == STORAGE["metadata"]["name"]
    # The only places that can be written are where the image keeps its data, and /tmp.
    writable = {mount["mountPath"] for mount in CONTAINER["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/data", "/tmp"}


def test_secrets_come_from_a_secret_and_settings_are_settings(settings_names):
    assert {entry["name"] for entry in CONTAINER["env"]} <= settings_names
    assert "TOKEN" not in json.dumps(CONTAINER["env"])
    assert CONTAINER["envFrom"] == [{"secretRef": {"name": "openness-tokens", "optional": True}}]
