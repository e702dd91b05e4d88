"""Which packs answer with whole labels."""

import json
import shutil
from pathlib import Path

from legibly.accuracy import label_mode
from legibly.packs import card, registry
from legibly.settings import Settings


def test_an_added_pack_of_whole_pictures_is_known_by_its_name(tmp_path: Path) -> None:
    """The shipped digits are read place by place; a pack beside the store whose layout is whole is
    named.
    """
    settings = Settings(store=f"file://{tmp_path}/objects")
    assert label_mode.single_label_models(settings) == frozenset()
    folder = tmp_path / "packs" / "ages"
    shutil.copytree(registry.find("digits"), folder)
    result = json.loads((folder / card.CARD).read_text())
    (folder / card.CARD).write_text(json.dumps({**result, "name": "ages", "layout": "whole"}))
    assert label_mode.single_label_models(settings) == {"ages"}
    assert label_mode.single_label_models(Settings(store="s3://bucket")) == frozenset()
