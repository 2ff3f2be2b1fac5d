"""The part of JSON Schema that the schemas here use, so that a test needs no other package."""

import re

TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None),
    "integer": int, "number": (int, float),
}  # fmt: skip
KNOWN = {
    "$schema", "$defs", "$ref", "title", "description", "type", "enum", "const", "required",
    "properties", "additionalProperties", "items", "oneOf", "pattern", "minimum", "maximum",
    "dependentRequired", "minItems", "format",
}  # fmt: skip


def errors(value, schema, root=None, at="$"):  # noqa: C901, PLR0912
    """Return what of a value a schema does not allow."""
    root = schema if root is None else root
    assert not schema.keys() - KNOWN, schema.keys() - KNOWN
    if "$ref" in schema:
        return errors(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, at)
    found = []
    if "type" in schema and not _is_of(value, schema["type"]):
        return [f"{at}: {value!r} is no {schema['type']}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: {value!r} is none of {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: {value!r} is not {schema['const']!r}")
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        found.append(f"{at}: {value!r} does not match")
    is_number = isinstance(value, int | float)
    if is_number and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.append(f"{at}: {value!r} is out of range")
    if isinstance(value, dict):
        found += [f"{at}: no {name}" for name in schema.get("required", ()) if name not in value]
        for name, others in schema.get("dependentRequired", {}).items():
            if name in value:
                found += [f"{at}: {name} without {o}" for o in others if o not in value]
        properties = schema.get("properties", {})
        for name, each in value.items():
            rule = properties.get(name, schema.get("additionalProperties", {}))
            if rule is False:
                found.append(f"{at}: {name} is unknown")
            else:
                found += errors(each, rule, root, f"{at}.{name}")
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            found.append(f"{at}: too few")
        for index, each in enumerate(value):
            found += errors(each, schema.get("items", {}), root, f"{at}[{index}]")
    if "oneOf" in schema:
        tried = [errors(value, each, root, at) for each in schema["oneOf"]]
        if tried.count([]) != 1:
            found.append(f"{at}: {tried.count([])} of the forms fit: {tried}")
    return found


def _is_of(value, names):
    names = [names] if isinstance(names, str) else names
    return any(
        isinstance(value, TYPES[name]) and not (isinstance(value, bool) and name != "boolean")
        for name in names
    )
