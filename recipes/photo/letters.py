"""Letters A to Z in each font of a folder, as class folders: data to try `legibly train photo`
with.

    python recipes/photo/letters.py FONTS OUT

A file is called LETTER/FONT.png, so that `--group` can hold fonts of one family together.
"""

import string
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SIDE = 64


def draw(letter: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """A letter in the middle of white paper."""
    image = Image.new("L", (SIDE, SIDE), 255)
    ImageDraw.Draw(image).text((SIDE / 2, SIDE / 2), letter, 0, font, anchor="mm")
    return image


def main() -> None:
    fonts, out = map(Path, sys.argv[1:])
    for file in sorted(fonts.rglob("*.ttf")):
        font = ImageFont.truetype(file, 44)
        for letter in string.ascii_uppercase:
            folder = out / letter
            folder.mkdir(parents=True, exist_ok=True)
            draw(letter, font).save(folder / f"{file.stem}.png")


if __name__ == "__main__":
    main()
