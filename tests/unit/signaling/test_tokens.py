"""Join tokens."""

from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kabina.interpretation.ids import Role
from kabina.signaling.errors import CodedError, StartError
from kabina.signaling.tokens import TokenIssuer

HOUR = timedelta(hours=1)


@pytest.fixture
def issuer() -> TokenIssuer:
    return TokenIssuer(Ed25519PrivateKey.generate())


def code_of(issuer: TokenIssuer, token: str) -> str:
    with pytest.raises(CodedError) as refusal:
        issuer.check(token)
    return refusal.value.code


def test_a_token_grants_what_was_issued(issuer: TokenIssuer):
    token = issuer.issue(
        meeting="m", role=Role.INTERPRETER, languages=frozenset({"fr"}), name="Ana", valid_for=HOUR
    )
    grant = issuer.check(token)
    assert (grant.meeting, grant.role, grant.languages, grant.name) == (
        "m",
        Role.INTERPRETER,
        frozenset({"fr"}),
        "Ana",
    )


def test_an_expired_token_says_so(issuer: TokenIssuer):
    assert (
        code_of(issuer, issuer.issue(meeting="m", role=Role.ATTENDEE, valid_for=-HOUR))
        == "token.expired"
    )


def test_skew_within_half_a_minute_is_forgiven(issuer: TokenIssuer):
    token = issuer.issue(meeting="m", role=Role.ATTENDEE, valid_for=timedelta(seconds=-5))
    assert issuer.check(token).meeting == "m"


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.e30.e30", "é.é.é", "." * 50_000])
def test_what_is_no_token_is_invalid(issuer: TokenIssuer, token: str):
    assert code_of(issuer, token) == "token.invalid"


def test_another_key_another_algorithm_and_no_signature_are_invalid(issuer: TokenIssuer):
    stranger = TokenIssuer(Ed25519PrivateKey.generate())
    theirs = stranger.issue(meeting="m", role=Role.OPERATOR, valid_for=HOUR)
    assert code_of(issuer, theirs) == "token.invalid"
    ours = issuer.issue(meeting="m", role=Role.ATTENDEE, valid_for=HOUR)
    header = jwt.get_unverified_header(ours)
    claims = jwt.decode(ours, options={"verify_signature": False})
    for algorithm, key in (("none", ""), ("HS256", "x" * 32)):
        forged = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": header["kid"]})
        assert code_of(issuer, forged) == "token.invalid"


def test_a_changed_claim_is_invalid(issuer: TokenIssuer):
    head, body, signature = issuer.issue(meeting="m", role=Role.ATTENDEE, valid_for=HOUR).split(".")
    other = issuer.issue(meeting="n", role=Role.OPERATOR, valid_for=HOUR).split(".")[1]
    assert body != other
    assert code_of(issuer, f"{head}.{other}.{signature}") == "token.invalid"


def test_the_key_survives_in_the_data_directory_and_only_its_owner_reads_it(tmp_path: Path):
    token = TokenIssuer.open(tmp_path).issue(meeting="m", role=Role.SPEAKER, valid_for=HOUR)
    assert TokenIssuer.open(tmp_path).check(token).role is Role.SPEAKER
    assert (tmp_path / "signing-key.pem").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["signing-key.pem"]


def test_a_broken_key_file_is_one_clear_error(tmp_path: Path):
    (tmp_path / "signing-key.pem").write_text("not a key")
    with pytest.raises(StartError, match="signing key"):
        TokenIssuer.open(tmp_path)
