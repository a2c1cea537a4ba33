"""
Every setting of the service: its name, default and meaning; read from a TOML file, then the environment.

A setting `name` is the key `name` in the file and `VODSPRITE_NAME` in the environment, which wins. What the
command line says wins over both. Nothing else in the product reads the environment.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from sqlalchemy import make_url

from vodsprite.errors import InvalidInput, SettingsError
from vodsprite.outbound.addresses import AddressRules

ENV_PREFIX = "VODSPRITE_"
FILE_NAME = "vodsprite.toml"
"""The settings file that is read when it lies in the data folder and no other is named."""


class Settings(BaseSettings):
    """The settings of one installation. Frozen; secrets don't print."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, extra="forbid")

    data: Path = Field(
        Path("vodsprite-data"), description="Folder of the database, the objects and the credentials."
    )
    host: str = Field("127.0.0.1", description="Address that the service listens on.")
    port: int = Field(
        8266, ge=0, le=65535, description="Port that the service listens on; 0 takes a free one."
    )
    public_url: str = Field(
        "",
        description="What the URLs in results start with, as in `https://vod.example.com`. "
        "Empty: the address that the service listens on.",
    )
    database_url: str = Field("", description="SQLAlchemy URL. Empty: a SQLite file in the data folder.")
    store_url: str = Field(
        "", description="Where objects are kept: file, s3, gs, az or memory URL. Empty: the data folder."
    )
    secret_id: str = Field(
        "", description="SecretId of the first credential. Empty: one is made at first start."
    )
    secret_key: SecretStr = Field(SecretStr(""), description="SecretKey that belongs to secret_id.")
    outbound_allow: str = Field(
        "",
        description="Addresses that callbacks may reach although they are not public: comma-separated CIDRs, "
        "or the words `loopback` and `private`.",
    )
    clock_skew_s: int = Field(
        300, ge=1, description="How far a request's timestamp may be from the server's clock, in s."
    )
    renders: int = Field(2, ge=1, le=256, description="Renders that run at once.")
    accuracy: Literal["cue", "exact", "keyframe"] = Field(
        "cue", description="Which frame a tile shows: one of its cue, the one at its instant, or a key frame."
    )
    tile_limit: int = Field(20_000, ge=1, description="Most tiles that one sprite task may have.")
    vtt_urls: Literal["relative", "absolute"] = Field(
        "relative", description="How WebVTT files name their sheets: bare file names, or absolute URLs."
    )
    render_timeout_base_s: float = Field(
        60, gt=0, description="Time limit of a render, in s, whatever the video's length."
    )
    render_timeout_factor: float = Field(
        2, ge=0, description="Seconds added to that limit for each second that the video lasts."
    )
    render_memory_mib: int = Field(2048, ge=128, description="Memory that one render may take, in MiB.")
    drain_s: float = Field(
        8,
        ge=0,
        description="Seconds that running renders get to finish when the service is told to stop; "
        "the stop itself may take some 3 s more.",
    )
    lease_s: int = Field(
        30, ge=1, description="Seconds that a pulled event stays hidden until it is confirmed."
    )
    pull_wait_s: float = Field(
        5, ge=0, le=60, description="Longest wait of a pull that finds no event, in s."
    )
    retention_s: int = Field(
        4 * 24 * 3600,
        ge=60,
        description="Seconds that an event waits to be pulled before it becomes a dead letter.",
    )
    keep_settled_s: int = Field(
        7 * 24 * 3600,
        ge=60,
        description="Seconds that a delivery is kept, to be seen and replayed, after its receiver has it.",
    )
    keep_dead_s: int = Field(
        30 * 24 * 3600, ge=60, description="Seconds that a dead letter is kept, to be seen and replayed."
    )
    original_link_s: int = Field(
        7 * 24 * 3600, ge=60, description="Seconds that a signed link to an original stays good."
    )
    log_format: Literal["auto", "text", "json"] = Field(
        "auto", description="Form of log lines; auto is text on a terminal and JSON elsewhere."
    )

    @field_validator("public_url")
    @classmethod
    def _an_http_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("must be an address such as https://vod.example.com")
        return value.rstrip("/")

    @field_validator("outbound_allow")
    @classmethod
    def _known_ranges(cls, value: str) -> str:
        try:
            AddressRules.parse(value)
        except InvalidInput as error:
            raise ValueError(error.reason) from error
        return value

    @property
    def is_wildcard_host(self) -> bool:
        """Whether the service listens on every address, so that no single one names it."""
        if self.host in ("", "0"):
            return True
        try:
            return ip_address(self.host).is_unspecified
        except ValueError:
            return False

    def effective_database_url(self) -> str:
        """
        The database's URL, the default filled in.

        Raises:
            SettingsError: The data folder's name cannot stand in a URL.
        """
        if self.database_url:
            return self.database_url
        path = str((self.data / "vodsprite.sqlite").absolute())
        url = f"sqlite:///{path}"
        if make_url(url).database != path:
            raise SettingsError(f"setting data: a folder's name may hold neither ? nor %XX, got {self.data}")
        return url

    def effective_store_url(self) -> str:
        """The store's URL, the default filled in."""
        return self.store_url or (self.data / "objects").absolute().as_uri()


def load(*, file: Path | None = None, **given: Any) -> Settings:
    """
    Read the settings: *given* (what the command line said; None means unsaid), the environment, the file.

    Args:
        file: A TOML file that must exist; None reads `vodsprite.toml` in the data folder, if there is one.

    Raises:
        SettingsError: A value cannot be used, or a key is unknown; the message names it.
    """
    said = {key: value for key, value in given.items() if value is not None}
    try:
        path = file or Settings(**said).data / FILE_NAME
        if file is not None and not file.is_file():
            raise SettingsError(f"settings file {file} does not exist")
        with_file = _reading(
            lambda cls, given, environment: (
                given,
                environment,
                TomlConfigSettingsSource(cls, toml_file=path),
            )
        )
        return with_file(**said)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"settings file {path} is not TOML: {error}") from error
    except OSError as error:
        raise SettingsError(f"settings file {path} cannot be read: {error.strerror}") from error


def defaults(data: Path) -> Settings:
    """Return the settings of an installation in *data* that nobody has set anything for."""
    given_alone = _reading(lambda cls, given, environment: (given,))
    return given_alone(data=data)


_Source = PydanticBaseSettingsSource
_Sources = Callable[[type[BaseSettings], _Source, _Source], tuple[_Source, ...]]
"""From the class, what was given and the environment to where values come from, the winner first."""


def _reading(sources: _Sources) -> Callable[..., Settings]:
    class Reading(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: _Source,
            env_settings: _Source,
            dotenv_settings: _Source,
            file_secret_settings: _Source,
        ) -> tuple[_Source, ...]:
            return sources(settings_cls, init_settings, env_settings)

    return Reading


def _explain(error: ValidationError) -> str:
    parts = []
    for fault in error.errors(include_input=False, include_url=False):
        name = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            parts.append(f"setting {name} does not exist")
        else:
            parts.append(f"setting {name} (environment: {ENV_PREFIX}{name.upper()}): {fault['msg']}")
    return "; ".join(parts)
