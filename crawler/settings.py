"""What a user sets: environment variables, or a `.env` file in the working folder.

The environment wins over the file, and an empty value counts as not set. Secrets are never shown.
"""

from __future__ import annotations

import getpass
import string
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from crawler.review_settings import ReviewSettings
from crawler.setting_values import (
    Channel,
    Notify,
    checked_smtp_url,
    checked_webhook_url,
    header_text,
    host_and_port,
    mail_address,
    mail_addresses,
    service_address,
    split_at_commas,
)
from pipelines.errors import UsageError

NAME = "openness-crawler"
# Defaults that a value of the field's type does not show as people write them.
_SHOWN_DEFAULTS = {"OPENNESS_ARCHIVE": "archive/", "OPENNESS_USER_AGENT": f"{NAME}/VERSION (+CONTACT)"}

GATEWAY_FIELDS = ("scheme", "host", "path")


def version() -> str:
    """The version of the installed distribution; "0" where it runs without being installed."""
    try:
        return metadata.version(NAME)
    except metadata.PackageNotFoundError:
        return "0"


class Settings(ReviewSettings):
    """The settings; each field's alias is its variable, its description is what the docs say of it.

    Make one with `load_settings`, whose errors name the variable.
    """

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        case_sensitive=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    database_url: str = Field(
        "sqlite:///openness.db",
        alias="OPENNESS_DATABASE_URL",
        repr=False,
        description="any SQLAlchemy URL; SQLite and PostgreSQL are supported",
    )
    archive: Path = Field(
        Path("archive"), alias="OPENNESS_ARCHIVE", description="folder of the evidence archive"
    )
    seeds: Path = Field(Path("seeds.yaml"), alias="OPENNESS_SEEDS", description="the seed file")
    lineage: Path = Field(
        Path("lineage.yaml"),
        alias="OPENNESS_LINEAGE",
        description="what is publicly known of base models without a card of their own",
    )
    curator: str = Field(
        "",
        alias="OPENNESS_CURATOR",
        max_length=100,
        description="who decides, as decisions record it; the login name when not set",
    )
    github_token: SecretStr | None = Field(
        None,
        alias="GITHUB_TOKEN",
        description="token for GitHub; without one 60 requests an hour are planned for",
    )
    github_api_url: str = Field(
        "https://api.github.com", alias="GITHUB_API_URL", description="GitHub's REST API"
    )
    github_graphql_url: str = Field(
        "https://api.github.com/graphql", alias="GITHUB_GRAPHQL_URL", description="GitHub's GraphQL API"
    )
    hf_token: SecretStr | None = Field(
        None, alias="HF_TOKEN", description="token for the Hugging Face Hub; not needed for public things"
    )
    hf_endpoint: str = Field(
        "https://huggingface.co", alias="HF_ENDPOINT", description="the Hugging Face Hub"
    )
    pypi_url: str = Field(
        "https://pypi.org",
        alias="OPENNESS_PYPI_URL",
        description="the package index; `/pypi/NAME/json` is read under it",
    )
    arxiv_url: str = Field(
        "https://export.arxiv.org/api/query", alias="OPENNESS_ARXIV_URL", description="the arXiv API"
    )
    arxiv_delay: float = Field(
        3.0,
        alias="OPENNESS_ARXIV_DELAY",
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="seconds between two requests to the arXiv API, which asks for three",
    )
    web_gateway: str = Field(
        "",
        alias="OPENNESS_WEB_GATEWAY",
        description="address template with `{scheme}`, `{host}` and `{path}` through which web pages are "
        "fetched, such as a mirror or an archive; the open web when not set",
    )
    page_delay: float = Field(
        1.0,
        alias="OPENNESS_PAGE_DELAY",
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="seconds between two requests for pages of one host",
    )
    allow_private_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_at_commas)] = Field(
        (),
        alias="OPENNESS_ALLOW_PRIVATE_HOSTS",
        description="`host:port`, separated by commas: the only private and loopback addresses that a page may "
        "be fetched from",
    )
    links_per_project: int = Field(
        24,
        alias="OPENNESS_LINKS_PER_PROJECT",
        ge=0,
        le=10_000,
        description="how many artifacts found by following links are visited for a project",
    )
    pages_per_project: int = Field(
        8,
        alias="OPENNESS_PAGES_PER_PROJECT",
        ge=0,
        le=10_000,
        description="how many of those may be web pages",
    )
    budget_reserve: int = Field(
        5,
        alias="OPENNESS_BUDGET_RESERVE",
        ge=0,
        le=90,
        description="per cent of a token's limit that no night plans with: for whoever else uses the same token",
    )
    http_timeout: float = Field(
        30.0,
        alias="OPENNESS_HTTP_TIMEOUT",
        gt=0,
        le=3600,
        allow_inf_nan=False,
        description="seconds to wait for a service to answer",
    )
    max_wait: float = Field(
        300.0,
        alias="OPENNESS_MAX_WAIT",
        ge=0,
        le=7200,
        allow_inf_nan=False,
        description="longest wait in seconds that a service may ask for before the night goes on without it",
    )
    user_agent_text: str = Field(
        "",
        alias="OPENNESS_USER_AGENT",
        description="who is crawling, for the sites' owners",
    )
    contact: str = Field(
        "",
        alias="OPENNESS_CONTACT",
        description="an address or a page at which a site's owner reaches whoever runs the crawl",
    )
    schedule: str = Field(
        "",
        alias="OPENNESS_SCHEDULE",
        description="when `openness schedule` begins a night, as five cron fields such as `17 2 * * *`",
    )
    timezone: str = Field(
        "",
        alias="OPENNESS_TIMEZONE",
        description="whose clock that is, such as `Europe/Lisbon`; the machine's when not set",
    )
    schedule_jitter: int = Field(
        0,
        alias="OPENNESS_SCHEDULE_JITTER",
        ge=0,
        le=21_600,
        description="seconds by which a night begins later at most, by chance, so that not all ask at once",
    )
    health_file: Path | None = Field(
        None,
        alias="OPENNESS_HEALTH_FILE",
        description="what `openness schedule` writes while it lives and `openness schedule --healthy` reads",
    )

    mail_to: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(split_at_commas), AfterValidator(mail_addresses)
    ] = Field(
        (),
        alias="OPENNESS_MAIL_TO",
        description="mail addresses, separated by commas, that get the morning report",
    )
    mail_from: Annotated[str, AfterValidator(mail_address)] = Field(
        "", alias="OPENNESS_MAIL_FROM", description="the mail address that it comes from"
    )
    smtp_url: Annotated[SecretStr | None, AfterValidator(checked_smtp_url)] = Field(
        None,
        alias="OPENNESS_SMTP_URL",
        description="the mail server: `smtps://user:password@host`, or `smtp://host:587` with STARTTLS",
    )
    webhook_url: Annotated[SecretStr | None, AfterValidator(checked_webhook_url)] = Field(
        None,
        alias="OPENNESS_WEBHOOK_URL",
        description="where the morning report is posted as JSON, in a form that chat tools take; a secret",
    )
    webhook_secret: SecretStr | None = Field(
        None,
        alias="OPENNESS_WEBHOOK_SECRET",
        description="signs what is posted, by the Standard Webhooks convention",
    )
    notify: Notify = Field(
        Notify.ALWAYS,
        alias="OPENNESS_NOTIFY",
        description="after which nights the report is sent: `always`, `changes` (something to decide or to look "
        "at) or `problems`",
    )
    metrics_file: Path | None = Field(
        None,
        alias="OPENNESS_METRICS_FILE",
        description="where a night writes metrics for Prometheus; a name that ends in `.prom`, for the node exporter",
    )

    @field_validator("github_api_url", "github_graphql_url", "hf_endpoint", "pypi_url", "arxiv_url")
    @classmethod
    def _check_service_address(cls, value: str) -> str:
        return service_address(value.strip())

    @field_validator("user_agent_text", "contact")
    @classmethod
    def _check_header_text(cls, value: str) -> str:
        return header_text(value.strip())

    @field_validator("curator")
    @classmethod
    def _check_curator(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("has a line break or a control character in it")
        return value.strip()

    @field_validator("github_token", "hf_token")
    @classmethod
    def _check_token(cls, value: SecretStr | None) -> SecretStr | None:
        text = "" if value is None else value.get_secret_value().strip()
        if any(character.isspace() for character in text):
            raise ValueError("is no token: it has a space in it")
        return SecretStr(header_text(text)) if text else None

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: str) -> str:
        try:
            backend = make_url(value).get_backend_name()
        except (ArgumentError, ValueError):
            raise ValueError("is not an SQLAlchemy URL, such as sqlite:///openness.db") from None
        if backend not in ("sqlite", "postgresql"):
            raise ValueError("has to begin with sqlite: or postgresql:, the two that are supported")
        return value

    @field_validator("web_gateway")
    @classmethod
    def _check_gateway(cls, value: str) -> str:
        value = value.strip()
        if not value:
            return value
        try:
            parsed = [part for part in string.Formatter().parse(value) if part[1] is not None]
        except ValueError:
            raise ValueError("is not an address template: unbalanced braces") from None
        fields = {name for _, name, _, _ in parsed}
        decorated = any(spec or conversion for _, _, spec, conversion in parsed)
        if decorated or not {"host", "path"} <= fields <= set(GATEWAY_FIELDS):
            raise ValueError("has to name {host} and {path}, may name {scheme}, and no other field")
        service_address(value.format(scheme="https", host="example.org", path="/"))
        return value

    @field_validator("allow_private_hosts")
    @classmethod
    def _check_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(host_and_port(entry) for entry in value))

    @property
    def user_agent(self) -> str:
        """What is sent as User-Agent."""
        if self.user_agent_text:
            return self.user_agent_text
        contact = f" (+{self.contact})" if self.contact else ""
        return f"{NAME}/{version()}{contact}"

    @property
    def shown_database_url(self) -> str:
        """The database's URL as it may be printed: a password in it is masked."""
        return make_url(self.database_url).render_as_string(hide_password=True)

    def curator_name(self) -> str:
        """Who decides: the curator that is set, or the login name."""
        if self.curator:
            return self.curator
        try:
            return getpass.getuser()
        except (KeyError, OSError, ImportError):
            raise UsageError("OPENNESS_CURATOR is not set, and there is no login name to use") from None

    @property
    def channels(self) -> tuple[Channel, ...]:
        """By what the report is sent: those that are set, wholly or in part."""
        mail = self.mail_to or self.mail_from or self.smtp_url
        found: dict[Channel, bool] = {"mail": bool(mail), "webhook": bool(self.webhook_url)}
        return tuple([channel for channel, is_set in found.items() if is_set])

    def with_changes(self, **values: Any) -> Self:  # whatever the fields are; they are checked again
        """Settings in which some fields, given by name, are others (flags of a command)."""
        changed: dict[str, Any] = {"_env_file": None}  # a keyword of BaseSettings that no type tells of
        for name, field in type(self).model_fields.items():
            if name in values:
                changed[str(field.alias)] = values.pop(name)
            elif name in self.model_fields_set:
                # What was left at its default stays a default: commands ask whether a file was named.
                changed[str(field.alias)] = getattr(self, name)
        if values:
            raise TypeError(f"there is no setting {', '.join(values)}")
        try:
            return type(self)(**changed)
        except ValidationError as error:
            raise _usage_error(error) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingDescription:
    """A setting as the docs list it; `default` is empty where there is none."""

    variable: str
    default: str
    meaning: str


