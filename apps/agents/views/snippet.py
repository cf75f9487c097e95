"""The program that people start from: an agent of their own, with the address of this server in it."""

from django.http import HttpRequest

PROGRAM = '''\
import os
from orchestra.sdk import Agent, BaseModel, Context, serve

class Shouter(Agent):
    """Says it louder."""
    name = "shouter"
    capabilities = ["shout"]
    class Input(BaseModel):
        text: str

    def exec(self, task: Input, ctx: Context) -> dict[str, str]:
        return {{"text": task.text.upper()}}

if __name__ == "__main__":
    serve(Shouter, url="{url}", key=os.environ["ORCHESTRA_KEY"], concurrency=4)
'''


def snippet(request: HttpRequest) -> str:
    """Give the program; the key is made on the page of the API keys, and is not part of it."""
    return PROGRAM.format(url=request.build_absolute_uri("/").rstrip("/"))
