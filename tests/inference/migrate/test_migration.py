"""inference.migrate: what becomes of Serve configs and manifests of 2023."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.check.document import load
from inference.check.files import check_text
from inference.check.finding import errors
from inference.migrate.migration import Migration, migrate
from serving.errors import ConfigError
from tests.inference.check.bad_files import DATA


def migrated(name: str) -> Migration:
    return migrate((DATA / name).read_text(), name)


def config_in(manifest: str) -> Any:
    (document,), broken = load(manifest, "a.yaml")
    assert broken == []
    inner = document.part
    assert inner is not None
    return inner.data


def test_the_config_for_gpus_is_one_that_works() -> None:
    result = migrated("seed_gpu.yaml")
    assert check_text(result.after, "a.yaml") == []
    (application,) = yaml.safe_load(result.after)["applications"]
    assert application == {
        "name": "llama2",
        "import_path": "inference.typed_app_builder",
        "route_prefix": "/",
        "args": {
            "gpu_count": 4,
            "model_name": "meta-llama/Llama-2-70b-chat-hf",
            "data_type": "bfloat16",
            "batch_size": 256,
        },
        "deployments": [
            {
                "name": "VLLMPredictDeployment",
                "num_replicas": 4,
                "max_ongoing_requests": 256,
                "ray_actor_options": {"num_cpus": 20},
            }
        ],
    }


def test_the_config_for_cpus_wants_its_placeholders_filled_in() -> None:
    result = migrated("seed_cpu.yaml")
    assert [each.rule for each in errors(result.undecided)] == ["placeholder"] * 2
    filled = result.after.replace("<Model Path>", "meta-llama/Llama-2-7b-chat-hf")
    assert errors(check_text(filled, "a.yaml")) == []
    intel, amd = (each["deployments"][0] for each in yaml.safe_load(filled)["applications"])
    assert intel["ray_actor_options"] == {"num_cpus": 224}
    assert amd["ray_actor_options"] == {"num_cpus": 128, "resources": {"amd_cpu": 1}}


def test_a_manifest_is_left_with_what_only_its_author_can_decide() -> None:
    result = migrated("cluster_2023.yaml")
    assert [each.rule for each in errors(result.undecided)] == ["fleet-fit"]
    cluster = yaml.safe_load(result.after)["spec"]["rayClusterConfig"]
    first, second, third = cluster["workerGroupSpecs"]
    assert third["resources"] == {"amd_cpu": "1"}
    assert third["rayStartParams"] == {}
    assert first["rayStartParams"]["resources"] == '"{\\"amd_cpu\\": 1}"'  # bash keeps this one
    assert (second["minReplicas"], second["maxReplicas"]) == (1, 1)
    for group in (cluster["headGroupSpec"], first, second, third):
        (container,) = group["template"]["spec"]["containers"]
        assert {"name": "serve", "containerPort": 8001} in container["ports"]
        (token,) = container["env"]
        assert token["valueFrom"]["secretKeyRef"] == {"name": "huggingface", "key": "token"}
    assert "hf_token" not in result.after


def test_a_broken_config_in_a_manifest_is_mended_there() -> None:
    inner = (DATA / "seed_gpu.yaml").read_text()
    manifest = (DATA / "gpu.yaml").read_text()
    before, _, rest = manifest.partition("    proxy_location: EveryNode\n")
    after = rest[rest.index("  rayClusterConfig:") :]
    broken = before + "".join(f"    {line}\n" for line in inner.splitlines()) + after
    result = migrate(broken, "m.yaml")
    assert errors(result.undecided) == []
    (*_, service) = yaml.safe_load_all(result.after)
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    assert config["applications"][0]["deployments"][0]["max_ongoing_requests"] == 256
    line = next(n for n, each in enumerate(broken.splitlines(), 1) if "import_path" in each)
    assert result.notes[0] == f"line {line}: import_path stands in the wrong column of its mapping"


def test_comments_and_everything_else_stay_as_they_are() -> None:
    """But for the lines that change, byte for byte."""
    for name in ("seed_cpu.yaml", "cluster_2023.yaml"):
        result = migrated(name)
        gone = [line for line in result.before.splitlines() if line not in result.after]
        for comment in ("# of one machine", "# only on AMD", "# targets the deployment"):
            assert (comment in result.before) == (comment in result.after)
        old = ("max_concurrent", "hf_token", "num_cpus: 224", "amd_cpu", "Threshold", "v1alpha1",
               "HeadOnly", "2.8.1")  # fmt: skip
        assert all(any(word in line for word in old) for line in gone), gone


@pytest.mark.parametrize("name", ["seed_gpu.yaml", "seed_cpu.yaml", "cluster_2023.yaml"])
def test_once_is_enough(name: str) -> None:
    once = migrated(name)
    twice = migrate(once.after, name)
    assert (twice.after, twice.notes, twice.diff) == (once.after, (), "")


@pytest.mark.parametrize("name", ["serve.yaml", "gpu.yaml", "cpu.yaml"])
def test_what_is_right_stays_as_it_is(name: str) -> None:
    result = migrated(name)
    assert (result.after, result.notes, result.undecided) == (result.before, (), ())


def test_tokens_are_not_shown() -> None:
    result = migrated("cluster_2023.yaml")
    assert "hf_0123456789" in result.before
    assert "hf_0123456789" not in result.diff + "".join(result.notes)


def test_what_cannot_be_mended_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a.yaml:\d+: this is not YAML"):
        migrate("a: [1\nb: 2\n", "a.yaml")
    with pytest.raises(ConfigError, match="there is nothing in it"):
        migrate("# nothing\n", "a.yaml")


def test_line_ends_stay_as_they_are() -> None:
    text = (DATA / "seed_cpu.yaml").read_text().replace("\n", "\r\n")
    after = migrate(text, "a.yaml").after
    assert after.count("\n") == after.count("\r\n") > 30


HEAD = "applications:\n- name: a\n  import_path: theirs:app\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "http_options:\n  location: NoServer  # none\n  port: 1\n" + HEAD,
            {"proxy_location": "Disabled", "http_options": {"port": 1}},
        ),
        ("http_options:\n  location: HeadOnly\n" + HEAD, {"proxy_location": "HeadOnly"}),
        (
            HEAD + "  deployments:\n  - route_prefix: /a\n    name: d\n",
            {"applications.0.route_prefix": "/a", "applications.0.deployments.0": {"name": "d"}},
        ),
        (
            HEAD + "  route_prefix: b/\n  deployments:\n  - name: d\n    route_prefix: /a\n",
            {"applications.0.route_prefix": "/b", "applications.0.deployments.0": {"name": "d"}},
        ),
        (
            HEAD + "  deployments:\n  - name: d\n    num_gpus: 1\n    num_cpus: 2\n",
            {"applications.0.deployments.0.ray_actor_options": {"num_gpus": 1, "num_cpus": 2}},
        ),
        (
            HEAD + "  deployments:\n  - name: d\n    ray_actor_options: {}\n    num_cpus: 2\n",
            {"applications.0.deployments.0.ray_actor_options": {"num_cpus": 2}},
        ),
        (
            HEAD + "  deployments:\n  - name: d\n    num_cpus: 2\n    ray_actor_options:\n"
            "      # of ours\n      epyc: 1\n",
            {
                "applications.0.deployments.0.ray_actor_options": {
                    "num_cpus": 2, "resources": {"epyc": 1},
                }
            },
        ),
        (
            HEAD + "  deployments:\n  - name: d\n    ray_actor_options:\n",
            {"applications.0.deployments.0": {"name": "d"}},
        ),
        (
            HEAD + "  deployments:\n  - name: d\n    autoscaling_config: "
            "{target_num_ongoing_requests_per_replica: 3, downscale_smoothing_factor: 2}\n",
            {
                "applications.0.deployments.0.autoscaling_config": {
                    "target_ongoing_requests": 3, "downscaling_factor": 2,
                }
            },
        ),
    ],
)  # fmt: skip
def test_keys_of_a_serve_config(before: str, after: dict[str, Any]) -> None:
    result = migrate(before, "a.yaml")
    data = yaml.safe_load(result.after)
    for place, expected in after.items():
        value = data
        for part in place.split("."):
            value = value[int(part) if part.isdigit() else part]
        assert value == expected, result.after
    assert errors(result.undecided) == [], result.after


def test_what_stands_between_braces_is_left_to_the_author() -> None:
    text = HEAD + "  deployments: [{name: d, num_cpus: 2}]\n"
    result = migrate(text, "a.yaml")
    assert result.after == text
    assert [each.rule for each in result.undecided] == ["misplaced-key"]


def test_other_peoples_arguments_are_theirs() -> None:
    text = HEAD + "  args: {tensor_parallel_size: 2, dtype: x}\n"
    assert migrate(text, "a.yaml").after == text
    ours = text.replace("theirs:app", "inference:typed_app_builder")
    assert "{gpu_count: 2, data_type: x}" in migrate(ours, "a.yaml").after


def test_a_factor_that_became_two_is_left_to_the_author() -> None:
    text = HEAD + "  deployments:\n  - name: d\n    autoscaling_config: {smoothing_factor: 0.5}\n"
    result = migrate(text, "a.yaml")
    assert result.after == text
    assert [each.rule for each in result.undecided] == ["deprecated-key"]


PORT = "                - name: serve\n                  containerPort: 8000"
HEAD_PORT = "headGroupSpec.template.spec.containers.0.ports.0"
SERVE_PORT = {"name": "serve", "containerPort": 8000}


@pytest.mark.parametrize(
    ("old", "new", "place", "expected"),
    [
        ('num-cpus: "0"', "num-cpus: 0\n        block: true", "headGroupSpec.rayStartParams",
         {"num-cpus": "0", "block": "true"}),
        (PORT, "                - containerPort: 8000", HEAD_PORT, SERVE_PORT),
        (PORT, PORT.replace("serve", "http"), HEAD_PORT, SERVE_PORT),
        (PORT, PORT.replace("8000", "8001"), HEAD_PORT, SERVE_PORT),
        ("        template:\n          spec:\n            containers:\n",
         "        rayStartParams:\n          num-cpus: '160'\n          resources: '{\"a\": 2}'\n"
         "        template:\n          spec:\n            containers:\n",
         "workerGroupSpecs.0.rayStartParams.resources", '"{\\"a\\": 2}"'),
    ],
)  # fmt: skip
def test_keys_of_a_manifest(old: str, new: str, place: str, expected: Any) -> None:
    text = (DATA / "gpu.yaml").read_text()
    assert old in text
    result = migrate(text.replace(old, new, 1), "a.yaml")
    (*_, service) = yaml.safe_load_all(result.after)
    value = service["spec"]["rayClusterConfig"]
    for part in place.split("."):
        value = value[int(part) if part.isdigit() else part]
    assert value == expected
    assert errors(result.undecided) == [], result.after


OLD_KEYS = {
    "max_concurrent_queries": st.integers(1, 9),
    "num_cpus": st.integers(1, 9),
    "num_gpus": st.integers(0, 2),
    "route_prefix": st.sampled_from(["/x", "x", "/x/"]),
    "ray_actor_options": st.one_of(
        st.none(), st.fixed_dictionaries({}, optional={"num_cpus": st.just(1), "mine": st.just(2)})
    ),
}


@given(
    deployments=st.lists(
        st.fixed_dictionaries({"name": st.just("d")}, optional=OLD_KEYS), min_size=1, max_size=2
    ),
    indent=st.integers(2, 5),
    sort_keys=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_whatever_the_order_the_values_survive(
    deployments: list[dict[str, Any]], indent: int, sort_keys: bool
) -> None:
    application = {"name": "a", "import_path": "theirs:app", "deployments": deployments}
    text = yaml.safe_dump({"applications": [application]}, indent=indent, sort_keys=sort_keys)
    result = migrate(text, "a.yaml")
    (after,) = yaml.safe_load(result.after)["applications"]
    for old, new in zip(deployments, after["deployments"], strict=True):
        options = old.get("ray_actor_options") or {}
        found = new.get("ray_actor_options") or {}
        wanted = options.get("num_cpus", old.get("num_cpus"))
        assert found.get("num_cpus") == wanted
        assert found.get("num_gpus") == old.get("num_gpus")
        assert found.get("resources", {}).get("mine") == options.get("mine")
        assert new.get("max_ongoing_requests") == old.get("max_concurrent_queries")
    assert migrate(result.after, "a.yaml").after == result.after