def load_settings(env_file: Path | None = Path(".env")) -> Settings:
    """The settings of this process. UsageError names every variable that has a wrong value."""
    sources: dict[str, Any] = {"_env_file": env_file}  # a keyword of BaseSettings that no type tells of
    try:
        return Settings(**sources)
    except ValidationError as error:
        raise _usage_error(error) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{env_file} cannot be read: {type(error).__name__}") from None


def describe_settings() -> Iterator[SettingDescription]:
    """Every variable with its default and its meaning, in the order of the docs."""
    fields = Settings.model_fields
    # Those of the desk are inherited, and come first here only.
    own = [name for name in fields if name not in ReviewSettings.model_fields]
    for field in (fields[name] for name in [*own, *ReviewSettings.model_fields]):
        default = field.default
        shown = "" if default is None or default == () else str(default)
        if isinstance(default, bool):
            shown = str(default).lower()
        elif isinstance(default, float):
            shown = f"{default:g}"
        shown = _SHOWN_DEFAULTS.get(str(field.alias), shown)
        yield SettingDescription(variable=str(field.alias), default=shown, meaning=str(field.description))


def _usage_error(error: ValidationError) -> UsageError:
    """Name the variables; the values stay out of it, as one of them may be a secret."""
    lines = []
    for found in error.errors(include_url=False, include_context=False, include_input=False):
        name = str(found["loc"][0])
        field = Settings.model_fields.get(name)
        variable = name if field is None else str(field.alias)
        message = str(found["msg"]).removeprefix("Value error, ")
        lines.append(f"{variable}: {message[:1].lower()}{message[1:]}")
    return UsageError("\n".join(lines))
