"""Names of classes that a data set carries beside the numbers: those of the `datasets` library, wherever they stand.

They come with a data set from the Hub and with a Parquet file that `datasets` wrote. Not covered: pandas' categories,
which pyarrow resolves itself.
"""

from collections.abc import Mapping
from typing import Any

from llmtl.json_and_yaml import parse_json

NOT_LABELLED = -1
"""What stands for no label, by convention of the `datasets` library."""


def with_names(values: Mapping[str, Any], features: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the numbers of classes by their names, also in lists and objects; `features` as `to_dict` writes them."""
    return {key: _named(value, features.get(key)) for key, value in values.items()}


def features_of(metadata: Mapping[bytes, bytes] | None) -> Mapping[str, Any]:
    """Read the features from the metadata of a Parquet schema; none where `datasets` did not write it."""
    try:
        document = parse_json((metadata or {}).get(b"huggingface", b"{}"))
        features = document["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return features if isinstance(features, dict) else {}


def _named(value: Any, feature: Any) -> Any:
    """Name the classes in one value; a list of objects may be kept as an object of lists."""
    if isinstance(feature, list) and len(feature) == 1:
        feature = {"feature": feature[0], "_type": "List"}
    if not isinstance(feature, dict) or value is None:
        return value
    if feature.get("_type") == "ClassLabel":
        return _class_name(value, feature.get("names") or [])
    if isinstance(feature.get("_type"), str):
        inner = feature.get("feature")
        if isinstance(value, dict) and isinstance(inner, dict):
            return {key: [_named(item, inner.get(key)) for item in items] for key, items in value.items()}
        return [_named(item, inner) for item in value] if isinstance(value, list) and inner is not None else value
    return with_names(value, feature) if isinstance(value, dict) else value


def _class_name(value: Any, names: list[str]) -> Any:
    if value == NOT_LABELLED:
        return None
    known = isinstance(value, int) and 0 <= value < len(names)
    return names[value] if known else value
