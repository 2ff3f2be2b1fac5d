"""The examples of a fleet: its program, and the files that Serve and KubeRay read."""

import sys
from pathlib import Path

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from avatarwire import fleet

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAM = "fleet_program.py"


@pytest.fixture
def program(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    module = PROGRAM.removesuffix(".py")
    yield f"{module}:handle"
    sys.modules.pop(module, None)


def checked(config, program):
    """Check a Serve config file as Serve does, and build its application."""
    schema = ServeDeploySchema.model_validate(config)
    (application,) = schema.applications
    assert application.import_path == "avatarwire.fleet:app"
    assert application.name == "fleet"
    assert application.args["program"] == program
    assert fleet.app(application.args) is not None


def test_the_serve_config_file_is_one(program):
    checked(yaml.safe_load((EXAMPLES / "fleet_config.yaml").read_text()), program)


def test_the_kuberay_manifest_has_what_a_ray_service_takes(program):
    manifest = yaml.safe_load((EXAMPLES / "fleet_kuberay.yaml").read_text())
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayService")
    spec = manifest["spec"]
    assert set(spec) == {"serveConfigV2", "rayClusterConfig"}
    checked(yaml.safe_load(spec["serveConfigV2"]), program)
    cluster = spec["rayClusterConfig"]
    assert isinstance(cluster["rayVersion"], str)
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        assert all(isinstance(v, str) for v in group["rayStartParams"].values())
        (container,) = group["template"]["spec"]["containers"]
        assert container["envFrom"][0]["secretRef"]["name"] == "avatarwire"
        assert set(container["resources"]["limits"]) == {"cpu", "memory"}
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_a_config_file_without_a_program_is_told():
    with pytest.raises(fleet.FleetError, match="program: module:handle is missing"):
        fleet.app({"hosts": 2})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_sessions": 0}, "max_sessions must be a whole number, 1 or more, not 0"),
        ({"max_starts_per_second": 0}, "max_starts_per_second must be a positive number"),
        ({"drain_timeout_s": float("inf")}, "drain_timeout_s must be a positive number"),
        ({"platform": "akool"}, "platform must be 'liveavatar', not 'akool'"),
    ],
)
def test_settings_that_cannot_work_are_named(settings, words):
    with pytest.raises(ValueError, match=words) as refused:
        fleet.session(**settings)
    assert refused.value.setting in settings


def test_a_pace_lets_a_burst_go_and_spaces_the_rest():
    from avatarwire.fleet.pace import Pace

    pace = Pace(10)
    waits = [pace.take(100.0) for _ in range(15)]
    assert waits[:10] == [0.0] * 10
    assert waits[10:] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert pace.wait_s(100.5) == pytest.approx(0.0)
    assert pace.take(102.0) == 0.0
