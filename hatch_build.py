"""Compiles the reader's kernels while Legibly is installed or its wheel is built."""

import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Kernels(BuildHookInterface):
    """Adds the library, if there is a C compiler; without it the wheel runs on any system."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile beside the source, where an editable installation looks for it."""
        source = Path(self.root) / "src/legibly/vision/ink"
        library = runpy.run_path(str(source / "native_build.py"))["build"](source)
        if library is not None:
            build_data["artifacts"].append(str(library.relative_to(self.root)))
            build_data["pure_python"] = False
            system = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["tag"] = f"py3-none-{system}"
