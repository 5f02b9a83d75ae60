"""How the documentation shows the fields of a body: under each of their names, with their bounds."""

from typing import Any

from pydantic import AliasChoices, BaseModel

#: What pydantic calls a bound where a validator comes before it, and what JSON Schema does.
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a body, with its bounds as JSON Schema names them."""
    schema = model.model_json_schema()
    for field in schema["properties"].values():
        for kind in field.get("anyOf", [field]):
            for name in [each for each in _BOUNDS if each in kind]:
                kind[_BOUNDS[name]] = kind.pop(name)
    return schema


def document_aliases(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """For `json_schema_extra` of a model: other names beside ours."""
    for name, *aliases in names_of(model).values():
        for alias in aliases:
            schema["properties"][alias] = schema["properties"][name] | {"description": f"Another name for {name}."}


def names_of(schema: type[BaseModel]) -> dict[str, list[str]]:
    """For each field the names that it may come under, ours first."""
    names = {}
    for name, field in schema.model_fields.items():
        alias = field.validation_alias
        names[name] = [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [name]
    return names


def or_text(schema: dict[str, Any]) -> None:
    """OpenAI's clients send this number as a string, and nothing else."""
    schema["anyOf"].insert(1, {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?$"})
