"""What the `args:` of one application may say, checked at the door; unknown keys are refused.

Ray validates a Serve config's `args` against ApplicationArgs because the builder's one parameter
is annotated with it (inference/app.py). The command line fills the same model.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)

from serving.engine import nearest

# Other words for the same argument, in use before anynode.
ALIASES = {"max_new_token": "max_new_tokens", "model_id": "served_model_name"}

VLLM = "vllm"  # the engine of VLLMPredictDeployment

# Arguments that only vLLM's deployment takes.
GPU_ARGUMENTS = (
    "gpu_count",
    "pipeline_parallel_size",
    "across_nodes",
    "replicas_per_gpu",
    "accelerator_type",
    "gpu_memory_utilization",
    "cpu_offload_gb",
    "oom_fallback",
    "load_in_8bit",
    "load_in_4bit",
    "cache_8bit",
    "alpha_value",
    "compress_pos_emb",
    "max_input_len",
    "lora_adapters",
    "vllm_device",
)

# Arguments that only the deployment on CPUs takes.
CPU_ARGUMENTS = ("replicas_per_socket", "pin_cores")

# How weights are kept: the engines say which of these they run.
DataType = Literal["auto", "int8", "int4", "bfloat16", "float16", "half", "float32", "float"]


class TargetDevice(StrEnum):
    """Whose CPU the model runs on; it decides which engine is taken."""

    INTEL = "INTEL"
    AMD = "AMD"


class ApplicationArgs(BaseModel):
    """One model's settings. A default of None leaves the choice to whoever knows better."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    # Which model, and what runs it
    model_name: str = Field(min_length=1)  # a folder, or owner/name on the Hugging Face Hub
    served_model_name: str | None = None  # what callers say; None: the folder's name or the hub id
    target_device: TargetDevice | None = None
    engine: str | None = None  # a name from serving.engine, or package.module:Class
    engine_kwargs: dict[str, Any] = Field(default_factory=dict)  # checked by the engine
    data_type: DataType | None = None
    trust_remote_code: bool = False
    hf_token: SecretStr | None = None
    # vLLM on GPUs, where no target_device is given; checked by serving.gpu
    gpu_count: PositiveInt | None = None  # GPUs of one replica: its tensor parallel size
    pipeline_parallel_size: PositiveInt | None = None
    across_nodes: bool | None = None  # a replica's GPUs may be on several nodes
    replicas_per_gpu: PositiveInt | None = None
    accelerator_type: str | None = None  # Ray's word for a GPU: L4, A100, AMD-Instinct-MI300X-OAM
    gpu_memory_utilization: PositiveFloat | None = None
    cpu_offload_gb: NonNegativeFloat | None = None
    oom_fallback: Literal["offload", "quantize"] | None = None
    load_in_8bit: bool | None = None
    load_in_4bit: bool | None = None
    cache_8bit: bool | None = None
    alpha_value: PositiveFloat | None = None
    compress_pos_emb: PositiveFloat | None = None
    max_input_len: PositiveInt | None = None
    lora_adapters: dict[str, str] | None = None
    vllm_device: Literal["gpu", "cpu"] | None = None  # cpu: a vLLM built for CPUs

    # How much at once
    batch_size: PositiveInt = 8  # sequences decoded together
    batch_timeout: NonNegativeFloat | None = None
    max_model_len: PositiveInt | None = None
    kv_cache_bytes: ByteSize | None = None
    max_queued_requests: NonNegativeInt | None = None
    num_threads: PositiveInt | None = None

    # Which CPUs; checked by serving.cpu
    replicas_per_socket: PositiveInt | None = None  # each gets its part of one socket's cores
    pin_cores: bool | None = None  # threads stay on CPUs that no other replica takes

    label_selector: dict[str, str] | None = None  # labels of the nodes that may hold a replica

    # What a request that does not say otherwise gets
    max_new_tokens: PositiveInt | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    request_timeout_s: PositiveFloat | None = None

    loopback_only: bool = False  # the replica refuses peers on other machines

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: Any) -> Any:
        """Translate old words and refuse unknown ones, naming the nearest that exists."""
        if not isinstance(given, dict):
            return given
        known = [*cls.model_fields, *ALIASES]
        unknown = [f"'{key}'{nearest(str(key), known)}" for key in given if key not in known]
        if unknown:
            raise ValueError(f"there is no argument {', '.join(unknown)}")
        for alias, name in ALIASES.items():
            if alias in given and name in given:
                raise ValueError(f"'{alias}' and '{name}' are the same argument: give one of them")
        return {ALIASES.get(key, key): value for key, value in given.items()}

    @field_validator("target_device", mode="before")
    @classmethod
    def _any_case(cls, given: Any) -> Any:
        return given.upper() if isinstance(given, str) else given

    @field_validator("hf_token")
    @classmethod
    def _no_placeholder(cls, given: SecretStr | None) -> SecretStr | None:
        if given is not None and given.get_secret_value().startswith("<"):
            raise ValueError("this is a placeholder; leave hf_token out and set HF_TOKEN instead")
        return given

    @property
    def uses_vllm(self) -> bool:
        """Whether the model is VLLMPredictDeployment's; other devices and engines are the CPU's."""
        return self.engine == VLLM or (self.target_device is None and self.engine is None)

    @property
    def vllm_on_cpu(self) -> bool:
        """Whether it is vLLM's build for CPUs that runs the model."""
        return self.vllm_device == "cpu" or self.target_device is not None

    def notices(self) -> list[str]:
        """What is accepted but works otherwise than its word may suggest."""
        said = []
        if self.batch_timeout is not None:
            said.append(
                "batch_timeout: batching is continuous, so no request ever waits for a batch to "
                "fill; the value changes nothing"
            )
        if self.hf_token is not None:
            said.append(
                "hf_token: a token in a config file can be read by everyone who can read the "
                "file; set HF_TOKEN in the environment instead"
            )
        return said
