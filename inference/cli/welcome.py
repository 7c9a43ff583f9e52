"""What is printed when the server answers: where it is and two examples that work when pasted."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from inference.local.config import Application, LocalConfig
from inference.names import default_name

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

PYTHON_KEY = '__import__("os").environ["ANYNODE_API_KEY"]'


def welcome(config: LocalConfig, *, seconds: float) -> str:
    """Everything a first caller needs. Shows where the API key is kept, never the key."""
    applications = list(config.applications())
    lines = [f"Ready after {seconds:.1f} s. Ctrl-C stops it.", ""]
    lines += [f"  {model_name(each)}  at  {url(config, each)}/v1" for each in applications]
    for application in applications[:1]:
        lines += ["", *examples(url(config, application), model_name(application))]
    return "\n".join(lines)


def examples(url: str, model: str) -> list[str]:
    """One call with curl and one with the openai client."""
    locked = bool(os.environ.get("ANYNODE_API_KEY") or os.environ.get("ANYNODE_API_KEY_FILE"))
    curl = CURL.format(url=url, model=model, question=QUESTION, key=CURL_KEY if locked else "")
    python = PYTHON.format(
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
