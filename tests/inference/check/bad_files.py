"""One bad file for every rule: a right one with one place changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Bad:
    """`old` of a right file becomes `new`; then `rule` is found in the line that holds `at`."""

    file: str
    old: str
    new: str
    rule: str
    at: str  # stands in the line of the finding: the nearest such line to the change
    says: str = ""  # a part of message and fix
    also: frozenset[str] = frozenset()  # rules that cannot but be found with it
    first: tuple[str, str] | None = None  # another place to change, which is no mistake

    @property
    def text(self) -> str:
        """The bad file."""
        assert self.old in self.base, self.old
        return self.base.replace(self.old, self.new, 1)

    @property
    def base(self) -> str:
        """The right file."""
        text = (DATA / self.file).read_text()
        if self.first is None:
            return text
        assert self.first[0] in text
        return text.replace(*self.first)

    @property
    def line(self) -> int:
        """Where the mistake is, from 1."""
        changed = self.base.partition(self.old)[0].count("\n") + 1
        lines = [number for number, each in enumerate(self.text.splitlines(), 1) if self.at in each]
        return min(lines, key=lambda each: abs(each - changed))

    def __str__(self) -> str:
        return f"{self.rule}: {self.new.strip()[:40]!r}"


def serve(old: str, new: str, rule: str, at: str, says: str = "", *also: str) -> Bad:
    return Bad("serve.yaml", old, new, rule, at, says, frozenset(also))


def gpu(old: str, new: str, rule: str, at: str, says: str = "", *also: str) -> Bad:
    return Bad("gpu.yaml", old, new, rule, at, says, frozenset(also))


def growing(old: str, new: str, rule: str, at: str, says: str = "") -> Bad:
    """Where the autoscaler is on."""
    return Bad("gpu.yaml", old, new, rule, at, says, first=AUTOSCALED)


def cpu(old: str, new: str, rule: str, at: str, says: str = "", *also: str) -> Bad:
    return Bad("cpu.yaml", old, new, rule, at, says, frozenset(also))


ACTOR = "        ray_actor_options:\n          num_cpus: 2"
WORKER = "      - groupName: a100\n"
CLUSTER = "  rayClusterConfig:\n"
HEAD = "            - name: ray-head\n"
HEAD_CPUS = 'num-cpus: "0"'
INCREMENTAL = "  upgradeStrategy:\n    type: NewClusterWithIncrementalUpgrade\n"
AUTOSCALED = (
    "enableInTreeAutoscaling: false",
    "enableInTreeAutoscaling: true\n    autoscalerOptions: {version: v2}",
)
REDIS = (CLUSTER, f"{CLUSTER}    gcsFaultToleranceOptions: {{redisAddress: redis:6379}}\n")
INTEL = "- name: ray-worker\n                image: registry.example/anynode-intel:0.1.0"
SECOND_OLD = "        ray_actor_options:\n          num_cpus: 2\n"
SECOND = """  - name: {name}
    import_path: inference:typed_app_builder
    route_prefix: {route}
    args: {{model_name: x/y, target_device: AMD}}
