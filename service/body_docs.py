"""How the documentation shows a body that is read by hand, in JSON and in a form."""

from typing import Any

from pydantic import BaseModel

from service.schemas import CreateVideo


def body_docs(schema: type[BaseModel], *, form: bool = True) -> dict[str, Any]:
    """For `openapi_extra` of the call that takes it."""
    content = {"application/json": {"schema": schema.model_json_schema()}}
    if form:
        content["multipart/form-data"] = {"schema": _form(schema)}
    return {"requestBody": {"required": True, "content": content}}


def _form(schema: type[BaseModel]) -> dict[str, Any]:
    form = schema.model_json_schema()
    if "metadata" in form["properties"]:
        form["description"] = "The same fields as in JSON, with metadata as metadata[key] fields."
    if issubclass(schema, CreateVideo):
        form["description"] = (
            "The same fields as in JSON, with metadata as metadata[key] fields and input_reference as a file."
        )
        description = form["properties"]["input_reference"]["description"]
        form["properties"]["input_reference"] = {"type": "string", "format": "binary", "description": description}
    return form
