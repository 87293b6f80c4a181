"""The command import: a data set of one's own from folders of pictures."""

from pathlib import Path
from typing import Annotated

import typer

from mnistctl.cli.options import DATA_DIR, DataDir, Json, flag


def import_(
    source: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Folder with the folders 0 to 9, or with train and test."),
    ],
    data_dir: DataDir = DATA_DIR,
    as_is: Annotated[
        bool, flag("--as-is", help="Take pictures of 28x28 pixels as they are, white on black.")
    ] = False,
    test_share: Annotated[
        float | None,
        typer.Option(help="Share of the pictures for the test split.", show_default="one in six"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the split and the order.")] = 0,
    json: Json = False,
) -> None:
    """The command `import`."""
    from mnistctl.cli.output.pictures import picture_progress, print_import
    from mnistctl.data import pictures

    with picture_progress() as on_progress:
        result = pictures.import_pictures(
            source,
            data_dir,
            as_is=as_is,
            test_share=test_share,
            seed=seed,
            progress=on_progress,
        )
    print_import(result, data_dir, json=json)
