"""A caller that asks the front address all the time, and remembers what answered."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

PAUSE_S = 0.2


def answering(url: str, token: str, picture: bytes) -> str:
    """The artifact that answers a picture. Raises OSError for any answer but 200."""
    request = urllib.request.Request(
        f"{url}/v1/depth?output_size=model",
        data=picture,
        headers={"Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
        return answer.headers.get("Depth-Artifact", "unnamed")


class Caller:
    """Asks in a thread. `answers` counts artifacts; `lost` has a line per request that failed."""

    def __init__(self, url: str, token: str, picture: Path) -> None:
        self._url, self._token, self._picture = url, token, picture.read_bytes()
        self.answers: Counter[str] = Counter()
        self.lost: list[str] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def now(self) -> str:
        """The artifact that answers at present. Raises OSError."""
        return answering(self._url, self._token, self._picture)

    def forget(self) -> None:
        """Count from here on."""
        self.answers, self.lost = Counter(), []

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._stopped.wait(PAUSE_S):
            try:
                self.answers[self.now()] += 1
            except urllib.error.HTTPError as error:
                with error:
                    self.lost.append(f"{error.code} {error.read(200).decode(errors='replace')}")
            except OSError as error:
                self.lost.append(str(error))
