"""The options of `anynode serve`, as types: what each means, and where `--help` lists it."""

from __future__ import annotations

from typing import Annotated

import typer

from inference.args import VLLM
from inference.local.environment import Proxy as ProxyName
from serving.engine import ENGINES

MODEL = "The model"
WHERE = "Where it answers"

Target = Annotated[
    str,
    typer.Argument(help="A model folder, a GGUF file, a Hugging Face id, or a Serve config file."),
]

Host = Annotated[
    str | None,
    typer.Option(
        help="Interface to answer on; 0.0.0.0 for all. [dim](default: 127.0.0.1)[/dim]",
        show_default=False,
        rich_help_panel=WHERE,
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=65535,
        help="Port to answer on. [dim](default: 8000)[/dim]",
        show_default=False,
        rich_help_panel=WHERE,
    ),
]
Proxy = Annotated[
    ProxyName,
    typer.Option(help="What stands before the model; python is slower.", rich_help_panel=WHERE),
]

ServedModelName = Annotated[
    str | None,
    typer.Option(
        "--served-model-name",
        "--model-name",
        help="What callers say in `model`. [dim](default: the folder's name)[/dim]",
        rich_help_panel=MODEL,
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        help=f"{', '.join([*ENGINES, VLLM])}, or package.module:Class. "
        "[dim](default: what --target-device means, else onnx; llama_cpp for a GGUF file)[/dim]",
        rich_help_panel=MODEL,
    ),
]
TargetDevice = Annotated[
    str | None,
    typer.Option(help="Whose CPU it is: AMD or INTEL.", rich_help_panel=MODEL, show_default=False),
]
DataType = Annotated[
    str | None,
    typer.Option(
        help="How weights are kept, as the engine knows it: int8, int4, bfloat16, …",
        rich_help_panel=MODEL,
    ),
]
BatchSize = Annotated[
    int | None, typer.Option(help="Sequences decoded together.", rich_help_panel=MODEL)
]
MaxModelLen = Annotated[
    int | None,
    typer.Option(help="Longest prompt and answer together, in tokens.", rich_help_panel=MODEL),
]
MaxQueuedRequests = Annotated[
    int | None,
    typer.Option(help="Requests that may wait; more get 429.", rich_help_panel=MODEL),
]
KVCacheBytes = Annotated[
    str | None,
    typer.Option(help="Memory for the KV cache, such as 2GiB.", rich_help_panel=MODEL),
]
NumThreads = Annotated[
    int | None,
    typer.Option(help="CPU threads. [dim](default: all)[/dim]", rich_help_panel=MODEL),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show the logs of Ray and of the replicas.")
]
