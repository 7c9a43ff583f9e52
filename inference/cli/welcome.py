"""What is printed when the server answers: where it is and two examples that work when pasted."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from inference.app import cpu_settings
from inference.local.config import Application, LocalConfig
from inference.names import default_name
from serving.cpu.deployment import with_actual_engine
from serving.embedder import EMBEDDERS
from serving.model_source import find_folder

QUESTION = "What is the capital of France?"  # the demo model knows

CURL = """\
curl {url}/v1/chat/completions \\
  -H 'Content-Type: application/json' \\{key}
  -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "{question}"}}]}}'"""

CURL_KEY = """
  -H "Authorization: Bearer $ANYNODE_API_KEY" \\"""

PYTHON = """\
from openai import OpenAI

client = OpenAI(base_url="{url}/v1", api_key={key})
answer = client.chat.completions.create(
    model="{model}", messages=[{{"role": "user", "content": "{question}"}}]
)
print(answer.choices[0].message.content)"""

EMBEDDING_CURL = """\
curl {url}/v1/embeddings \\
  -H 'Content-Type: application/json' \\{key}
  -d '{{"model": "{model}", "input": "{question}"}}'"""

EMBEDDING_PYTHON = """\
from openai import OpenAI

client = OpenAI(base_url="{url}/v1", api_key={key})
answer = client.embeddings.create(model="{model}", input="{question}")
print(answer.data[0].embedding)"""

CHAT_CALLS, EMBEDDING_CALLS = (CURL, PYTHON), (EMBEDDING_CURL, EMBEDDING_PYTHON)

PYTHON_KEY = '__import__("os").environ["ANYNODE_API_KEY"]'


def welcome(config: LocalConfig, *, seconds: float) -> str:
    """Everything a first caller needs. Shows where the API key is kept, never the key."""
    applications = list(config.applications())
    lines = [f"Ready after {seconds:.1f} s. Ctrl-C stops it.", ""]
    lines += [f"  {model_name(each)}  at  {url(config, each)}/v1" for each in applications]
    for application in applications[:1]:
        calls = EMBEDDING_CALLS if embeds(application) else CHAT_CALLS
        lines += ["", *examples(url(config, application), model_name(application), calls)]
    return "\n".join(lines)


def embeds(application: Application) -> bool:
    """Whether it will answer with vectors, as far as its folder tells; vLLM decides for itself."""
    args = application.args
    folder = find_folder(args.model_name)
    if folder is None or args.uses_vllm:
        return False
    return with_actual_engine(cpu_settings(args), folder).engine in EMBEDDERS


def examples(url: str, model: str, calls: tuple[str, str]) -> list[str]:
    """One call with curl and one with the openai client."""
    curl_call, python_call = calls
    locked = bool(os.environ.get("ANYNODE_API_KEY") or os.environ.get("ANYNODE_API_KEY_FILE"))
    curl = curl_call.format(url=url, model=model, question=QUESTION, key=CURL_KEY if locked else "")
    python = python_call.format(
        url=url, model=model, question=QUESTION, key=PYTHON_KEY if locked else '"unused"'
    )
    title = f"From Python, such as {our_python()}:"
    return ["From a shell:", "", curl, "", title, "", python]


def our_python() -> Path:
    """The interpreter we run in, which has the openai package, as short as it can be said."""
    path, here = Path(sys.executable), Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def url(config: LocalConfig, application: Application) -> str:
    """Where the application's own routes begin."""
    return config.url + application.route_prefix


def model_name(application: Application) -> str:
    """What callers say in `model`."""
    return application.args.served_model_name or default_name(application.args.model_name)
