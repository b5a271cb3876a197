"""Options that several commands share."""

from typing import Annotated

import typer

Profile = Annotated[
    str, typer.Option(help="smoke (seconds), book (committed checkpoints) or paper (its protocol).")
]
Sets = Annotated[
    list[str], typer.Option("--set", help="Change one setting, e.g. train.steps=20; repeatable.")
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Seed = Annotated[
    int,
    typer.Option(help="Seed of all that is drawn: paths, alternatives, real images.", min=0, max=2**63 - 1),
]
Model = Annotated[str, typer.Argument(help="Name of a committed checkpoint, or a checkpoint directory.")]
Extractors = Annotated[
    list[str], typer.Option("--extractor", help="Features to measure in, repeatable; all by default.")
]
