"""What `/readyz` answers while a fault lasts."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator

import httpx

_SECONDS = 0.25


@contextlib.contextmanager
def sampled(url: str) -> Iterator[Counter[str]]:
    """Ask `/readyz` four times a second; counts `ready`, codes of problems and `no answer`."""
    answers: Counter[str] = Counter()
    ending = threading.Event()

    def sample() -> None:
        while not ending.wait(_SECONDS):
            try:
                response = httpx.get(f"{url}/readyz", timeout=2)
                document = response.json()
                answers[document.get("code") or document["status"]] += 1
            except (httpx.HTTPError, ValueError):
                answers["no answer"] += 1

    thread = threading.Thread(target=sample)
    thread.start()
    yield answers
    ending.set()
    thread.join()
