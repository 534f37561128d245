from __future__ import annotations

import getpass
import logging
from pathlib import Path

import pytest
from pydantic import SecretStr

from crawler.settings import Settings, describe_settings, load_settings, version
from pipelines.errors import UsageError

SECRET = "ghp_notarealtoken123"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_defaults_are_the_promised_ones() -> None:
    settings = load_settings()
    assert settings.database_url == "sqlite:///openness.db"
    assert settings.archive == Path("archive/")
    assert settings.seeds == Path("seeds.yaml")
    assert settings.lineage == Path("lineage.yaml")
    assert settings.github_token is None
    assert settings.github_api_url == "https://api.github.com"
    assert settings.github_graphql_url == "https://api.github.com/graphql"
    assert settings.hf_token is None
    assert settings.hf_endpoint == "https://huggingface.co"
    assert settings.arxiv_url == "https://export.arxiv.org/api/query"
    assert settings.web_gateway == ""
    assert settings.allow_private_hosts == ()
    assert (settings.links_per_project, settings.pages_per_project) == (24, 8)
    assert (settings.http_timeout, settings.arxiv_delay, settings.page_delay) == (30.0, 3.0, 1.0)


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENNESS_DATABASE_URL", "postgresql://me:pw@db.example/openness")
    monkeypatch.setenv("GITHUB_TOKEN", f" {SECRET}\n")
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:8000/github/")
    monkeypatch.setenv("OPENNESS_ALLOW_PRIVATE_HOSTS", "127.0.0.1:8000, LOCALHOST:80,[::1]:9,127.0.0.1:8000,")
    monkeypatch.setenv("OPENNESS_WEB_GATEWAY", "http://127.0.0.1:8000/web/{scheme}/{host}{path}")
    monkeypatch.setenv("OPENNESS_HTTP_TIMEOUT", "2.5")
    settings = load_settings()
    assert settings.database_url == "postgresql://me:pw@db.example/openness"
    assert settings.github_token is not None
    assert settings.github_token.get_secret_value() == SECRET
    assert settings.github_api_url == "http://127.0.0.1:8000/github"
    assert settings.allow_private_hosts == ("127.0.0.1:8000", "localhost:80", "[::1]:9")
    assert settings.web_gateway == "http://127.0.0.1:8000/web/{scheme}/{host}{path}"
    assert settings.http_timeout == 2.5


def test_a_dotenv_file_is_read_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(
        f"# mine\nHF_TOKEN={SECRET}\nOPENNESS_SEEDS=mine.yaml\nOPENNESS_LINKS_PER_PROJECT=3\nOTHER=x\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("OPENNESS_LINKS_PER_PROJECT", "5")
    settings = load_settings()
    assert settings.hf_token is not None
    assert settings.hf_token.get_secret_value() == SECRET
    assert settings.seeds == Path("mine.yaml")
    assert settings.links_per_project == 5
    assert load_settings(env_file=None).seeds == Path("seeds.yaml")


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in describe_settings():
        monkeypatch.setenv(setting.variable, "")
    assert load_settings() == Settings()


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("OPENNESS_HTTP_TIMEOUT", "soon", "valid number"),
        ("OPENNESS_HTTP_TIMEOUT", "0", "greater than 0"),
        ("OPENNESS_HTTP_TIMEOUT", "inf", "finite number"),
        ("OPENNESS_ARXIV_DELAY", "-1", "greater than or equal to 0"),
        ("OPENNESS_PAGE_DELAY", "nan", "finite number"),
        ("OPENNESS_LINKS_PER_PROJECT", "2.5", "valid integer"),
        ("OPENNESS_PAGES_PER_PROJECT", "-3", "greater than or equal to 0"),
        ("OPENNESS_DATABASE_URL", "openness.db", "is not an SQLAlchemy URL"),
        ("OPENNESS_DATABASE_URL", "mysql://h/d", "has to begin with sqlite: or postgresql:"),
        ("OPENNESS_DATABASE_URL", "postgresql://h:port/d", "is not an SQLAlchemy URL"),
        ("GITHUB_API_URL", "api.github.com", "has to be an absolute http or https address"),
        ("GITHUB_GRAPHQL_URL", "ftp://a.example", "has to be an absolute http or https address"),
        ("HF_ENDPOINT", "https://me:pw@a.example", "must not have credentials in it"),
        ("OPENNESS_PYPI_URL", "https://a.example:x", "is not a web address"),
        ("OPENNESS_ARXIV_URL", "https://", "has to be an absolute http or https address"),
        ("OPENNESS_WEB_GATEWAY", "http://a.example/{host}", "has to name {host} and {path}"),
        ("OPENNESS_WEB_GATEWAY", "http://a.example/{host}{path}{x}", "no other field"),
        ("OPENNESS_WEB_GATEWAY", "http://a.example/{host}{path", "unbalanced braces"),
        ("OPENNESS_WEB_GATEWAY", "http://a.example/{host.__class__}{path}", "no other field"),
        ("OPENNESS_WEB_GATEWAY", "http://a.example/{host!x}{path}", "no other field"),
        ("OPENNESS_WEB_GATEWAY", "{host}{path}", "has to be an absolute http or https address"),
        ("OPENNESS_ALLOW_PRIVATE_HOSTS", "127.0.0.1", "has to list host:port"),
        ("OPENNESS_ALLOW_PRIVATE_HOSTS", "a:1,http://b:2", "has to list host:port"),
        ("OPENNESS_ALLOW_PRIVATE_HOSTS", "a:99999", "has to list host:port"),
        ("OPENNESS_USER_AGENT", "me\r\nX-Other: 1", "printable ASCII"),
        ("OPENNESS_CONTACT", "ä@a.example", "printable ASCII"),
        ("OPENNESS_CURATOR", "ada\nbob", "control character"),
        ("GITHUB_TOKEN", "two words", "is no token"),
        ("HF_TOKEN", "tökén", "printable ASCII"),
    ],
)
def test_a_wrong_value_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert str(caught.value).startswith(f"{variable}: ")
    assert expected in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENNESS_HTTP_TIMEOUT", "soon")
    monkeypatch.setenv("HF_ENDPOINT", "nowhere")
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert sorted(line.split(":")[0] for line in str(caught.value).splitlines()) == [
        "HF_ENDPOINT",
        "OPENNESS_HTTP_TIMEOUT",
    ]


