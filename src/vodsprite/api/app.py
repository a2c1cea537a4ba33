"""The web application: both generations of the API, the files, and the health checks."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.routing import Route

from vodsprite.api.authenticate import Authenticator, AuthSettings
from vodsprite.api.endpoint import Endpoint
from vodsprite.api.files import Files
from vodsprite.api.health import Health
from vodsprite.api.v2017.actions import ACTIONS as ACTIONS_2017
from vodsprite.api.v2017.generation import Generation2017
from vodsprite.api.v2018.actions import ACTIONS as ACTIONS_2018
from vodsprite.api.v2018.generation import Generation2018
from vodsprite.errors import SettingsError
from vodsprite.parts import Parts
from vodsprite.wire import signing

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """How the web application behaves."""

    public_url: str | None = None  # what URLs in results start with; None: the `Host` that a request came to
    trust_host: bool = False  # whether that `Host` may be used
    clock_skew_s: int = signing.MAX_SKEW_S  # of the 2018-07-17 API
    clock_skew_2017_s: int = signing.MAX_SKEW_2017_S
    nonce_check: bool = True  # refuse a parameter-signed request that came before
    body_limit_bytes: int = 10 * MIB  # of a TC3-signed request
    form_limit_bytes: int = 1 * MIB  # of a parameter-signed one

    def __post_init__(self) -> None:
        if self.public_url is None and not self.trust_host:
            raise SettingsError("without public_url, results can only name the Host of the request")


def create_app(parts: Parts, settings: ApiSettings) -> Starlette:
    """Return the ASGI application that serves *parts*."""
    public_url = None if settings.public_url is None else settings.public_url.rstrip("/")
    authenticator = Authenticator(
        parts.apps,
        AuthSettings(
            clock_skew_s=settings.clock_skew_s,
            clock_skew_2017_s=settings.clock_skew_2017_s,
            nonce_check=settings.nonce_check,
        ),
    )
    api_2018 = Endpoint(
        Generation2018(
            ACTIONS_2018,
            authenticator,
            tc3_limit_bytes=settings.body_limit_bytes,
            v1_limit_bytes=settings.form_limit_bytes,
        ),
        parts,
        public_url=public_url,
        trust_host=settings.trust_host,
    )
    api_2017 = Endpoint(
        Generation2017(ACTIONS_2017, authenticator, limit_bytes=settings.form_limit_bytes),
        parts,
        public_url=public_url,
        trust_host=settings.trust_host,
    )
    files = Files(parts)
    health = Health(parts.apps)
    app = Starlette(
        routes=[
            Route("/", api_2018),
            Route("/v2/index.php", api_2017),
            Route("/sprites/{path:path}", files.sprite, methods=["GET", "HEAD", "OPTIONS"]),
            Route("/originals/{signature}/{file_id}/{name:path}", files.original, methods=["GET", "HEAD"]),
            Route("/health/live", health.live, methods=["GET"]),
            Route("/health/ready", health.ready, methods=["GET"]),
        ]
    )
    # A signed request cannot follow a redirect to another path.
    app.router.redirect_slashes = False
    return app
