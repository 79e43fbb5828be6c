"""Every private name of aiortc that sfu/seam.py relies on, at the version that is installed."""

import inspect
from importlib.metadata import version

from aiortc import rtcdtlstransport
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport, State
from aiortc.sdp import MediaDescription, SessionDescription


def test_aiortc_is_the_minor_version_the_seam_was_written_for():
    assert version("aiortc").startswith("1.16.")


def test_the_private_names_are_there():
    for name in (
        "_setup_srtp",
        "_set_role",
        "_set_state",
        "_recv_next",
        "_write_ssl",
        "start",
        "stop",
    ):
        assert callable(getattr(RTCDtlsTransport, name)), name
    assert {"NEW", "CONNECTING", "CONNECTED", "CLOSED", "FAILED"} == {s.name for s in State}
    assert list(inspect.signature(RTCCertificate._create_ssl_context).parameters) == [
        "self",
        "srtp_profiles",
    ]


def test_the_transport_uses_three_members_of_its_ice_transport():
    source = inspect.getsource(RTCDtlsTransport)
    used = {
        word.split("(")[0].split(")")[0].split(":")[0].split(",")[0].split(" ")[0].strip()
        for word in source.split("self.transport.")[1:]
    }
    assert used <= {"_recv", "_send", "role"}, used


def test_the_attributes_are_set_where_the_seam_expects_them():
    source = inspect.getsource(RTCDtlsTransport.__init__)
    for name in ("_srtp_profiles", "_ssl", "_role", "_state", "encrypted"):
        assert f"self.{name}" in source
    assert hasattr(rtcdtlstransport, "SRTP_AEAD_AES_128_GCM")


def test_the_written_parts_of_a_description_are_there():
    media = MediaDescription("audio", 9, "UDP/TLS/RTP/SAVPF", [111])
    for name in (
        "host",
        "direction",
        "msid",
        "rtcp_port",
        "rtcp_mux",
        "ssrc",
        "rtp",
        "dtls",
        "ice",
        "ice_candidates",
        "ice_candidates_complete",
    ):
        assert hasattr(media, name), name
    for name in ("origin", "name", "group", "msid_semantic", "media"):
        assert hasattr(SessionDescription(), name), name