def test_a_wrong_token_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", f"{SECRET} {SECRET}")
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("OPENNESS_DATABASE_URL", f"postgresql://me:{SECRET}@db.example/openness")
    settings = load_settings()
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").warning("%s %r", settings, settings)
    for text in (repr(settings), str(settings), caplog.text, settings.shown_database_url):
        assert SECRET not in text
    assert settings.shown_database_url == "postgresql://me:***@db.example/openness"


def test_an_unreadable_dotenv_file_is_wrong_usage() -> None:
    Path(".env").write_bytes(b"OPENNESS_SEEDS=\xff\xfe\n")
    with pytest.raises(UsageError, match=r"\.env cannot be read"):
        load_settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().seeds = Path("other.yaml")  # type: ignore[misc]


def test_a_flag_wins_over_the_environment_and_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENNESS_PAGE_DELAY", "4")
    monkeypatch.setenv("OPENNESS_SEEDS", "mine.yaml")
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    settings = load_settings().with_changes(page_delay=0.5, hf_token=SecretStr("hf_x"))
    assert settings.page_delay == 0.5
    assert settings.seeds == Path("mine.yaml")
    assert settings.github_token == SecretStr(SECRET)
    assert settings.hf_token == SecretStr("hf_x")
    with pytest.raises(UsageError, match="OPENNESS_PAGE_DELAY: "):
        settings.with_changes(page_delay=-1)
    with pytest.raises(TypeError, match="no setting colour"):
        settings.with_changes(colour="red")


def test_a_changed_setting_can_be_set_back_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    assert load_settings().with_changes(github_token=None).github_token is None


def test_the_user_agent_says_who_is_crawling(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().user_agent == f"openness-crawler/{version()}"
    monkeypatch.setenv("OPENNESS_CONTACT", "mailto:crawl@lab.example")
    assert load_settings().user_agent == f"openness-crawler/{version()} (+mailto:crawl@lab.example)"
    monkeypatch.setenv("OPENNESS_USER_AGENT", "our-crawler/3")
    assert load_settings().user_agent == "our-crawler/3"


def test_the_curator_is_the_login_name_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    assert load_settings().curator_name() == "ada"
    monkeypatch.setenv("OPENNESS_CURATOR", "Grace H.")
    assert load_settings().curator_name() == "Grace H."


def test_no_login_name_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_user() -> str:
        raise OSError("No username set in the environment")

    monkeypatch.setattr(getpass, "getuser", no_user)
    with pytest.raises(UsageError, match="OPENNESS_CURATOR is not set"):
        load_settings().curator_name()


def test_every_setting_is_described() -> None:
    rows = {row.variable: row for row in describe_settings()}
    assert len(rows) == len(Settings.model_fields)
    assert all(row.meaning for row in rows.values())
    assert rows["OPENNESS_ARCHIVE"].default == "archive/"
    assert rows["OPENNESS_HTTP_TIMEOUT"].default == "30"
    assert rows["GITHUB_TOKEN"].default == ""
    assert rows["OPENNESS_USER_AGENT"].default == "openness-crawler/VERSION (+CONTACT)"
    promised = """
        OPENNESS_DATABASE_URL OPENNESS_ARCHIVE OPENNESS_SEEDS GITHUB_TOKEN GITHUB_API_URL GITHUB_GRAPHQL_URL
        HF_TOKEN HF_ENDPOINT OPENNESS_PYPI_URL OPENNESS_ARXIV_URL OPENNESS_WEB_GATEWAY
        OPENNESS_ALLOW_PRIVATE_HOSTS OPENNESS_USER_AGENT OPENNESS_CONTACT
    """
    assert set(promised.split()) <= set(rows)
