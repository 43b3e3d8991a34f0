"""The HTTP client under the SDK: our key goes to one host only, and a token that is refused is renewed once."""

from __future__ import annotations

from collections.abc import Callable, Generator

import httpx

from backend.errors import LabelStudioError


class Renewing(httpx.Auth):
    """Asks again with a new access token when one is refused.

    The SDK renews a token when it expires by this machine's clock. Label Studio goes by its own, and forgets tokens
    when its secret changes.
    """

    def __init__(self) -> None:
        self.renew: Callable[[], str] | None = None  # a new access token; None where there is nothing to renew

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """One request, or two."""
        response = yield request
        bearer = request.headers.get("Authorization", "").startswith("Bearer ")
        if response.status_code == 401 and bearer and self.renew is not None:
            request.headers["Authorization"] = f"Bearer {self.renew()}"
            yield request


def http_client(url: str, timeout: float, auth: httpx.Auth) -> httpx.Client:
    """Follows redirects within the host of `url` only: the SDK's requests carry our API key, some in their body."""
    own = httpx.URL(url)

    def guard(request: httpx.Request) -> None:
        to = request.url
        secured = (own.scheme, to.scheme) == ("http", "https")  # on another port
        if to.host != own.host or (to.port != own.port and not secured) or (own.scheme == "https" != to.scheme):
            raise LabelStudioError(
                f"{url} redirects to {to.scheme}://{to.netloc.decode()}, where the API key was not sent; set "
                "LABEL_STUDIO_URL to that address if it is Label Studio's"
            )

    return httpx.Client(timeout=timeout, follow_redirects=True, auth=auth, event_hooks={"request": [guard]})
