"""Where a model's files are: a folder on this machine, else a snapshot from the Hugging Face Hub.

One GGUF file holds a whole model, so its path may stand where a folder's would. A relative path is
looked for below the working directory and then below the folder that holds our own packages,
because a Ray worker's working directory need not be its driver's.
"""

from __future__ import annotations

import re
from pathlib import Path

from serving.errors import ConfigError

PACKAGES_ROOT = Path(__file__).resolve().parent.parent
GGUF_SUFFIX = ".gguf"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def find_folder(model_name: str) -> Path | None:
    """The folder, or the GGUF file, of this machine that `model_name` names, if there is one."""
    wanted = Path(model_name).expanduser()
    places = (Path.cwd() / wanted, PACKAGES_ROOT / wanted)
    return next((place.resolve() for place in places if _is_model(place)), None)


def _is_model(path: Path) -> bool:
    return path.is_dir() or (path.suffix == GGUF_SUFFIX and path.is_file())


def is_hub_id(model_name: str) -> bool:
    """Whether this can only mean `owner/name` on the hub: `models/typo` beside `models/` cannot."""
    owner = model_name.partition("/")[0]
    return bool(HUB_ID.fullmatch(model_name)) and find_folder(owner) is None


def fetch_model(model_name: str, *, token: str | None = None) -> Path:
    """The model's folder, downloaded first if it is a hub id. Blocks; raises ConfigError."""
    folder = find_folder(model_name)
    if folder is not None:
        return folder
    if not is_hub_id(model_name):
        raise no_such_folder(model_name)
    return _download(model_name, token)


def no_such_folder(model_name: str) -> ConfigError:
    """The one sentence for a model that is not where the settings say."""
    return ConfigError(
        f"model_name: there is no folder '{model_name}' on this machine; give the path of a model "
        "folder (config.json and its weights) or GGUF file, or a Hugging Face id like owner/name",
        param="model_name",
    )


def _download(model_name: str, token: str | None) -> Path:
    from huggingface_hub import snapshot_download  # comes with transformers

    try:
        # Pickled weights are left where they are: they can run code when they are opened.
        return Path(snapshot_download(model_name, token=token, ignore_patterns=["*.bin", "*.pt*"]))
    except Exception as error:  # the hub's own errors, those of its HTTP client, a full disk
        raise ConfigError(_not_fetched(model_name, error), param="model_name") from error


def _not_fetched(model_name: str, error: Exception) -> str:
    """Why, and what to do about it: the hub answers in many words, these are the ones that help."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):
        return (
            f"model_name: '{model_name}' is gated on the Hugging Face Hub; accept its terms there "
            "with your account, and set HF_TOKEN in the environment to a token of that account"
        )
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"model_name: there is no folder '{model_name}' on this machine, and the Hugging Face "
            "Hub shows no such model; correct the name, or set HF_TOKEN in the environment if the "
            "model is private"
        )
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return (
        f"model_name: '{model_name}' is no folder on this machine and could not be fetched "
        f"from the Hugging Face Hub ({reason}); download it where there is a network and give "
        "the folder"
    )
