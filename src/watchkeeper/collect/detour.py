"""The long way to a target: through a proxy, or after a redirect. A general client does it; few scrapes need it."""

import ssl

import aiohttp
from yarl import URL

from watchkeeper.collect.connection import Answer, AnswerTooLarge
from watchkeeper.collect.settings import ScrapeConfig
from watchkeeper.collect.targets import Target
from watchkeeper.model.errors import BadInput

_REDIRECTS_MAX = 10


async def ask_around(
    config: ScrapeConfig, target: Target, headers: dict[str, str], tls: ssl.SSLContext | None, body_bytes_max: int
) -> Answer:
    """Ask a target by way of its proxy, following redirects when the configuration says so.

    raises  AnswerTooLarge, OSError; BadInput when it goes round in circles
    """
    timeout = aiohttp.ClientTimeout(total=target.timeout_ms / 1000)
    connector = aiohttp.TCPConnector(force_close=True)
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            session.get(
                URL(target.url, encoded=True),
                headers=headers,
                ssl=tls if tls is not None else True,
                proxy=config.proxy_url or None,
                allow_redirects=config.follow_redirects,
                max_redirects=_REDIRECTS_MAX,
                server_hostname=config.tls_config.server_name or None,
            ) as response,
        ):
            return await _read(response, body_bytes_max)
    except aiohttp.TooManyRedirects:
        raise BadInput(f'Get "{target.url}": stopped after {_REDIRECTS_MAX} redirects') from None
    except aiohttp.ClientConnectorError as error:
        raise error.os_error from None
    except aiohttp.ClientError as error:
        raise OSError(str(error) or type(error).__name__) from None


async def _read(response: aiohttp.ClientResponse, body_bytes_max: int) -> Answer:
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > body_bytes_max:
            raise AnswerTooLarge
        chunks.append(chunk)
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status, response.reason or "", headers, b"".join(chunks))
