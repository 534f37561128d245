"""The settings of the review desk: a part of `crawler.settings`, which says how they are read."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from crawler.setting_values import service_address


class ReviewSettings(BaseSettings):
    """What the desk is told."""

    review_url: str = Field(
        "",
        alias="OPENNESS_REVIEW_URL",
        description="public address of the review desk, without a path; with `https:` its cookies are secure ones. "
        "Needed unless it serves this machine only",
    )
    review_public: bool = Field(
        False,
        alias="OPENNESS_REVIEW_PUBLIC",
        description="whether the desk may be read without signing in",
    )
    review_hours: int = Field(
        12, alias="OPENNESS_REVIEW_HOURS", ge=1, le=720, description="hours for which a sign-in lasts"
    )
    second_opinions: float = Field(
        0.0,
        alias="OPENNESS_SECOND_OPINIONS",
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="share of the decided cells, from 0 to 1, that a second curator is asked about blind",
    )
    disputes: bool = Field(
        False,
        alias="OPENNESS_DISPUTES",
        description="whether anybody may dispute a rating at the desk, with a link",
    )
    github_client_id: str = Field(
        "",
        alias="OPENNESS_GITHUB_CLIENT_ID",
        max_length=100,
        description="OAuth app by which accounts sign in through GitHub",
    )
    github_client_secret: SecretStr | None = Field(
        None, alias="OPENNESS_GITHUB_CLIENT_SECRET", description="its secret"
    )

    @field_validator("review_url")
    @classmethod
    def _check_review_url(cls, value: str) -> str:
        value = value.strip()
        if not value:
            return value
        checked = service_address(value)
        if checked.count("/") != 2 or "?" in checked or "#" in checked:
            raise ValueError("must have nothing behind host and port: the desk is served at the root")
        return checked.lower()
