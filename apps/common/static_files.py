"""Static files with a hash in their names, compressed, which a browser may keep for ever."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import FileSystemFinder
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc] # WhiteNoise has no types
    """Names files as `collectstatic` left them; what it has not seen keeps its plain name, and is served all the same.

    So a page is never broken by a missing manifest: a fresh clone, the tests and development serve from the sources.
    """

    support_js_module_import_aggregation = True  # `import "./x.js"` in our modules names the hashed file too

    def stored_name(self, name: str) -> str:
        """Give the hashed name where there is one."""
        clean = self.clean_name(name)
        return str(self.hashed_files.get(self.hash_key(clean), clean))


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]
    """Serves them with the sources behind; where nothing has been collected yet it does not complain."""

    def add_files(self, root: str | Path, prefix: str | None = None) -> Any:
        """Take in a directory, if it is there."""
        if Path(root).is_dir():
            super().add_files(str(root), prefix=prefix)


class BuiltFiles(FileSystemFinder):
    """Finds what browsers get, and not the sources in `static/src` that some of it is built from."""

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterable[Any]:
        """Give every file but those of sources and of what they need to be built."""
        return super().list([*(ignore_patterns or ()), "src"])

    def find(self, path: str, *args: Any, **kwargs: Any) -> Any:
        """Give the place of a file; none for a source."""
        return [] if path.startswith("src/") else super().find(path, *args, **kwargs)
