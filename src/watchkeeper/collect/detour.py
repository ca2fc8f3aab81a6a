"""The long way to a target: through a proxy, or after a redirect. A general client does it; few scrapes need it."""

from collections.abc import Sequence

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from watchkeeper.collect.connection import Answer, AnswerTooLarge
from watchkeeper.collect.targets import Target
from watchkeeper.model.errors import BadInput
from watchkeeper.net.client import RequestOptions
from watchkeeper.net.tls import tls_context

_REDIRECTS_MAX = 10


async def ask_around(
    options: RequestOptions, target: Target, headers: Sequence[tuple[str, str]], body_bytes_max: int
) -> Answer:
    """Ask a target by way of its proxy, following redirects when the configuration says so.

    raises  AnswerTooLarge, OSError; BadInput when it goes round in circles
    """
    timeout = aiohttp.ClientTimeout(total=target.timeout_ms / 1000)
    place = URL(target.url, encoded=True)
    proxy = options.proxy.url_for(place) if options.proxy is not None else ""
    connect = CIMultiDict(options.proxy.connect) if proxy and options.proxy is not None else None
    connector = aiohttp.TCPConnector(force_close=True)
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector, timeout=timeout, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            session.get(
                place,
                headers=headers,
                ssl=tls_context(options.tls) if options.tls is not None else True,
                proxy=proxy or None,
                proxy_headers=connect,
                allow_redirects=options.follow_redirects,
                max_redirects=_REDIRECTS_MAX,
                server_hostname=(options.tls.server_name or None) if options.tls is not None else None,
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
