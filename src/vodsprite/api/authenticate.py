"""From a signed request to its caller: `wire.signing` proves it, what it claims is looked up here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from vodsprite.api.call import Caller
from vodsprite.api.incoming import Head
from vodsprite.apps.app import Credential
from vodsprite.apps.registry import AppRegistry
from vodsprite.clock import EPOCH
from vodsprite.errors import CredentialUnknown
from vodsprite.wire import signing


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """How strict signatures are checked."""

    clock_skew_s: int = signing.MAX_SKEW_S  # 2018-07-17 API
    clock_skew_2017_s: int = signing.MAX_SKEW_2017_S
    nonce_check: bool = True  # refuse a parameter-signed request that came before


class Authenticator:
    """Tells who signed a request."""

    def __init__(self, apps: AppRegistry, settings: AuthSettings) -> None:
        self._apps = apps
        self._settings = settings

    def admit_tc3(self, head: Head, now: datetime) -> None:
        """
        Refuse what `tc3` would refuse whatever the body is, so that no stranger's body need be read.

        Raises:
            Unauthenticated, MissingInput: As `tc3`.
        """
        claim = signing.parse_tc3(_signed(head, b""))
        signing.check_timestamp(claim.timestamp, now, self._settings.clock_skew_s)
        self._credential(claim.secret_id)

    def tc3(self, head: Head, body: bytes, now: datetime) -> Caller:
        """
        Return who signed a request in its `Authorization` header.

        Raises:
            Unauthenticated: Nobody we know, or not this request, or not now.
            MissingInput: `X-TC-Timestamp` is absent.
        """
        request = _signed(head, body)
        claim = signing.parse_tc3(request)
        signing.check_timestamp(claim.timestamp, now, self._settings.clock_skew_s)
        credential = self._credential(claim.secret_id)
        signing.verify_tc3(request, claim, credential.secret_key, now, self._settings.clock_skew_s)
        return _caller(credential)

    def v1(self, head: Head, params: signing.Params, now: datetime) -> tuple[Caller, signing.Params]:
        """
        Return who signed the parameters of a 2018-07-17 request, and those that the signature covers.

        Raises:
            Unauthenticated: As `tc3`; or the very same request came before.
            MissingInput: One of the parameters that sign is absent.
        """
        claim = signing.parse_v1(params)
        signing.check_timestamp(claim.timestamp, now, self._settings.clock_skew_s)
        hosts = signing.host_forms(head.host)
        return self._verified(
            head, claim, params, hosts=hosts, path="/", skew_s=self._settings.clock_skew_s, now=now
        )

    def v1_2017(self, head: Head, params: signing.Params, now: datetime) -> tuple[Caller, signing.Params]:
        """
        Return who signed the parameters of a 2017 request, and those that the signature covers.

        Raises:
            Unauthenticated: As `v1`; a timestamp from another time counts as a replay.
            MissingInput: One of the parameters that sign is absent.
        """
        claim = signing.parse_v1(params)
        signing.check_timestamp_2017(claim.timestamp, now, self._settings.clock_skew_2017_s)
        hosts = signing.host_forms(head.host, signing.HOST_2017)
        return self._verified(
            head,
            claim,
            params,
            hosts=hosts,
            path="/v2/index.php",
            skew_s=self._settings.clock_skew_2017_s,
            now=now,
        )

    def _verified(
        self,
        head: Head,
        claim: signing.V1Claim,
        params: signing.Params,
        *,
        hosts: Sequence[str],
        path: str,
        skew_s: int,
        now: datetime,
    ) -> tuple[Caller, signing.Params]:
        credential = self._credential(claim.secret_id)
        covered = signing.verify_v1(head.method, hosts, path, params, credential.secret_key)
        if self._settings.nonce_check:
            # Some SDKs draw nonces below 65536, which repeat within hours of normal use: a nonce counts as
            # used together with its timestamp, which every replay of a signed request repeats too.
            until = EPOCH + timedelta(seconds=claim.timestamp + skew_s + 1)
            self._apps.use_nonce(
                credential.secret_id, f"{claim.timestamp}:{claim.nonce}", until=until, now=now
            )
        return _caller(credential), covered

    def _credential(self, secret_id: str) -> Credential:
        credential = self._apps.credential(secret_id)
        if credential is None:
            raise CredentialUnknown(f"there is no secret id {secret_id[:64]!r}")
        return credential


def _signed(head: Head, body: bytes) -> signing.SignedRequest:
    return signing.SignedRequest(
        method=head.method, headers=head.headers, raw_query=head.raw_query, body=body
    )


def _caller(credential: Credential) -> Caller:
    return Caller(secret_id=credential.secret_id, app_id=credential.app_id)
