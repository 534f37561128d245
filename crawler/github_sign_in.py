"""Who somebody is at GitHub: the part of signing in that asks GitHub.

The code flow of OAuth 2.0 with PKCE. No permission is asked for: the public login name is all that is
read, and the token is thrown away.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from requests import RequestException

from crawler.settings import Settings
from pipelines.errors import UsageError
from review.context import SignInError

log = logging.getLogger(__name__)

MAX_SECONDS = 10.0
"""How long GitHub may take for each of two answers. A person waits for it."""

MAX_LOGIN = 100
_NOT_CONFIRMED = "GitHub has not confirmed who you are. Try again."


class GitHub:
    """Sign-in through an OAuth app at GitHub; see `review.context.GitHubSignIn`."""

    def __init__(
        self, *, client_id: str, client_secret: str, api_url: str, user_agent: str, timeout: float
    ) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._api_url = api_url
        self._web_url = web_address_of(api_url)
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}
        self._timeout = min(timeout, MAX_SECONDS)

    def authorize_url(self, *, state: str, verifier: str, redirect_uri: str) -> str:
        """Where the browser is sent to."""
        with self._session(redirect_uri) as session:
            url, _ = session.create_authorization_url(
                f"{self._web_url}/login/oauth/authorize", state=state, code_verifier=verifier
            )
        return str(url)

    def fetch_login(self, *, code: str, verifier: str, redirect_uri: str) -> str:
        """The login name that a code stands for. Raises SignInError."""
        with self._session(redirect_uri) as session:
            try:
                session.fetch_token(
                    f"{self._web_url}/login/oauth/access_token",
                    code=code,
                    code_verifier=verifier,
                    headers=self._headers,
                    timeout=self._timeout,
                    allow_redirects=False,
                )
                answer = session.get(
                    f"{self._api_url}/user",
                    headers=self._headers,
                    timeout=self._timeout,
                    allow_redirects=False,
                )
                found: Any = answer.json() if answer.status_code == 200 else None  # whatever it has sent
            except (AuthlibBaseError, RequestException, ValueError, KeyError, TypeError) as error:
                # The message may hold the code or the token.
                log.warning("sign-in by GitHub failed: %s", type(error).__name__)
                raise SignInError(_NOT_CONFIRMED) from None
        login = found.get("login") if isinstance(found, Mapping) else None
        if not isinstance(login, str) or not 0 < len(login) <= MAX_LOGIN:
            log.warning("sign-in by GitHub failed: it named nobody")
            raise SignInError(_NOT_CONFIRMED)
        return login

    def _session(self, redirect_uri: str) -> OAuth2Session:
        return OAuth2Session(
            self._client_id,
            self._client_secret,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_post",
        )


def web_address_of(api_url: str) -> str:
    """Where people sign in, of a service whose API is there: github.com, or the host of one's own server."""
    parts = urlsplit(api_url)
    if parts.hostname == "api.github.com":
        return "https://github.com"
    return f"{parts.scheme}://{parts.netloc}"


def github_sign_in(settings: Settings) -> GitHub | None:
    """Sign-in through GitHub, where the settings name an app. Raises UsageError where they name half of one."""
    secret = settings.github_client_secret.get_secret_value() if settings.github_client_secret else ""
    if not settings.github_client_id and not secret:
        return None
    if not settings.github_client_id or not secret:
        raise UsageError(
            "OPENNESS_GITHUB_CLIENT_ID and OPENNESS_GITHUB_CLIENT_SECRET are set together or not at all"
        )
    return GitHub(
        client_id=settings.github_client_id,
        client_secret=secret,
        api_url=settings.github_api_url,
        user_agent=settings.user_agent,
        timeout=settings.http_timeout,
    )
