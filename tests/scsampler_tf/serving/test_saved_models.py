"""The files of saved_models/, which TF-Serving, Docker and Kubernetes read."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

from scsampler_tf.serving.models_config import read_models_config
from scsampler_tf.serving.monitoring_config import METRICS_PATH, read_monitoring_config

FOLDER = Path(__file__).parents[3] / "saved_models"
MODEL = "/v1/models/scsampler"
REST_TIMEOUT_S = 30  # TF-Serving's --rest_api_timeout_in_ms when it is not given

# TF-Serving's servables/tensorflow/session_bundle_config.proto
BATCHING = """
name: "batching.proto" package: "t" syntax: "proto3" dependency: "google/protobuf/wrappers.proto"
message_type {
  name: "BatchingParameters"
  field { name: "max_batch_size" number: 1 type: TYPE_MESSAGE type_name: ".google.protobuf.Int64Value" }
  field { name: "batch_timeout_micros" number: 2 type: TYPE_MESSAGE type_name: ".google.protobuf.Int64Value" }
  field { name: "max_enqueued_batches" number: 3 type: TYPE_MESSAGE type_name: ".google.protobuf.Int64Value" }
  field { name: "num_batch_threads" number: 4 type: TYPE_MESSAGE type_name: ".google.protobuf.Int64Value" }
  field { name: "allowed_batch_sizes" number: 6 type: TYPE_INT64 label: LABEL_REPEATED }
  field { name: "pad_variable_length_inputs" number: 7 type: TYPE_BOOL }
}
"""


def documents(name: str) -> list[dict]:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def part(kind: str) -> dict:
    (found,) = (each for each in documents("kubernetes.yaml") if each["kind"] == kind)
    return found


def test_the_models_and_where_they_lie(tmp_path):
    (model,) = read_models_config(FOLDER / "models.config", tmp_path)
    assert (model.name, model.base_path, model.latest) == ("scsampler", tmp_path / "scsampler", 1)


def test_metrics_are_where_they_are_documented():
    assert read_monitoring_config(FOLDER / "monitoring.config") == METRICS_PATH


def test_batching_parameters():
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(text_format.Parse(BATCHING, descriptor_pb2.FileDescriptorProto()))
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("t.BatchingParameters"))
    found = text_format.Parse((FOLDER / "batching.config").read_text(), kind())
    assert found.max_batch_size.value >= 1
    assert found.num_batch_threads.value >= 1
    # Padding copies the first element, so that clips that are not there would count.
    assert not found.pad_variable_length_inputs


def test_tf_servings_own_message_of_models_reads_the_file():
    config = pytest.importorskip(
        "tensorflow_serving.config.model_server_config_pb2", reason="tensorflow-serving-api is not installed"
    )
    found = text_format.Parse((FOLDER / "models.config").read_text(), config.ModelServerConfig())
    assert found.model_config_list.config[0].base_path == "/models/scsampler"


def flags(words: list[str]) -> dict[str, str]:
    return dict(word.removeprefix("--").split("=") for word in words)


def test_the_compose_file():
    (document,) = documents("docker-compose.yml")
    service = document["services"]["serving"]
    named = flags(service["command"])
    for flag in ("model_config_file", "monitoring_config_file"):
        assert (FOLDER / Path(named[flag]).name).is_file()
        assert named[flag].startswith("/models/")
    assert service["volumes"] == [".:/models:ro"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    threads = {named[f"tensorflow_{kind}_op_parallelism"] for kind in ("intra", "inter")}
    assert threads == {service["cpus"]}
    assert service["user"] != "0"
    assert service["mem_limit"]


def test_both_run_the_same_release():
    (document,) = documents("docker-compose.yml")
    image = part("Deployment")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+", image)
    assert document["services"]["serving"]["image"] == f"${{TF_SERVING_IMAGE:-{image}}}"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash, which TF-Serving's image has")
def test_the_containers_health_check_tells_a_served_model_from_none(server):
    (document,) = documents("docker-compose.yml")
    kind, check = document["services"]["serving"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    assert f"{MODEL}/metadata" in check
    check = check.replace("/127.0.0.1/8501", f"/127.0.0.1/{server.base_url.port}")

    def code(line: str) -> int:
        return subprocess.run(["sh", "-c", line], capture_output=True, timeout=30).returncode

    assert code(check) == 0
    assert code(check.replace(MODEL, "/v1/models/absent")) == 1
    assert code(check.replace(f"/{server.base_url.port}", "/1")) == 1  # no server there


def test_the_clusters_settings_are_those_of_the_folder():
    data = part("ConfigMap")["data"]
    for name, reader in (
        ("models.config", read_models_config),
        ("monitoring.config", read_monitoring_config),
    ):
        copy = "\n".join(
            line for line in (FOLDER / name).read_text().splitlines() if not line.startswith("#")
        )
        assert data[name].strip() == copy.strip()
        assert reader(FOLDER / name)


def test_the_clusters_pods():
    spec = part("Deployment")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    named = flags(container["args"])
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert named["model_config_file"] == "/config/models.config"
    assert mounts["/models"]["readOnly"]
    assert {volume["name"] for volume in spec["volumes"]} == {mount["name"] for mount in mounts.values()}
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": f"{MODEL}/metadata",
        "readiness": f"{MODEL}/metadata",
        "liveness": MODEL,
    }
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"rest": 8501, "grpc": 8500}
    assert {probe["port"] for probe in probes.values()} == {"rest"}
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] > 0
    assert not container["securityContext"]["allowPrivilegeEscalation"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    limits = container["resources"]["limits"]
    assert set(limits) == {"cpu", "memory"}
    assert {named[f"tensorflow_{kind}_op_parallelism"] for kind in ("intra", "inter")} == {limits["cpu"]}
    sleep = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert spec["terminationGracePeriodSeconds"] >= sleep + REST_TIMEOUT_S


def test_the_clusters_service_finds_the_pods():
    labels = part("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert part("Service")["spec"]["selector"].items() <= labels.items()
    assert part("Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert part("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert (
        part("Deployment")["spec"]["template"]["metadata"]["annotations"]["prometheus.io/path"]
        == METRICS_PATH
    )


def test_the_probes_tell_a_served_model_from_none(server):
    assert server.get(f"{MODEL}/metadata").status_code == 200
    assert server.get(MODEL).status_code == 200
    assert server.get("/v1/models/absent/metadata").status_code == 404
