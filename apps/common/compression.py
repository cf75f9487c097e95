"""Pages go over the wire compressed."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware


class CompressedPages(GZipMiddleware):
    """Compresses pages and their parts; the API's answers and streams stay as they are.

    Django hides the true length of what it compresses, so that guessing a token by the length (BREACH) does not work.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Give the page as the browser takes it."""
        is_page = not response.streaming and response.get("Content-Type", "").startswith("text/html")
        return super().process_response(request, response) if is_page else response
