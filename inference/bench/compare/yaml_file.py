"""YAML as people write it, with every mistake named by file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from inference.bench.text_file import read_text
from serving.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice: YAML itself would keep the last one in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"'{key}' is there twice; give one of them another name",
                    problem_mark=key_node.start_mark,
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read(path: Path, option: str) -> Any:
    """What a file says. Raises ConfigError naming the file and the line."""
    try:
        return yaml.load(read_text(path, option), Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: {error.problem or 'this is not YAML'}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from error
