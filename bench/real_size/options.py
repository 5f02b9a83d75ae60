"""The options that say what is built and where, for all programs that build at real size."""

from typing import Annotated

import typer

from bench.real_size.architectures import ARCHITECTURES, HEAD, SIZE_MULTIPLE, Device, Dtype

_SIDE = typer.Option(help=f"Pixels, a multiple of {SIZE_MULTIPLE}.", min=SIZE_MULTIPLE)

ModelOption = Annotated[str, typer.Option(help=f"One of {', '.join(ARCHITECTURES)}.")]
DeviceOption = Annotated[Device, typer.Option(help="Where it runs.")]
DtypeOption = Annotated[Dtype, typer.Option(help="Of the weights.")]
BlocksOption = Annotated[int | None, typer.Option(help="Build fewer blocks.", min=1)]
HeadsOption = Annotated[int | None, typer.Option(help=f"Build narrower blocks, of so many heads of {HEAD}.", min=1)]
SideOption = Annotated[int | None, _SIDE]
FramesOption = Annotated[int | None, typer.Option(help="Frames, 1 for a model of images.", min=1)]
