"""Requests to AWS: roles, signatures, and where keys come from."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.notify.peer import call, ours, real
from tests.notify.test_receivers_peer import ANSWERS, Recorder
from tests.waiting import wait_until

from watchkeeper.model.errors import NotDelivered
from watchkeeper.net.client import Client, RequestOptions
from watchkeeper.notify.aws import FORM, Keys, Signer, SigV4, signed

_GIVEN = (
    b"<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>S&amp;1"
    b"</SecretAccessKey><SessionToken>T1</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
    b"</AssumeRoleResult></AssumeRoleResponse>"
)
_SNS = """
route: {{receiver: a, group_wait: 0s}}
receivers:
- name: a
  sns_configs:
  - api_url: '{url}/sns/'
    topic_arn: 'arn:aws:sns:us-east-2:123:topic'
    sigv4: {{region: us-east-2, access_key: AK, secret_key: SK, role_arn: 'arn:aws:iam::1:role/x'}}
"""


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    recorder = Recorder()
    monkeypatch.setitem(ANSWERS, "/sts/", _GIVEN)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"{recorder.url}/sts/")
    yield recorder
    recorder.close()


def _seen(recorder: Recorder) -> list[tuple[Any, ...]]:
    """Give what was asked: path, whose key signed for what, whether with a token, the form but for its session."""
    out = []
    for one in recorder.received:
        headers = {name.lower(): value for name, value in one.headers.items()}
        scope = headers["authorization"].partition("Credential=")[2].partition(",")[0].split("/")
        form = [pair for pair in one.body.decode().split("&") if not pair.startswith("RoleSessionName=")]
        out.append((one.path, scope[0], *scope[2:], headers.get("x-amz-security-token"), sorted(form)))
    return out


@pytest.mark.peer
def test_a_role_is_taken_as_alertmanager_takes_it(aws: Recorder, tmp_path: Path) -> None:
    seen = []
    for side in (real, ours):
        aws.received.clear()
        with side(tmp_path / side.__name__, _SNS.format(url=aws.url)) as server:
            alert = {"labels": {"alertname": "A"}, "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z"}
            assert call("POST", f"{server.url}/api/v2/alerts", [alert])[0] == 200
            wait_until("SNS to be asked", lambda: any(one.path == "/sns/" for one in aws.received))
        seen.append(_seen(aws)[:2])
    assert [one[:5] for one in seen[1]] == [
        ("/sts/", "AK", "us-east-2", "sts", "aws4_request"),
        ("/sns/", "ASIA1", "us-east-2", "sns", "aws4_request"),
    ]
    assert [(*one[:6], _plain(one[6])) for one in seen[0]] == [(*one[:6], _plain(one[6])) for one in seen[1]]


def _plain(form: list[str]) -> list[str]:
    return [pair for pair in form if not pair.startswith("Message=")]  # has each side's own address


def test_a_role_is_kept_until_it_ends(aws: Recorder) -> None:
    async def go() -> None:
        client = Client("test")
        role = SigV4.model_validate(
            {"region": "r", "access_key": "AK", "secret_key": "SK", "role_arn": "role", "external_id": "x y"}
        )
        signer = Signer(role)
        for _ in range(2):
            headers = await signer.headers(client, "http://a/b", b"", "aps", "application/json", RequestOptions(5))
            assert headers["X-Amz-Security-Token"] == "T1"
        await client.close()
        ((_, _, _, _, _, _, form),) = _seen(aws)
        assert "ExternalId=x+y" in form

    asyncio.run(go())


def test_a_role_that_is_not_given_is_an_error_that_says_why(aws: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        ANSWERS, "/sts/", b"<ErrorResponse><Error><Message>not &lt;you&gt;</Message></Error></ErrorResponse>"
    )

    async def go() -> None:
        client = Client("test")
        role = SigV4.model_validate({"region": "r", "access_key": "AK", "secret_key": "SK", "role_arn": "arn:x"})
        with pytest.raises(NotDelivered, match="cannot take role arn:x: not <you>"):
            await Signer(role).headers(client, "http://a/b", b"", "aps", FORM, RequestOptions(5))
        await client.close()

    asyncio.run(go())


def test_a_signature_is_that_of_awss_own_example() -> None:
    """AWS, Signature Version 4 test suite, post-x-www-form-urlencoded, with our order of the same headers."""
    now = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
    keys = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    headers = signed("https://example.amazonaws.com/", b"Param1=value1", "us-east-1", "service", keys, now, FORM)
    assert headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
    )


@pytest.mark.parametrize("half", [{"access_key": "AK"}, {"secret_key": "SK"}])
def test_half_a_pair_of_keys_is_refused(half: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must provide a AWS SigV4 Access key and Secret Key"):
        SigV4.model_validate({"region": "r", **half})
