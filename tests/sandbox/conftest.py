"""One running sandbox for all tests of this folder, put back to the first night before each."""

from __future__ import annotations

import pytest
import requests

from sandbox import Sandbox


@pytest.fixture(scope="session")
def running():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running):
    running.set_night(1)
    running.clear_faults()
    running.clear_log()
    running.limits.reset()
    running.state.tree_limit = 100_000
    running.state.hub_redirect = False
    return running


@pytest.fixture
def http():
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture
def rest(sandbox, http):
    """GET below GitHub's REST address, with a token unless `token` is None."""

    def get(path, token="any", **headers):
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return http.get(sandbox.addresses["GITHUB_API_URL"] + path, headers=headers, timeout=5)

    return get


@pytest.fixture
def hub(sandbox, http):
    """GET below the Hub's address, without a token unless one is given."""

    def get(path, token=None, **headers):
        if token:
            headers["Authorization"] = f"Bearer {token}"
        url = sandbox.addresses["HF_ENDPOINT"] + path
        return http.get(url, headers=headers, timeout=5, allow_redirects=False)

    return get


@pytest.fixture
def page(sandbox, http):
    """GET a page of the open web through the gateway."""

    def get(url, **headers):
        scheme, rest = url.split("://")
        host, slash, path = rest.partition("/")
        gateway = sandbox.addresses["OPENNESS_WEB_GATEWAY"]
        address = gateway.format(scheme=scheme, host=host, path=slash + path)
        return http.get(address, headers=headers, timeout=5, allow_redirects=False)

    return get
