"""The templates under `deploy/`: the shell by bash and shellcheck, manifests by the schemas of Kubernetes and JobSet.

Kubernetes' own schemas come in `kubernetes-validate`, JobSet's as the models of `kubeflow-trainer-api`, which are made
from its OpenAPI description; a model leaves out what it does not know, so what comes back must be all that went in.
"""

import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="needs the extra [drills]")
models = pytest.importorskip("kubeflow_trainer_api.models", reason="needs the extra [drills]")

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
SCRIPTS = ("slurm.sbatch", "tpu-vm.sh")
KUBERNETES = "1.37"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def jobset(name: str) -> dict[str, Any]:
    return next(document for document in documents(name) if document["kind"] == "JobSet")


def differences(given: Any, back: Any, place: str = "") -> list[str]:
    """Return the places of what is not in both alike."""
    if isinstance(given, dict) and isinstance(back, dict):
        missing = [f"{place}/{name}" for name in given if name not in back]
        shared = [name for name in given if name in back]
        return missing + [
            found for name in shared for found in differences(given[name], back[name], f"{place}/{name}")
        ]
    if isinstance(given, list) and isinstance(back, list) and len(given) == len(back):
        pairs = enumerate(zip(given, back, strict=True))
        return [found for i, (one, other) in pairs for found in differences(one, other, f"{place}[{i}]")]
    return [] if given == back else [place]


def faults(document: dict[str, Any]) -> list[str]:
    """Return what the schemas have against a manifest."""
    if document["kind"] != "JobSet":
        return refusal(document)
    try:
        found = differences(document, models.JobsetV1alpha2JobSet.from_dict(document).to_dict())
    except ValueError as error:
        return [str(error)]
    for job in document["spec"]["replicatedJobs"]:
        found += refusal(
            {"apiVersion": "batch/v1", "kind": "Job", "metadata": {}, "spec": job["template"]["spec"]}
        )
    return found


def refusal(document: dict[str, Any]) -> list[str]:
    try:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{list(error.absolute_path)}: {error.message}"]
    return []


@pytest.mark.parametrize("name", ["jobset.yaml", "pathways.yaml"])
def test_every_manifest_is_what_the_schemas_ask_for(name: str) -> None:
    for document in documents(name):
        assert faults(document) == [], document["kind"]


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        (("failurePolicy",), "maxRestart", 3),
        (("failurePolicy",), "maxRestarts", "three"),
        (("failurePolicy", "rules", 0), "onJobFailureReason", ["PodFailurePolicy"]),
        (("replicatedJobs", 0, "template", "spec"), "completionMode", "Ordered"),
        (("replicatedJobs", 0, "template", "spec", "template", "spec"), "restartPolicies", "Never"),
        (
            ("replicatedJobs", 0, "template", "spec", "podFailurePolicy", "rules", 0, "onExitCodes"),
            "values",
            [0.5],
        ),
    ],
)
def test_the_schemas_see_a_slip(place: tuple[str | int, ...], key: str, value: Any) -> None:
    document = copy.deepcopy(jobset("jobset.yaml"))
    spot: Any = document["spec"]
    for part in place:
        spot = spot[part]
    spot[key] = value
    assert faults(document) != []


@pytest.mark.parametrize("name", ["jobset.yaml", "pathways.yaml"])
def test_exit_codes_mean_the_same_in_every_manifest(name: str) -> None:
    """75: saved and to go on; 2, 3, 4: needs a person; the rest counts towards the restarts."""
    job = jobset(name)["spec"]["replicatedJobs"][0]["template"]["spec"]
    rules = job["podFailurePolicy"]["rules"]
    codes = {rule["action"]: rule["onExitCodes"]["values"] for rule in rules if "onExitCodes" in rule}
    assert codes == {"Ignore": [75], "FailJob": [2, 3, 4]}
    assert job["backoffLimit"] == 0
    policy = jobset(name)["spec"]["failurePolicy"]
    assert policy["maxRestarts"] > 0
    assert [(rule["action"], rule["onJobFailureReasons"]) for rule in policy["rules"]] == [
        ("FailJobSet", ["PodFailurePolicy"])
    ]


def test_jax_may_read_what_it_asks_the_cluster_for() -> None:
    """`jax._src.clusters.k8s_cluster` lists pods and services and reads the job of its pod."""
    role = next(document for document in documents("jobset.yaml") if document["kind"] == "Role")
    allowed = {(kind, verb) for rule in role["rules"] for kind in rule["resources"] for verb in rule["verbs"]}
    assert {("pods", "list"), ("services", "list"), ("jobs", "get")} <= allowed
    assert {verb for _, verb in allowed} == {"get", "list"}


def test_every_template_runs_the_same_command() -> None:
    for name in ("jobset.yaml", "pathways.yaml"):
        head = jobset(name)["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
        assert head["containers"][0]["command"][:2] == ["palmetto", "train"]
    assert '"${palmetto[@]}" train "$@"' in (DEPLOY / "slurm.sbatch").read_text()


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_shell_is_sound(name: str) -> None:
    subprocess.run(["bash", "-n", DEPLOY / name], check=True)
    beside = shutil.which("shellcheck", path=str(Path(sys.executable).parent)) or shutil.which("shellcheck")
    assert beside is not None, "shellcheck is missing: it comes with the extra [drills]"
    done = subprocess.run([beside, DEPLOY / name], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("slices", "words", "called"),
    [
        (
            1,
            ["create", "mine", "--spot"],
            "queued-resources create mine --zone=here --accelerator-type=v5litepod-64 --runtime-version=newest "
            "--node-id=mine --spot",
        ),
        (
            2,
            ["create", "mine"],
            "queued-resources create mine --zone=here --accelerator-type=v5litepod-64 --runtime-version=newest "
            "--node-count=2 --node-prefix=mine",
        ),
        (
            1,
            ["train", "mine", "palm_8b", "--out", "/a b"],
            "tpu-vm ssh mine --zone=here --worker=all --command=palmetto/bin/palmetto train palm_8b --out /a\\ b",
        ),
        (
            2,
            ["train", "mine", "palm_8b"],
            "queued-resources ssh mine --zone=here --node=all --worker=all "
            "--command=palmetto/bin/palmetto train palm_8b",
        ),
        (2, ["delete", "mine"], "queued-resources delete mine --zone=here --force"),
    ],
)
def test_tpu_vms_are_asked_for_and_driven_by_gcloud(
    slices: int, words: list[str], called: str, tmp_path: Path
) -> None:
    gcloud = tmp_path / "gcloud"
    gcloud.write_text('#!/bin/bash\nprintf "%s\\n" "$*"\n')
    gcloud.chmod(0o755)
    environment = {"ZONE": "here", "TYPE": "v5litepod-64", "RUNTIME": "newest", "SLICES": str(slices)}
    done = subprocess.run(
        [DEPLOY / "tpu-vm.sh", *words],
        env={**os.environ, **environment, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"compute tpus {called}"
