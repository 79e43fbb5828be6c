"""The one place that knows aiortc: its SDP parser and writer (`sdp`), its DTLS transport (`dtls`).

Neither touches the network here. Two things are used and nothing else (decision 002):

- `aiortc.sdp` turns text into values and back;
- `RTCDtlsTransport` runs the handshake over an object of ours that has its `role`, `_recv` and
  `_send`. Our subclass exports the SRTP keys to the caller and never builds aiortc's own SRTP
  sessions, so no packet can reach its RTP, RTCP and SCTP code.

No module global of aiortc is swapped: a stock aiortc peer works in the same process. The private
names used are asserted by tests/interop/test_seam_contract.py.
"""
