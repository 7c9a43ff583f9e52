"""Every rule of `anynode check`: its name, how grave it is, and what it means (docs/check.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]  # a warning may be meant; it is said all the same


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of mistake."""

    family: str
    severity: Severity
    meaning: str


def _family(family: str, **rules: str) -> dict[str, Rule]:
    """A family's rules; a meaning that begins with `?` is a warning's."""
    return {
        name.replace("_", "-"): Rule(
            family,
            "warning" if meaning.startswith("?") else "error",
            meaning.removeprefix("?").strip(),
        )
        for name, meaning in rules.items()
    }


RULES: dict[str, Rule] = {
    **_family(
        "The file",
        yaml="the file is not YAML",
        duplicate_key="a key stands twice in one mapping: only the last one counts",
        kind="neither a Serve config nor a Kubernetes object, or one that is not checked",
    ),
    **_family(
        "Keys and values",
        unknown_key="Ray and Kubernetes drop keys they do not know without a word",
        renamed_key="the key has another name now, and the old one is dropped without a word",
        deprecated_key="? the old name of a key is still read, for now",
        misplaced_key="the key exists, but elsewhere; here it is dropped without a word",
        dead_key="? the key no longer does anything",
        missing_key="a key that must be there is not",
        value="the value is of the wrong type, or not one that is accepted",
        crd_missing="? KubeRay's schema is not here, so a RayService's keys are unchecked",
    ),
    **_family(
        "Applications",
        import_path="there is no such builder of ours",
        args="the builder refuses these arguments",
        args_notice="? an argument is accepted, but works otherwise than its word suggests",
        deployment_name="the application that the builder makes has no such deployment",
        application_name="two applications have one name",
        route_prefix="a route must begin with a slash, and be no other application's",
        gpu_options="num_gpus of ray_actor_options contradicts gpu_count",
        gpu_share="? replicas that share GPUs do not fill the last one",
        label_selector="ray_actor_options replaces the label_selector of args",
        num_threads="? an engine has more threads than its replica has CPUs",
        max_ongoing_requests="? fewer requests reach a replica than it decodes together",
        secret="a secret is written where everybody who may read the object sees it",
        hf_token="? a token in a file is read by everybody who reads the file",
        placeholder="a placeholder was left to fill in",
    ),
    **_family(
        "What the operator refuses",
        api_version="? v1alpha1 ends with KubeRay 1.9",
        rayservice_name="a RayService's name is at most 47 characters, and a DNS name",
        upgrade_strategy="the strategy of upgrades is unknown, or its settings contradict it",
        head_service_name="the head service's name is the operator's",
        deletion_delay="rayClusterDeletionDelaySeconds is negative",
        group_name="two worker groups have one name",
        group_container="a group has no container",
        group_bounds="minReplicas and maxReplicas are negative or the wrong way round",
        group_clamped="replicas is outside minReplicas and maxReplicas, so another number is used",
        group_resources="a group's resources and rayStartParams exclude each other",
        start_params_labels="rayStartParams.labels is refused: labels are the group's",
        start_params_node_name="with node-name HAProxy finds no node",
        start_params_quoting="bash takes the quotes of rayStartParams.resources away",
        autoscaler="the autoscaler's settings contradict each other",
        gcs_fault_tolerance="gcsFaultToleranceOptions and older words for it exclude each other",
        auth_options="token authentication is set to what this Ray or a RayService cannot do",
        suspended_group="a group cannot be suspended while the autoscaler is on",
        ray_version="? rayVersion is not the Ray that anynode is installed with",
    ),
    **_family(
        "Resources",
        cpu_fit="a replica needs more CPUs than any node offers",
        gpu_fit="a replica needs more GPUs than any node offers",
        resource_fit="a replica needs a resource that no node offers",
        label_fit="no node has the labels a replica asks for",
        fleet_fit="not all replicas find room on the nodes",
        scaled_fit="? when it is scaled up, not all replicas find room on the nodes",
        idle_gpus="? GPUs of a node are left over, whatever is put there",
        cpu_vendor="? a replica for one vendor's CPUs may be put on another's",
        gpu_limits="GPUs are given by limits; requests must be equal or left out",
    ),
    **_family(
        "Ports and probes",
        serve_port="no port named serve, or not the one that Serve listens on: no traffic arrives",
        service_port="a Service sends traffic to a port on which Serve does not listen",
        http_host="Serve listens on loopback only: no other pod reaches it",
        probe="a probe asks a port on which nothing listens",
        no_endpoints="the only proxy is on the head, which the Service leaves out",
        proxy_environment="? Serve's proxies are not the same on all nodes",
        unready_workers="workers without a proxy fail KubeRay's readiness check for ever",
        idle_worker="? a worker without a replica has no proxy and is never ready",
    ),
    **_family(
        "Storage and secrets",
        volume="a container mounts a volume that its pod does not have",
        claim="? the PersistentVolumeClaim is not in the files given",
        secret_name="? the Secret or ConfigMap is not in the files given",
        secret_key="the Secret or ConfigMap has no such key",
        model_path="? the model's folder is on no volume",
    ),
    **_family(
        "Images",
        image_device="the image has no engine for the devices of its group",
        image_engine="the image has no engine for the application that is put there",
        image_tag="? images of one cluster have different tags: Ray refuses to mix versions",
        image_placeholder="? the image registry is left to fill in",
    ),
}
