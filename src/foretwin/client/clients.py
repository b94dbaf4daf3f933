"""The two clients: one that blocks, one for asyncio."""

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pandas as pd

from foretwin import __version__
from foretwin.client import plans
from foretwin.client.exchange import Ask, Plan, pause_before_retry, raise_refusal, unreachable
from foretwin.client.operations import Operations
from foretwin.errors import BadInput, ForetwinError
from foretwin.project.files import fresh_file
from foretwin.project.settings import read_setting

TIMEOUT = 60.0  # s


class Client(Operations[pd.DataFrame, dict[str, Any]]):
    """Client of the scoring service (`foretwin serve`) or of the living twin (`foretwin live`) at a URL.

    `key` is an API key (`foretwin keys new`), by default what FORETWIN_KEY says, if anything; an open service needs
    none. `timeout` is in seconds, of one call; `actor` is for whom the key's holder acts, which the
    audit names behind the key. A call that may be repeated is, up to three times, where the connection
    fails or the service is busy; one that changes a case is never sent twice. What a service refuses is raised as the
    class of `foretwin.errors` that it is there, with `field` and `reason`; ServiceError where the service cannot be
    reached or fails. Use it as a context manager, or `close` it. In the signatures of its methods a `Table` is a
    DataFrame and `Content` a dict.

    >>> with foretwin.Client("http://127.0.0.1:3000") as client:
    ...     client
    Client('http://127.0.0.1:3000')
    """

    def __init__(self, url: str, key: str | None = None, timeout: float = TIMEOUT, actor: str | None = None) -> None:
        self._http = httpx.Client(**_settings(url, key, timeout, actor))

    def __repr__(self) -> str:
        return f"Client({_shown(self._http)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def export(self, asset: str, path: Path | str) -> Path:
        """Write the copy of all that is kept of an asset, a ZIP file; it appears whole or not at all."""
        ask = plans.exporting(asset)
        with fresh_file(Path(path)) as out, self._http.stream(**ask.arguments()) as answer:
            if not answer.is_success:
                answer.read()
                raise_refusal(ask, answer)
            with out.open("wb") as file:
                for piece in answer.iter_bytes():
                    file.write(piece)
        return Path(path)

    def _table(self, plan: Plan) -> pd.DataFrame:
        table: pd.DataFrame = self._run(plan)
        return table

    def _content(self, plan: Plan) -> dict[str, Any]:
        content: dict[str, Any] = self._run(plan)
        return content

    def _run(self, plan: Plan) -> Any:
        try:
            ask = next(plan)
            while True:
                try:
                    answer = self._answer(ask)
                except ForetwinError as error:
                    ask = plan.throw(error)
                else:
                    ask = plan.send(answer)
        except StopIteration as end:
            return end.value

    def _answer(self, ask: Ask) -> httpx.Response:
        failures = 0
        while True:
            answer: httpx.Response | httpx.TransportError
            try:
                answer = self._http.request(**ask.arguments())
            except httpx.TransportError as error:
                answer = error
            failures += 1
            pause = _pause(ask, failures, answer)
            if pause is None:
                return _answered(ask, answer)
            time.sleep(pause)


class AsyncClient(Operations[Awaitable[pd.DataFrame], Awaitable[dict[str, Any]]]):
    """The same as `Client` for asyncio: each call is awaited; an async context manager.

    >>> async def fleet():
    ...     async with foretwin.AsyncClient("http://127.0.0.1:3100") as client:
    ...         return await client.assets(stale=True)
    """

    def __init__(self, url: str, key: str | None = None, timeout: float = TIMEOUT, actor: str | None = None) -> None:
        self._http = httpx.AsyncClient(**_settings(url, key, timeout, actor))

    def __repr__(self) -> str:
        return f"AsyncClient({_shown(self._http)!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def export(self, asset: str, path: Path | str) -> Path:
        """Write the copy of all that is kept of an asset, a ZIP file; it appears whole or not at all."""
        ask = plans.exporting(asset)
        with fresh_file(Path(path)) as out:
            async with self._http.stream(**ask.arguments()) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise_refusal(ask, answer)
                with out.open("wb") as file:
                    async for piece in answer.aiter_bytes():
                        file.write(piece)
        return Path(path)

    async def _table(self, plan: Plan) -> pd.DataFrame:
        table: pd.DataFrame = await self._run(plan)
        return table

    async def _content(self, plan: Plan) -> dict[str, Any]:
        content: dict[str, Any] = await self._run(plan)
        return content

    async def _run(self, plan: Plan) -> Any:
        try:
            ask = next(plan)
            while True:
                try:
                    answer = await self._answer(ask)
                except ForetwinError as error:
                    ask = plan.throw(error)
                else:
                    ask = plan.send(answer)
        except StopIteration as end:
            return end.value

    async def _answer(self, ask: Ask) -> httpx.Response:
        failures = 0
        while True:
            answer: httpx.Response | httpx.TransportError
            try:
                answer = await self._http.request(**ask.arguments())
            except httpx.TransportError as error:
                answer = error
            failures += 1
            pause = _pause(ask, failures, answer)
            if pause is None:
                return _answered(ask, answer)
            await asyncio.sleep(pause)


def _settings(url: str, key: str | None, timeout: float, actor: str | None) -> dict[str, Any]:
    """Return the arguments of httpx's clients; BadInput for what is no http URL."""
    if not url.startswith(("http://", "https://")):
        raise BadInput("url", f'is "{url[:60]}"; one such as http://127.0.0.1:3000 is needed')
    key = key or read_setting("FORETWIN_KEY").strip()
    headers = {"User-Agent": f"foretwin/{__version__}"} | ({"Authorization": f"Bearer {key}"} if key else {})
    headers |= {"X-Actor": actor} if actor else {}
    return {"base_url": url.rstrip("/"), "headers": headers, "timeout": timeout}


def _shown(http: httpx.Client | httpx.AsyncClient) -> str:
    return str(http.base_url).rstrip("/")


def _pause(ask: Ask, failures: int, answer: httpx.Response | httpx.TransportError) -> float | None:
    """Return the seconds until the next attempt; None where this answer, or failure, is the last."""
    if isinstance(answer, httpx.Response):
        return None if answer.is_success else pause_before_retry(ask, failures, answer)
    return pause_before_retry(ask, failures, None)


def _answered(ask: Ask, answer: httpx.Response | httpx.TransportError) -> httpx.Response:
    """Return a good answer; raise what a refusal or a failure is."""
    if isinstance(answer, httpx.TransportError):
        raise unreachable(ask, answer) from answer
    raise_refusal(ask, answer)
    return answer
