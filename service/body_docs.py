"""How the documentation shows a body that is read by hand, in JSON and in a form."""

from typing import Any

from pydantic import BaseModel

from service.cancel_schema import CancelVideos
from service.field_docs import schema_of
from service.schemas import CreateImage, CreateVideo, RemixImage, RemixVideo
from service.study_schemas import CastVote, CreateStudy, Invite

_PROMPT = "a red circle moving to the right on a black background"
_VIDEO: dict[str, Any] = {"model": "wan-tiny", "prompt": _PROMPT, "sf": 10, "seed": 7}
#: Of each body, by name.
EXAMPLES: dict[type[BaseModel], dict[str, dict[str, Any]]] = {
    CreateVideo: {
        "shortest": {"prompt": _PROMPT},
        "usual": {**_VIDEO, "size": "96x96", "seconds": "2", "metadata": {"team": "ads"}},
    },
    RemixVideo: {"another prompt": {"prompt": "a blue circle moving to the right on a black background"}},
    RemixImage: {"another prompt": {"prompt": "a yellow triangle on a white background"}},
    CancelVideos: {"by what they are like": {"status": "queued", "metadata": {"team": "ads"}}, "all": {"all": True}},
    CreateImage: {"usual": {"model": "flux-tiny", "prompt": "a blue triangle on a white background", "n": 1}},
    CreateStudy: {
        "usual": {
            "name": "Which is better?",
            "ids": [
                "video_wan-tiny_91d2c5d5a1f84b6c8f0f6e3d2b7a9c10",
                "video_wan-tiny_3b8e7d2a4c6f9e1d8b7a6c5f4e3d5f0c",
            ],
        }
    },
    Invite: {"usual": {"votes": 100, "seconds": 86_400}},
    CastVote: {"usual": {"choice": "left"}},
}


def body_docs(schema: type[BaseModel], *, form: bool = True) -> dict[str, Any]:
    """For `openapi_extra` of the call that takes it."""
    examples = {name: {"value": value} for name, value in EXAMPLES[schema].items()}
    content = {"application/json": {"schema": schema_of(schema), "examples": examples}}
    if form:
        content["multipart/form-data"] = {"schema": _form(schema), "examples": examples}
    return {"requestBody": {"required": True, "content": content}}


def _form(schema: type[BaseModel]) -> dict[str, Any]:
    form = schema_of(schema)
    if "metadata" in form["properties"]:
        form["description"] = "The same fields as in JSON, with metadata as metadata[key] fields."
    if issubclass(schema, CreateVideo):
        form["description"] = (
            "The same fields as in JSON, with metadata as metadata[key] fields and input_reference as a file."
        )
        description = form["properties"]["input_reference"]["description"]
        form["properties"]["input_reference"] = {"type": "string", "format": "binary", "description": description}
    return form
