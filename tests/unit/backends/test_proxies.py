"""Which endpoints a proxy may stand before; the contract asks through one."""

import pytest

from simulator.backends.proxies import check_proxy, is_remote
from simulator.core.errors import BackendError

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.mark.parametrize(
    ("url", "remote"),
    [
        ("https://api.openai.com/v1", True),
        ("http://judge:8000/v1", True),
        ("http://10.0.0.7:8000/v1", True),
        ("http://[2001:db8::1]:8000/v1", True),
        ("http://localhost:8000/v1", False),
        ("http://box.localhost:8000/v1", False),
        ("http://127.0.0.1:8000/v1", False),
        ("http://127.9.9.9/v1", False),
        ("http://0.0.0.0:8000/v1", False),
        ("http://[::1]:8000/v1", False),
    ],
)
def test_this_machine_is_not_remote(url: str, remote: bool) -> None:
    assert is_remote(url) is remote


@pytest.mark.parametrize(
    ("url", "variables", "refused"),
    [
        ("https://a.example/v1", {"ALL_PROXY": "socks5://p:1"}, "kind 'socks5'.*NO_PROXY"),
        ("https://a.example/v1", {"HTTPS_PROXY": "ftp://p:1"}, "kind 'ftp'"),
        ("https://a.example/v1", {"ALL_PROXY": "socks5://p:1", "HTTPS_PROXY": "http://p:1"}, ""),
        ("https://a.example/v1", {"ALL_PROXY": "socks5://p:1", "NO_PROXY": "a.example"}, ""),
        ("http://localhost:1/v1", {"ALL_PROXY": "socks5://p:1"}, ""),
        ("https://a.example/v1", {"HTTPS_PROXY": "p:1"}, ""),
        ("https://a.example/v1", {}, ""),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(
    url: str, variables: dict[str, str], refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if not refused:
        check_proxy(url)
        return
    with pytest.raises(BackendError, match=refused):
        check_proxy(url)
