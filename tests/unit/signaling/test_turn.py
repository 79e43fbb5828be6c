"""TURN credentials."""

import base64
import hashlib
import hmac

from kabina.signaling.turn import VALID_FOR_S, ice_servers

URLS = ("turn:192.0.2.1:3478?transport=tcp", "turns:192.0.2.1:5349")


def test_the_credential_is_what_coturn_computes():
    (server,) = ice_servers(URLS, "secret", "p-7", unix_time_s=1000.9)
    assert server.username == f"{1000 + VALID_FOR_S}:p-7"
    digest = hmac.new(b"secret", server.username.encode(), hashlib.sha1).digest()
    assert server.credential == base64.b64encode(digest).decode()


def test_there_is_one_link_per_url():
    (server,) = ice_servers(URLS, "secret", "p-7", unix_time_s=0)
    assert [link.partition(";")[0] for link in server.links] == [f"<{url}>" for url in URLS]


def test_without_urls_or_a_secret_there_is_none():
    assert ice_servers((), "secret", "p-7", unix_time_s=0) == ()
    assert ice_servers(URLS, "", "p-7", unix_time_s=0) == ()
