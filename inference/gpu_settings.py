"""One model's arguments as settings of VLLMPredictDeployment."""

from __future__ import annotations

from inference.args import CPU_ARGUMENTS, ApplicationArgs
from inference.names import default_name, given
from serving.errors import ConfigError
from serving.gpu.cpu_device import check_quantization
from serving.gpu.deployment import GPUSettings
from serving.gpu.placement import Wanted
from serving.gpu.vllm_settings import VLLMSettings
from serving.http import FaceSettings


def gpu_settings(args: ApplicationArgs) -> GPUSettings:
    """What the GPU deployment is told; raises ConfigError where the arguments do not fit it."""
    _refuse_cpu(args)
    vllm = vllm_settings(args)
    if args.vllm_on_cpu:
        check_quantization(vllm)
    return GPUSettings(
        model_name=args.model_name,
        face=face_settings(args, vllm),
        vllm=vllm,
        conversion="vllm" if int8_on_cpu(args) else None,
        wanted=None if args.vllm_on_cpu else wanted(args),
        oom_fallback=args.oom_fallback,
        hf_token=None if args.hf_token is None else args.hf_token.get_secret_value(),
    )


def int8_on_cpu(args: ApplicationArgs) -> bool:
    """Whether vLLM is to load the int8 weights that `anynode convert --engine vllm` made."""
    return args.vllm_on_cpu and args.data_type == "int8"


def _refuse_cpu(args: ApplicationArgs) -> None:
    for name in CPU_ARGUMENTS:
        if getattr(args, name) is not None:
            raise ConfigError(
                f"{name}: it is for the engines for CPUs, and this model runs in vLLM (neither "
                f"target_device nor engine is set); leave {name} out",
                param=name,
            )


def wanted(args: ApplicationArgs) -> Wanted:
    """Which GPUs one replica takes."""
    return Wanted(
        across_nodes=args.across_nodes,
        **given(
            gpu_count=args.gpu_count,
            pipeline_parallel_size=args.pipeline_parallel_size,
            replicas_per_gpu=args.replicas_per_gpu,
            accelerator_type=args.accelerator_type,
            label_selector=args.label_selector,
        ),
    )


def vllm_settings(args: ApplicationArgs) -> VLLMSettings:
    """What vLLM is told; batch_size only where somebody said it, for vLLM's is another."""
    said = "batch_size" in args.model_fields_set
    if args.kv_cache_bytes is not None and args.gpu_memory_utilization is not None:
        raise ConfigError(
            "kv_cache_bytes: it replaces what gpu_memory_utilization leaves for the KV cache; "
            "give one of them",
            param="kv_cache_bytes",
        )
    return VLLMSettings(
        trust_remote_code=args.trust_remote_code,
        engine_kwargs=args.engine_kwargs,
        **given(
            max_num_seqs=args.batch_size if said else None,
            tensor_parallel_size=args.gpu_count,
            pipeline_parallel_size=args.pipeline_parallel_size,
            data_type=None if int8_on_cpu(args) else args.data_type,
            max_model_len=args.max_model_len,
            max_input_len=args.max_input_len,
            gpu_memory_utilization=args.gpu_memory_utilization,
            kv_cache_bytes=args.kv_cache_bytes,
            load_in_8bit=args.load_in_8bit,
            load_in_4bit=args.load_in_4bit,
            cache_8bit=args.cache_8bit,
            cpu_offload_gb=args.cpu_offload_gb,
            alpha_value=args.alpha_value,
            compress_pos_emb=args.compress_pos_emb,
            lora_adapters=args.lora_adapters,
        ),
    )


def face_settings(args: ApplicationArgs, vllm: VLLMSettings) -> FaceSettings:
    """Names and limits of the replica's HTTP face; adapters are models of their own."""
    return FaceSettings(
        model_id=args.served_model_name or default_name(args.model_name),
        other_names=tuple(vllm.lora_adapters),
        max_num_seqs=vllm.max_num_seqs,
        loopback_only=args.loopback_only,
        **given(
            max_queued_requests=args.max_queued_requests,
            request_timeout_s=args.request_timeout_s,
            default_max_tokens=args.max_new_tokens,
            default_temperature=args.temperature,
        ),
    )
