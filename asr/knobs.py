"""Reads a YAML file into frozen dataclasses and refuses whatever does not fit.

PyYAML follows YAML 1.1 and DVC follows YAML 1.2. Where the two would read a value differently
(`1e-5`, `no`, `010`), the value that DVC tracks would not be the value that is used, so such
spellings are refused instead of converted.
"""

import dataclasses
import difflib
import math
import re
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union

import yaml

from asr.errors import UserError

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Range:
    """Inclusive limits of a number, or of each number of a list."""

    low: float = -math.inf
    high: float = math.inf


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys and numbers that YAML 1.1 and 1.2 read differently."""


def _mapping_without_duplicates(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise UserError(f"key '{key}' stands twice (line {key_node.start_mark.line + 1}): remove one")
        seen.add(key)
    return loader.construct_mapping(node)


def _plain_int(_: _StrictLoader, node: yaml.ScalarNode) -> int:
    if not re.fullmatch(r"[-+]?(0|[1-9][0-9]*)", node.value):
        raise UserError(
            f"number '{node.value}' (line {node.start_mark.line + 1}) is read differently by YAML 1.1 and 1.2: "
            "write plain decimal digits without leading zeros, colons or underscores"
        )
    return int(node.value)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_duplicates)
_StrictLoader.add_constructor("tag:yaml.org,2002:int", _plain_int)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        UserError: no file, not UTF-8, not YAML, not a mapping, a duplicate key or an ambiguous number.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = _StrictLoader(text).get_single_data()  # what `yaml.safe_load` does, with the strict loader
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; run from the repository root or restore it with Git") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected sections with keys, found {type(content).__name__}")
    return content


def build(cls: type[T], values: Any, where: str) -> T:
    """An instance of the dataclass `cls` from a mapping; `where` names the mapping in errors.

    Raises:
        UserError: an unknown or missing key, a wrong type, or a number outside its range.
    """
    if not isinstance(values, dict):
        raise UserError(f"{where}: expected keys and values, found {values!r}")
    fields = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]  # T is a dataclass
    hints = typing.get_type_hints(cls, include_extras=True)
    prefix = f"{where}." if where else ""
    for key, value in values.items():
        if key not in fields:
            raise UserError(f"config.unknown_key: {prefix}{key} = {value!r}: unknown key{_suggestion(key, fields)}")
    for name in fields:
        if name not in values:
            wanted = f"{prefix}{name}"
            raise UserError(f"config.unknown_key: {wanted}: missing key; presets/sample.yaml shows it with its unit")
    return cls(**{name: _converted(values[name], hints[name], prefix + name) for name in fields})


def _suggestion(key: object, known: list[str]) -> str:
    close = difflib.get_close_matches(str(key), known, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; known keys: {', '.join(known)}"


def _in_range(value: Any, limits: Range, where: str) -> Any:
    for number in value if isinstance(value, tuple) else (value,):
        if number is not None and not limits.low <= number <= limits.high:
            wanted = (
                f"at least {limits.low:g}" if limits.high == math.inf else f"from {limits.low:g} to {limits.high:g}"
            )
            raise UserError(f"config.type: {where} = {number!r}: out of range; it must be {wanted}")
    return value


def _converted(value: Any, hint: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, where)
    origin = typing.get_origin(hint)
    if origin is Annotated:
        inner, limits = typing.get_args(hint)
        return _in_range(_converted(value, inner, where), limits, where)
    if origin in (Union, types.UnionType):
        inner = next(arg for arg in typing.get_args(hint) if arg is not type(None))
        return None if value is None else _converted(value, inner, where)
    if origin is Literal:
        return _choice(value, typing.get_args(hint), where)
    if origin is tuple:
        if not isinstance(value, list) or not value:
            raise UserError(f"config.type: {where} = {value!r}: expected a list such as [1.0, 2.0]")
        return tuple(_converted(item, typing.get_args(hint)[0], f"{where}[{i}]") for i, item in enumerate(value))
    return _scalar(value, hint, where)


def _choice(value: Any, choices: tuple[Any, ...], where: str) -> Any:
    if value in choices and type(value) in {type(choice) for choice in choices}:
        return value
    raise UserError(f"config.type: {where} = {value!r}: not a choice; write one of {', '.join(map(str, choices))}")


def _scalar(value: Any, hint: type, where: str) -> Any:
    if hint is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if type(value) is hint and hint is not float:
        return value
    found = f"expected {_kind(hint)}, found {_kind(type(value))}{_yaml_hint(value, hint)}"
    raise UserError(f"config.type: {where} = {value!r}: {found}")


def _kind(hint: type) -> str:
    names = {int: "a whole number", float: "a finite number", str: "text", bool: "true or false", type(None): "nothing"}
    return names.get(hint, hint.__name__)


def _yaml_hint(value: Any, hint: type) -> str:
    if hint is float and isinstance(value, str) and re.fullmatch(r"[-+]?[0-9.]+[eE][-+]?[0-9]+", value):
        return f"; YAML 1.1 reads '{value}' as text, write {_dotted(value)}"
    if hint is str and isinstance(value, bool):
        return "; YAML 1.1 reads yes, no, on and off as true and false, quote the word"
    return ""


def _dotted(number: str) -> str:
    mantissa, exponent = re.split("[eE]", number)
    mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
    return f"{mantissa}e{exponent if exponent[0] in '+-' else '+' + exponent}"
