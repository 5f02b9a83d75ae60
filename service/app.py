"""The application: resources in, routes and middleware around them. Nothing happens at import."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware

from service import error_handlers
from service.access import AccessLogMiddleware
from service.deadlines import end_overdue
from service.dependencies import Resources, sent_once
from service.draining import DrainMiddleware
from service.error_response import ErrorBody, Problem
from service.limits import BodyLimitMiddleware
from service.openapi import DocumentedApp
from service.origins import OriginMiddleware
from service.page_files import PageFiles
from service.routes import (
    ballots,
    documentation,
    estimates,
    events,
    health,
    images,
    models,
    page,
    status,
    studies,
    usage,
    videos,
    webhooks,
)
from service.served import say_served
from service.settings import Settings
from service.startup import say_problems

# Both shapes of an error; `service/openapi.py` puts the statuses of each call in their place. That there are any keeps
# FastAPI from announcing a 422 of a third shape.
_ERROR_SHAPES: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorBody}, "5XX": {"model": Problem}}

_TAGS = [
    {"name": "videos", "description": "Make videos, see what becomes of them, and download them."},
    {"name": "images", "description": "Make images, and download them."},
    {"name": "webhooks", "description": "The secrets that messages are signed with, and what became of each message."},
    {"name": "studies", "description": "Blind tests: which of two settings people prefer."},
    {"name": "models", "description": "What is served, within which limits, and what to expect of it."},
    {"name": "health", "description": "What machines ask."},
]


def create_app(settings: Settings, resources: Resources | None = None) -> FastAPI:
    """The service for these settings. `resources` replaces what it would open itself. Raises `CatalogueError`,
    `ConfigurationError`."""
    resources = resources or Resources.open(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        saying = asyncio.create_task(say_served(resources.presence, list(resources.catalogue.entries)))
        overdue = asyncio.create_task(end_overdue(resources))
        starting = asyncio.create_task(run_in_threadpool(say_problems, resources))
        yield
        await starting
        saying.cancel()
        overdue.cancel()
        await resources.close()

    app = DocumentedApp(
        title="ScalingCache Serve",
        version=version("scalingcache-serve"),
        description="Videos and images from diffusion transformers, accelerated by ScalingCache, in OpenAI's shapes.",
        license_info={"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        servers=[{"url": "/"}],
        openapi_tags=_TAGS,
        middleware=[
            Middleware(AccessLogMiddleware, metrics=resources.metrics),
            Middleware(DrainMiddleware),
            Middleware(OriginMiddleware, settings.trusted_hosts, settings.public_url),
            Middleware(BodyLimitMiddleware),
        ],
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,  # service/routes/documentation.py has it, behind its setting.
        responses=_ERROR_SHAPES,
        dependencies=[Depends(sent_once)],
    )
    app.state.resources = resources
    error_handlers.install(app)
    nouns = (  # Routes are looked through in this order: first those that are called most.
        videos,
        images,
        events,
        estimates,
        models,
        health,
        ballots,
        documentation,
        status,
        studies,
        usage,
        webhooks,
    )
    routers = [noun.router for noun in nouns]
    if settings.page:
        routers.append(page.router(PageFiles.read(docs=settings.docs_access == "open")))
    for router in routers:
        app.include_router(router)
        app.include_router(_heads(router))
    return app


def _heads(router: APIRouter) -> APIRouter:
    """HEAD wherever there is GET: FastAPI leaves it out. The server sends no body then."""
    heads = APIRouter()
    for route in router.routes:
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
            heads.add_api_route(
                route.path,
                route.endpoint,
                methods=["HEAD"],
                include_in_schema=False,
                dependencies=route.dependencies,
            )
    return heads