"""
AMD_IMAGE = "registry.example/anynode-amd-cpu"


def options(*, step: int, interval: int) -> str:
    said = f"gatewayClassName: g, stepSizePercent: {step}, intervalSeconds: {interval}"
    return f"clusterUpgradeOptions: {{{said}}}"


BAD_FILES = [
    # The file
    serve("host: 127", "  host: 127", "yaml", "port: 8000", "not YAML"),
    gpu(
        "      host: 0.0.0.0\n",
        "       host: 0.0.0.0\n",
        "yaml",
        "port: 8000",
        "spec.serveConfigV2",
    ),
    serve("  port: 8000", "  port: 8000\n  port: 8001", "duplicate-key", "port: 8001", "twice"),
    gpu(
        "      gpu_count: 4",
        "      gpu_count: 4\n          gpu_count: 2",
        "duplicate-key",
        "gpu_count: 2",
    ),
    cpu("kind: RayService", "kind: RayCluster", "kind", "kind:", "RayService"),
    # Keys and values
    serve(
        "applications:",
        "aplications:",
        "unknown-key",
        "aplications",
        "call it applications",
    ),
    serve("route_prefix", "route_prefx", "unknown-key", "route_prefx", "call it route_prefix"),
    serve("num_replicas", "num_replica", "unknown-key", "num_replica", "call it num_replicas"),
    serve("proxy_location", "proxy_locaton", "unknown-key", "locaton", "call it proxy_location"),
    serve("host:", "hst:", "unknown-key", "hst", "call it host"),
    serve("num_cpus: 2", "num_cpu: 2", "unknown-key", "num_cpu: 2", "call it num_cpus"),
    gpu(
        "minReplicas",
        "minReplica",
        "unknown-key",
        "minReplica:",
        "minReplicas",
    ),
    gpu(
        "mountPath:",
        "mountpath:",
        "unknown-key",
        "mountpath",
        "mountPath",
        "model-path",
    ),
    serve(
        "num_replicas: 2",
        "num_replicas: 2\n        max_concurrent_queries: 9",
        "renamed-key",
        "max_concurrent",
        "call it max_ongoing_requests",
    ),
    serve(
        "batch_size: 8",
        "batch_wait_timeout_s: 1",
        "renamed-key",
        "batch_wait",
        "call it batch_timeout",
    ),
    serve(
        "  host:",
        "  location: HeadOnly\n  host:",
        "renamed-key",
        "  location",
        "call it proxy_location",
    ),
    gpu(
        "  excludeHead",
        "  serveConfig: {}\n  excludeHead",
        "renamed-key",
        "serveConfig: {}",
        "serveConfigV2",
    ),
    serve(
        "autoscaling_config: null",
        "autoscaling_config: {smoothing_factor: 1}",
        "deprecated-key",
        "smoothing",
        "call it upscaling_factor",
        "value",
    ),
    serve(
        ACTOR,
        "        num_cpus: 2",
        "misplaced-key",
        "num_cpus",
        "under applications.deployments.ray_actor_options",
    ),
    serve(
        "num_cpus: 2",
        "num_cpus: 2\n          amd_cpu: 1",
        "misplaced-key",
        "amd_cpu",
        "under ray_actor_options.resources",
    ),
    serve(
        "  port: 8000",
        "  port: 8000\n  import_path: a:b",
        "misplaced-key",
        "a:b",
        "under applications",
    ),
    gpu(
        "      - groupName: a100",
        "      - rayVersion: '2.60.0'\n        groupName: a100",
        "misplaced-key",
        "- rayVersion",
        "under spec.rayClusterConfig",
    ),
    gpu(
        "  excludeHead",
        "  serviceUnhealthySecondThreshold: 300\n  excludeHead",
        "dead-key",
        "serviceUnhealthy",
        "leave it out",
    ),
    serve(
        "  - name: demo\n    import_path: inference:typed_app_builder",
        "  - name: demo",
        "missing-key",
        "- name: demo",
        "import_path",
    ),
    cpu(
        "        template:\n",
        "        temlate:\n",
        "unknown-key",
        "temlate",
        "call it template",
    ),
    cpu(
        "  serveConfigV2: |", "  serveConfigV2:", "value", "serveConfigV2", "a text", "missing-key"
    ),
    serve("HeadOnly", "headonly", "value", "headonly", "EveryNode"),
    serve(
        "import_path: inference:typed_app_builder",
        "import_path: demo",
        "value",
        "import_path",
        "Ray refuses",
    ),
    serve("num_replicas: 2", "num_replicas: 0", "value", "num_replicas", ""),
    serve(ACTOR, "        ray_actor_options:", "value", "ray_actor_options", "empty"),
    gpu(HEAD_CPUS, "num-cpus: 0", "value", "num-cpus", "a text"),
    gpu("memory: 300Gi", "memory: 300GB", "value", "300GB", "16Gi"),
    gpu("ray.io/v1", "ray.io/v2", "value", "ray.io/v2", "ray.io/v1"),
    # Applications
    serve(
        "inference:typed_app",
        "inference:type_app",
        "import-path",
        "import_path",
        "typed_app_builder",
    ),
    serve("batch_size", "batch_sise", "args", "batch_sise", "call it batch_size"),
    serve("batch_size: 8", "batch_size: none", "args", "batch_size", "integer"),
    serve("      model_name: models/anynode-demo\n", "", "args", "args:", "model_name"),
    serve("batch_size: 8", "gpu_count: 2", "args", "gpu_count", "runs on the CPU"),
    serve("batch_size: 8", "batch_timeout: 1", "args-notice", "batch_timeout", "continuous"),
    serve(
        "CPUDeployment", "VLLMPredictDeployment", "deployment-name", "VLLM", "write CPUDeployment"
    ),
    serve(
        "route_prefix: /demo",
        "route_prefix: demo",
        "route-prefix",
        "route_prefix",
        "write /demo",
    ),
    gpu(
        "num_replicas: 4",
        "num_replicas: 4\n            ray_actor_options: {num_gpus: 2}",
        "gpu-options",
        "num_gpus",
        "make them equal",
    ),
    gpu(
        "gpu_count: 4\n          batch",
        "replicas_per_gpu: 3\n          batch",
        "gpu-share",
        "num_replicas",
        "use 3 or 6",
    ),
    serve(
        "batch_size: 8",
        "label_selector: {cpu-vendor: AMD}",
        "label-selector",
        "ray_actor_options",
        "repeat",
    ),
    serve("batch_size: 8", "num_threads: 8", "num-threads", "num_cpus", "num_threads"),
    serve(
        "num_replicas: 2",
        "max_ongoing_requests: 2",
        "max-ongoing-requests",
        "max_ongoing",
        "leave it out",
    ),
    gpu(
        "gpu_count: 4",
        "gpu_count: 4\n          hf_token: abc",
        "secret",
        "hf_token",
        "secretKeyRef",
    ),
    serve(
        ACTOR,
        f"{ACTOR}\n          runtime_env: {{env_vars: {{API_KEY: x}}}}",
        "secret",
        "API_KEY",
        "environment",
    ),
    gpu(
        "                env:\n",
        "                env:\n                  - {name: OPENAI_API_KEY, value: x}\n",
        "secret",
        "OPENAI_API_KEY",
        "secretKeyRef",
    ),
    serve("batch_size: 8", "hf_token: abc", "hf-token", "hf_token", "HF_TOKEN"),
    serve("models/anynode-demo", "<Model Path>", "placeholder", "<Model", "write what is meant"),
    serve("batch_size: 8", "hf_token: <HF_TOKEN>", "placeholder", "hf_token", "HF_TOKEN"),
    serve(
        SECOND_OLD,
        SECOND_OLD + SECOND.format(name="demo", route="/b"),
        "application-name",
        "name: demo",
    ),
    serve(
        SECOND_OLD,
        SECOND_OLD + SECOND.format(name="b", route="/demo"),
        "route-prefix",
        "route_prefix: /demo",
    ),
    serve(
        "autoscaling_config: null",
        "autoscaling_config: {min_replicas: 1}",
        "value",
        "- name: CPU",
        "Ray refuses",
    ),
    gpu(
        HEAD,
        f'{HEAD}              env: [{{name: RAY_SERVE_ENABLE_HA_PROXY, value: "1"}}]\n',
        "proxy-environment",
        "                env:",
        "not set here",
    ),
    # What the operator refuses
    cpu("ray.io/v1", "ray.io/v1alpha1", "api-version", "v1alpha1", "1.9"),
    cpu("name: llama-cpu", f"name: {'x' * 48}", "rayservice-name", "xxx", "48"),
    cpu("name: llama-cpu", "name: Llama", "rayservice-name", "name: Llama", "a-z"),
    gpu(
        "spec:\n  exclude",
        "spec:\n  upgradeStrategy: {type: Rolling}\n  exclude",
        "upgrade-strategy",
        "Rolling",
        "NewCluster",
    ),
    gpu(
        "spec:\n  exclude",
        f"spec:\n{INCREMENTAL}  exclude",
        "upgrade-strategy",
        "upgradeStrategy",
        "autoscaler",
    ),
    growing(
        "spec:\n  exclude",
        f"spec:\n{INCREMENTAL}  exclude",
        "upgrade-strategy",
        "upgradeStrategy",
        "Gateway",
    ),
    growing(
        "spec:\n  exclude",
        f"spec:\n{INCREMENTAL}    {options(step=200, interval=1)}\n  exclude",
        "upgrade-strategy",
        "upgradeStrategy",
        "out of order",
    ),
    growing(
        "spec:\n  exclude",
        f"spec:\n{INCREMENTAL}    {options(step=5, interval=0)}\n  exclude",
        "upgrade-strategy",
        "upgradeStrategy",
        "intervalSeconds",
    ),
    gpu(
        CLUSTER,
        f"{CLUSTER}    upgradeStrategy: {{type: Recreate}}\n",
        "upgrade-strategy",
        "Recreate",
        "unset",
    ),
    gpu(
        "    headGroupSpec:\n",
        "    headGroupSpec:\n      headService: {metadata: {name: x}}\n",
        "head-service-name",
        "headService",
        "leave it out",
    ),
    gpu(
        "spec:\n  exclude",
        "spec:\n  rayClusterDeletionDelaySeconds: -1\n  exclude",
        "deletion-delay",
        "Delay",
        "",
        "value",
    ),
    cpu(
        "groupName: cpu-amd-2",
        "groupName: cpu-amd",
        "group-name",
        "groupName: cpu-amd",
        "two groups",
    ),
    gpu(
        "          containers:",
        "          initContainers:",
        "group-container",
        "spec:",
        "no container",
        "missing-key",
    ),
    gpu("        maxReplicas: 2\n", "", "missing-key", "groupName", "maxReplicas"),
    gpu(
        "        minReplicas: 2",
        "        minReplicas: 3",
        "group-bounds",
        "minReplicas",
        "more than",
    ),
    gpu("        replicas: 2", "        replicas: 3", "group-clamped", " replicas: 3", "2 of 3"),
    cpu(
        '        resources:\n          CPU: "256"',
        '        rayStartParams: {num-cpus: "256"}\n        resources:\n          CPU: "256"',
        "group-resources",
        "num-cpus",
        "group's resources",
    ),
    gpu(
        HEAD_CPUS,
        f"{HEAD_CPUS}\n        labels: a=b",
        "start-params-labels",
        "labels",
        "group's labels",
    ),
    gpu(
        HEAD_CPUS,
        f"{HEAD_CPUS}\n        node-name: head",
        "start-params-node-name",
        "node-name",
        "leave it out",
    ),
    cpu(
        """'"{\\"amd_cpu\\": 1}"'""",
        """'{"amd_cpu": 1}'""",
        "start-params-quoting",
        '{"amd_cpu"',
        "resources: {",
    ),
    growing("restartPolicy: Never", "restartPolicy: OnFailure", "autoscaler", "OnFailure", "Never"),
    growing(
        HEAD,
        f'{HEAD}              env: [{{name: RAY_enable_autoscaler_v2, value: "1"}}]\n',
        "autoscaler",
        "version: v2",
        "said twice",
    ),
    gpu(
        HEAD,
        f'{HEAD}              env: [{{name: RAY_enable_autoscaler_v2, value: "1"}}]\n',
        "autoscaler",
        "RAY_enable",
        "enableInTreeAutoscaling",
    ),
    Bad(
        "gpu.yaml",
        HEAD,
        f"{HEAD}              env: [{{name: RAY_REDIS_ADDRESS, value: x}}]\n",
        "gcs-fault-tolerance",
        "RAY_REDIS_ADDRESS",
        "redisAddress",
        first=REDIS,
    ),
    Bad(
        "gpu.yaml",
        HEAD_CPUS,
        f"{HEAD_CPUS}\n        redis-password: x",
        "gcs-fault-tolerance",
        "redis-password",
        "redisPassword.valueFrom",
        first=REDIS,
    ),
    Bad(
        "gpu.yaml",
        "  name: llama-nvidia",
        "  name: llama-nvidia\n  annotations: {ray.io/ft-enabled: 'true'}",
        "gcs-fault-tolerance",
        "ft-enabled",
        first=REDIS,
    ),
    gpu(
        'rayVersion: "2.60.0"',
        'rayVersion: "2.51.0"\n    authOptions: {mode: token}',
        "auth-options",
        "mode: token",
        "2.52",
        "ray-version",
    ),
    gpu(
        "    headGroupSpec:\n",
        "    authOptions: {enableK8sTokenAuth: true}\n    headGroupSpec:\n",
        "auth-options",
        "enableK8s",
        "leave it out",
    ),
    growing(WORKER, f"{WORKER}        suspend: true\n", "suspended-group", "suspend", "autoscaler"),
    gpu('"2.60.0"', '"2.44.0"', "ray-version", "2.44.0", "2.60.0"),
    # Resources
    cpu("num_cpus: 224", "num_cpus: 300", "cpu-fit", "num_cpus: 300", "num_cpus: 224 or less"),
    gpu("gpu_count: 4", "gpu_count: 16", "gpu-fit", "gpu_count", "gpu_count: 8 or less"),
    cpu("amd_cpu: 1\n", "epyc: 1\n", "resource-fit", "epyc", "epyc"),
    cpu(
        "cpu-vendor: Intel\n      - name",
        "cpu-vendor: Xeon\n      - name",
        "label-fit",
        "label_selector",
        "labels",
    ),
    cpu(
        "        replicas: 2\n        minReplicas: 2",
        "        replicas: 1\n        minReplicas: 1",
        "fleet-fit",
        "num_replicas: 2",
        "1 of 2 replicas",
    ),
    gpu(
        "num_replicas: 4",
        "autoscaling_config: {min_replicas: 1, max_replicas: 6}",
        "scaled-fit",
        "autoscaling_config",
        "2 of 6",
    ),
    gpu(
        'nvidia.com/gpu: "8"',
        'nvidia.com/gpu: "10"',
        "idle-gpus",
        "gpu_count",
        "left over",
        "gpu-limits",
    ),
    cpu(
        "              label_selector:\n                cpu-vendor: Intel\n",
        "",
        "cpu-vendor",
        "num_cpus: 224",
        "cpu-amd",
        "image-engine",
    ),
    gpu(
        '                  requests:\n                    nvidia.com/gpu: "8"',
        '                  requests:\n                    nvidia.com/gpu: "4"',
        "gpu-limits",
        'gpu: "4"',
        "limits",
    ),
    # Ports and probes
    gpu(
        "                - name: serve\n",
        "                - name: http\n",
        "serve-port",
        "ports:",
        "no Service",
    ),
    gpu(
        "                  containerPort: 8000",
        "                  containerPort: 8001",
        "serve-port",
        "8001",
        "8000",
    ),
    cpu(
        f"{INTEL}\n                ports:\n                  - name: serve",
        f"{INTEL}\n                ports:\n                  - name: http",
        "serve-port",
        "ports:",
        "never become ready",
    ),
    gpu("targetPort: 8000", "targetPort: 8001", "service-port", "targetPort", "8000"),
    gpu("host: 0.0.0.0", "host: 127.0.0.1", "http-host", "host:", "0.0.0.0"),
    gpu("port: 52365", "port: 52356", "probe", "livenessProbe", "52365"),
    gpu(
        "path: /api/healthz\n                    port: 52365",
        "path: /-/healthz\n                    port: 8001",
        "probe",
        "livenessProbe",
        "8000",
    ),
    gpu(
        "proxy_location: EveryNode",
        "proxy_location: Disabled",
        "no-endpoints",
        "Disabled",
        "EveryNode",
    ),
    gpu(
        "proxy_location: EveryNode",
        "proxy_location: HeadOnly",
        "unready-workers",
        "name: ray-worker",
        "readinessProbe",
    ),
    gpu(
        "num_replicas: 4",
        "num_replicas: 1",
        "idle-worker",
        "workerGroupSpecs",
        "never becomes ready",
    ),
    # Storage and secrets
    gpu(
        "- name: models\n                    mount",
        "- name: model\n                    mount",
        "volume",
        "name: model",
        "models",
    ),
    gpu("claimName: models", "claimName: model-store", "claim", "model-store", "models"),
    gpu(
        "                        name: huggingface",
        "                        name: hugging-face",
        "secret-name",
        "hugging-face",
        "huggingface",
    ),
    gpu("key: token", "key: tokn", "secret-key", "tokn", "token"),
    gpu("mountPath: /models", "mountPath: /data", "model-path", "model_name", "/data"),
    # Images
    gpu(
        "                image: registry.example/anynode-nvidia",
        "                image: registry.example/anynode-intel",
        "image-device",
        "anynode-intel",
        "anynode-nvidia",
    ),
    Bad(
        "cpu.yaml",
        AMD_IMAGE,
        "registry.example/anynode-nvidia",
        "image-device",
        "anynode-nvidia",
        "nvidia.com/gpu",
    ),
    cpu(
        "                image: registry.example/anynode-intel",
        "                image: registry.example/anynode-amd-cpu",
        "image-engine",
        "anynode-amd-cpu",
        "openvino",
    ),
    gpu(
        "                image: registry.example/anynode-nvidia:0.1.0",
        "                image: registry.example/anynode-nvidia:0.2.0",
        "image-tag",
        "0.2.0",
        "0.1.0",
    ),
    gpu(
        "registry.example/anynode-nvidia",
        "<registry>/anynode-nvidia",
        "image-placeholder",
        "<registry>",
        "registry",
    ),
]
